import { most } from '../harness/goals.mjs';
import { delayOfLog } from '../workloads/logs.mjs';

export default {
  name: 'log-delay',
  title: 'time from the line event to the same line in the log file, the longest of 300',
  unit: 'ms',
  better: 'lower',
  contenders: { engine: '@escher/execution-engine' },
  bound: 'one `write` to the page cache, and a wake-up of the thread that does it',
  goals: [most(100, 'ms')],
  columns: [{ key: 'ahead', title: 'in the log first, %', digits: 0 }],
  run: () => delayOfLog(300),
};
