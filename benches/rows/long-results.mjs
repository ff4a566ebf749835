import { scaled } from '../harness/scale.mjs';
import { outputFile, peakOfResults } from '../workloads/long-results.mjs';
import { contenders } from '../workloads/short-commands.mjs';

const { engine, execa } = contenders;
const COUNTS = { 1: 1, 100: 100, '10 000': 10_000 };
const NEEDS = { engine, child_process: null, execa };
const all = Object.entries(NEEDS).flatMap(([name, need]) => Object.keys(COUNTS).map((count) => [`${name} (${count})`, need]));

export default {
  name: 'long-results',
  title:
    '1, 100 and 10 000 executions with 1 MiB of output each, read as text and dropped one after the other: the largest resident memory',
  unit: 'MiB',
  better: 'lower',
  heavy: true,
  contenders: { ...Object.fromEntries(all), 'engine with default retention (10 000)': engine },
  ahead: Object.fromEntries(Object.keys(COUNTS).map((count) => [`child_process (${count})`, 'it loads no addon and starts no threads'])),
  ratios: [
    ...Object.keys(COUNTS).map((count) => ({ of: `engine (${count})`, to: `child_process (${count})`, goal: '≤ 1.5' })),
    ...['engine', 'child_process'].map((name) => ({ of: `${name} (10 000)`, to: `${name} (100)` })),
    { of: 'engine (10 000)', to: 'execa (10 000)' },
  ],
  columns: [
    { key: 'growthMiB', title: 'more than before, MiB', digits: 0 },
    { key: 'seconds', title: 'seconds', digits: 1 },
  ],
  ...outputFile,
  run(contender, { data, quick }) {
    const [, name, count] = /^(.*) \((.*)\)$/.exec(contender);
    return peakOfResults(name, { data, count: scaled(COUNTS[count], quick) });
  },
};
