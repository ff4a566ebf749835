import { most } from '../harness/goals.mjs';
import { cleanupOf } from '../workloads/records.mjs';

export default {
  name: 'cleanup',
  title: 'cleanup() of 100 000 records without output',
  unit: 'ms',
  better: 'lower',
  contenders: { engine: '@escher/execution-engine' },
  goals: [most(50, 'ms')],
  columns: [{ key: 'rssMiB', title: 'host RSS before, MiB', digits: 0 }],
  run: () => cleanupOf(100_000),
};
