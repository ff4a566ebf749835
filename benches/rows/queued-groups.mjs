import { SCALE_GOAL, scaled } from '../harness/scale.mjs';
import { grouped } from '../workloads/grouped.mjs';
import { contenders, queueColumns } from '../workloads/short-commands.mjs';

const { engine } = contenders;
const WAITING = { '10 000': 10_000, '1 000': 1_000, '10 000 without groups': 10_000 };
const COUNT = 10_000;

export default {
  name: 'queued-groups',
  title: 'true, 1 000 and 10 000 submitted at once, ten in each group, of which 8 run at a time: time for each command',
  unit: 'µs/command',
  better: 'lower',
  heavy: true,
  contenders: { '10 000': engine, '1 000': engine, '10 000 without groups': engine },
  bound: 'the commands themselves: `queued` has the limit',
  ratios: [
    { of: '10 000', to: '1 000', goal: SCALE_GOAL },
    { of: '10 000', to: '1 000', key: 'cpuMicros', goal: SCALE_GOAL },
    { of: '10 000', to: '10 000 without groups', goal: '≤ 1.1' },
  ],
  columns: queueColumns,
  run: (contender, { quick }) =>
    grouped({
      waiting: scaled(WAITING[contender], quick),
      count: scaled(COUNT, quick),
      hasGroups: contender !== '10 000 without groups',
    }),
};
