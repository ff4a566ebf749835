import { SMALL_HOST_MIB, columns, contenders, countFor, throughput } from '../workloads/short-commands.mjs';

const { engine } = contenders;

export default {
  name: 'control',
  title: 'true, 8 at a time, by the engine against itself: the noise of ratios of commands',
  unit: 'commands/s',
  better: 'higher',
  contenders: { engine, 'engine again': engine },
  bound: 'the noise of the machine, since both are the same: a ratio of another row that is nearer to 1 than this interval says nothing',
  ratios: [{ of: 'engine again', to: 'engine', goal: '= 1' }],
  columns,
  run: (_, { limit }) => throughput('engine', { limit, count: countFor('engine'), parallel: 8, hostMiB: SMALL_HOST_MIB }),
};
