// A worker that runs the given commands and reports their results.
import { parentPort, workerData } from 'node:worker_threads';

import { ExecutionEngine } from '../../index.js';

const engine = new ExecutionEngine();
const lines = [];
engine.on('stdout', (event) => lines.push(event.line));
const results = await Promise.all(workerData.map((request) => engine.run(request)));
parentPort.postMessage({ statuses: results.map((result) => result.status), lines });
