import { SMALL_HOST_MIB, ahead, columns, contenders, countFor, goals, ratios, throughput } from '../workloads/short-commands.mjs';

export default {
  name: 'short-commands',
  title: 'true, 8 at a time, by a small host',
  unit: 'commands/s',
  better: 'higher',
  contenders,
  ahead,
  ratios: [
    ...ratios({ limit: '≥ 0.8 (then 0.9)', child_process: '≥ 3' }),
    { of: 'engine', to: 'Bun.spawn', key: 'cpuMicros', goal: '≤ 1' },
  ],
  goals,
  columns,
  run: (contender, { limit }) => throughput(contender, { limit, count: countFor(contender), parallel: 8, hostMiB: SMALL_HOST_MIB }),
};
