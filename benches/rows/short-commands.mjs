import { columns, contenders, throughput } from '../workloads/short-commands.mjs';

export default {
  name: 'short-commands',
  title: 'true, 8 at a time',
  unit: 'commands/s',
  better: 'higher',
  contenders,
  ratios: [
    { of: 'engine', to: 'limit', goal: '≥ 0.8 (then 0.9)' },
    { of: 'engine', to: 'child_process', goal: '≥ 3' },
    { of: 'engine', to: 'execFile' },
    { of: 'engine', to: 'execa' },
  ],
  goals: 'loop p99 ≤ 5 ms, max ≤ 15 ms; CPU ≤ 200 µs/command',
  columns,
  run: (contender, { limit }) => throughput(contender, { limit, count: 1500, parallel: 8 }),
};
