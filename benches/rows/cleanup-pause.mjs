import { most } from '../harness/goals.mjs';
import { scaled } from '../harness/scale.mjs';
import { pauseOfCleanup } from '../workloads/records.mjs';

export default {
  name: 'cleanup-pause',
  title: 'the longest call into an engine while retention removes 100 000 records, and while it does not',
  unit: 'ms',
  better: 'lower',
  heavy: true,
  contenders: { removed: '@escher/execution-engine', kept: '@escher/execution-engine' },
  bound: 'the scheduler: any thread can lose its processor for some milliseconds',
  ratios: [{ of: 'removed', to: 'kept', goal: 'no longer than without' }],
  goals: [most(5, 'ms', { of: 'removed' })],
  columns: [{ key: 'above', title: 'calls above 5 ms', digits: 0 }],
  run: (contender, { quick }) => pauseOfCleanup(scaled(100_000, quick), { leaving: contender === 'removed' }),
};
