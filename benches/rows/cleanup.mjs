import { most } from '../harness/goals.mjs';
import { SCALE_GOAL, scaled } from '../harness/scale.mjs';
import { cleanupOf } from '../workloads/records.mjs';
import { contenders } from '../workloads/short-commands.mjs';

const { engine } = contenders;
const RECORDS = { '100 000 records': 100_000, '10 000 records': 10_000 };
const TOTAL = 100_000;

export default {
  name: 'cleanup',
  title: 'cleanup() of 10 000 and of 100 000 records without output: time for each record',
  unit: 'ns/record',
  better: 'lower',
  contenders: { '100 000 records': engine, '10 000 records': engine },
  bound: 'memory: the removal from a hash table and some frees for each record, which are not in a cache if they are many',
  ratios: [{ of: '100 000 records', to: '10 000 records', goal: SCALE_GOAL }],
  goals: [most(50, 'ms', { what: '100 000', key: 'callMs', of: '100 000 records' })],
  columns: [
    { key: 'callMs', title: 'ms for each call', digits: 1 },
    { key: 'rssMiB', title: 'host RSS before, MiB', digits: 0 },
  ],
  run: (contender, { quick }) => cleanupOf(scaled(RECORDS[contender], quick), scaled(TOTAL, quick)),
};
