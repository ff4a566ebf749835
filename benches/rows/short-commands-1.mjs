import { columns, contenders, latency } from '../workloads/short-commands.mjs';

export default {
  name: 'short-commands-1',
  title: 'true, one at a time, the median time from call to result',
  unit: 'ms',
  better: 'lower',
  heavy: true,
  contenders,
  ratios: [
    { of: 'engine', to: 'limit', goal: '≤ 1.3' },
    { of: 'engine', to: 'child_process' },
    { of: 'engine', to: 'execFile' },
    { of: 'engine', to: 'execa' },
  ],
  columns: [{ key: 'p99Ms', title: 'p99', digits: 2 }, ...columns],
  run: (contender, { limit }) => latency(contender, { limit, count: 500 }),
};
