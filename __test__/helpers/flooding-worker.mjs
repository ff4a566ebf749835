// A worker with an engine of its own under a flood: it reports the pids of its commands, and never ends by itself.
import { parentPort, workerData } from 'node:worker_threads';

import { ExecutionEngine } from '../../index.js';
import { flood, forever, stubborn } from './programs.mjs';

const engine = new ExecutionEngine();
let lines = 0;
engine.on('event', (event) => {
  if (event.type === 'started') parentPort.postMessage({ pid: event.pid });
  if (event.type === 'stdout' && (lines += 1) === workerData.lines) parentPort.postMessage('flooded');
});
for (const request of [flood, flood, forever, stubborn]) engine.execute(request, { killGraceMs: 50 });
if (workerData.stream) for await (const event of engine.stream(flood)) lines += event.type === 'stdout' ? 0 : 1;
