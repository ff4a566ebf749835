import { SMALL_HOST_MIB, columns, contenders, countFor, letJavaScriptRead, throughput } from '../workloads/short-commands.mjs';

const { engine } = contenders;

export default {
  name: 'own-environment',
  title: 'true, 8 at a time, with the variables of the process read by the addon, and by JavaScript',
  unit: 'commands/s',
  better: 'higher',
  contenders: { engine, 'engine (JavaScript reads)': engine },
  bound: 'the commands themselves: `short-commands` has the limit. The row decides whether the reader of the addon is kept',
  ratios: [
    { of: 'engine', to: 'engine (JavaScript reads)', goal: '≥ 1' },
    { of: 'engine', to: 'engine (JavaScript reads)', key: 'cpuMicros', goal: '≤ 1' },
  ],
  columns,
  run(contender, { limit }) {
    if (contender !== 'engine') letJavaScriptRead();
    return throughput('engine', { limit, count: countFor('engine'), parallel: 8, hostMiB: SMALL_HOST_MIB });
  },
};
