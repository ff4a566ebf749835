import { SCALE_GOAL, scaled } from '../harness/scale.mjs';
import { runsBeside } from '../workloads/records.mjs';
import { columns, contenders } from '../workloads/short-commands.mjs';

const { engine } = contenders;
const RECORDS = { '100 000 records': 100_000, '1 000 records': 1_000 };

export default {
  name: 'kept-records',
  title: 'true, 8 at a time, beside 1 000 and 100 000 records: time for each command',
  unit: 'µs/command',
  better: 'lower',
  contenders: { '100 000 records': engine, '1 000 records': engine },
  bound: 'the commands themselves: `short-commands` has the limit',
  ratios: [
    { of: '100 000 records', to: '1 000 records', goal: SCALE_GOAL },
    { of: '100 000 records', to: '1 000 records', key: 'cpuMicros', goal: SCALE_GOAL },
  ],
  columns,
  run: (contender, { quick }) => runsBeside(scaled(RECORDS[contender], quick), scaled(1500, quick)),
};
