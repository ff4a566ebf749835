import { most } from '../harness/goals.mjs';
import { columns, contenders, countFor, ratios, throughput } from '../workloads/short-commands.mjs';

export default {
  name: 'short-commands-32',
  title: 'true, 32 at a time',
  unit: 'commands/s',
  better: 'higher',
  contenders,
  ratios: ratios({ limit: '≥ 0.8 (then 0.9)', child_process: '≥ 3' }),
  goals: [most(5, 'loop p99 ≤ 5 ms', 'loopP99Ms'), most(15, 'loop max ≤ 15 ms', 'loopMaxMs'), most(200, 'CPU ≤ 200 µs/command', 'cpuMicros')],
  columns,
  run: (contender, { limit }) => throughput(contender, { limit, count: countFor(contender), parallel: 32 }),
};
