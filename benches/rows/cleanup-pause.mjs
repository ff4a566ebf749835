import { most } from '../harness/goals.mjs';
import { pauseOfCleanup } from '../workloads/records.mjs';

export default {
  name: 'cleanup-pause',
  title: 'the longest call into an engine while 100 000 records leave by themselves, and while they stay',
  unit: 'ms',
  better: 'lower',
  heavy: true,
  contenders: { leave: '@escher/execution-engine', stay: '@escher/execution-engine' },
  ratios: [{ of: 'leave', to: 'stay', goal: 'no longer than without' }],
  goals: [most(5, 'ms', { of: 'leave' })],
  columns: [{ key: 'above', title: 'calls above 5 ms', digits: 0 }],
  run: (contender) => pauseOfCleanup(100_000, { leaving: contender === 'leave' }),
};
