import { files } from '../workloads/lines.mjs';
import { keyFigures } from '../workloads/key-figures.mjs';
import { contenders as peers } from '../workloads/short-commands.mjs';

const { engine, execa } = peers;

/** A ratio for each of these figures: the value, and columns. */
const inEach = (of, to, ...keys) => keys.map((key) => ({ of, to, key }));

export default {
  name: 'runtimes',
  title: 'true, 8 at a time, and the figures of other rows: this package in each runtime, and what the runtime has itself',
  unit: 'commands/s',
  better: 'higher',
  heavy: true,
  contenders: {
    engine,
    'engine (Node.js 24)': [engine, 'node-24'],
    'engine (Node.js 26)': [engine, 'node-26'],
    'engine (Bun)': [engine, 'bun'],
    'engine (Deno)': [engine, 'deno'],
    child_process: null,
    'child_process (Node.js 24)': 'node-24',
    'child_process (Node.js 26)': 'node-26',
    'execa (Node.js 24)': [execa, 'node-24'],
    'Bun.spawn': 'bun',
    'Deno.Command': 'deno',
    limit: 'limit',
  },
  ratios: [
    ...inEach('engine (Node.js 24)', 'engine', undefined, 'p50Ms', 'listenedLines', 'awaitedLines'),
    ...inEach('engine (Node.js 26)', 'engine', undefined, 'p50Ms', 'listenedLines', 'awaitedLines'),
    ...inEach('engine (Bun)', 'Bun.spawn', undefined, 'p50Ms', 'cpuMicros', 'awaitedLines'),
    ...inEach('engine (Deno)', 'Deno.Command', undefined, 'p50Ms', 'cpuMicros', 'awaitedLines'),
    ...inEach('engine (Node.js 24)', 'child_process (Node.js 24)', undefined, 'p50Ms', 'listenedLines', 'awaitedLines'),
    ...inEach('engine (Node.js 26)', 'child_process (Node.js 26)', undefined, 'p50Ms', 'listenedLines', 'awaitedLines'),
    ...inEach('engine (Node.js 24)', 'execa (Node.js 24)', undefined, 'p50Ms', 'awaitedLines'),
    ...inEach('engine', 'limit', undefined, 'p50Ms'),
  ],
  columns: [
    { key: 'p50Ms', title: 'one at a time, ms', digits: 3 },
    { key: 'cpuMicros', title: 'CPU µs/command', digits: 0 },
    { key: 'loopP99Ms', title: 'loop p99 ms', digits: 1 },
    { key: 'listenedLines', title: 'lines/s to a listener', digits: 0 },
    { key: 'awaitedLines', title: 'lines/s to `for await`', digits: 0 },
  ],
  ...files,
  run: keyFigures,
};
