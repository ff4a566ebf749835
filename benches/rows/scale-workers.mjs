import { SCALE_GOAL, scaled } from '../harness/scale.mjs';
import { columns, contenders } from '../workloads/short-commands.mjs';
import { commandsInThreads } from '../workloads/threads.mjs';

const { engine } = contenders;
/** The numbers of threads: each runs one command at a time, so few threads are enough for all processors. */
const THREADS = { 'engine (64)': 64, 'engine (8)': 8, 'child_process (64)': 64, 'child_process (8)': 8 };
/** A fork beside 64 threads takes tens of milliseconds. */
const COUNTS = { engine: 3_200, child_process: 640 };

export default {
  name: 'scale-workers',
  title: 'true, one at a time in each of 8 and of 64 worker threads, each with an engine of its own: time for each command',
  unit: 'µs/command',
  better: 'lower',
  heavy: true,
  contenders: { 'engine (64)': engine, 'engine (8)': engine, 'child_process (64)': null, 'child_process (8)': null },
  ratios: [
    { of: 'engine (64)', to: 'engine (8)', goal: SCALE_GOAL },
    { of: 'child_process (64)', to: 'child_process (8)' },
    { of: 'engine (64)', to: 'child_process (64)' },
  ],
  columns: [...columns, { key: 'threadMiB', title: 'RSS of each thread, MiB', digits: 1 }],
  run(contender, { quick }) {
    const [name] = contender.split(' (');
    return commandsInThreads(name, { threads: scaled(THREADS[contender], quick), count: scaled(COUNTS[name], quick) });
  },
};
