import { SMALL_HOST_MIB, ahead, columns, contenders, countFor, cpuGoal, latency, ratios } from '../workloads/short-commands.mjs';

export default {
  name: 'short-commands-1',
  title: 'true, one at a time: median time from call to result',
  unit: 'ms',
  better: 'lower',
  contenders,
  ahead,
  ratios: ratios({ limit: '≤ 1.3 (then 1.15)', 'Bun.spawn': '≤ 1' }),
  goals: [cpuGoal],
  columns: [{ key: 'p99Ms', title: 'p99', digits: 2 }, ...columns],
  run: (contender, { limit }) => latency(contender, { limit, count: countFor(contender), hostMiB: SMALL_HOST_MIB }),
};
