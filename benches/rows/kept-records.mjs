import { loopColumns } from '../harness/observe.mjs';
import { runsBeside } from '../workloads/records.mjs';

export default {
  name: 'kept-records',
  title: 'true, 8 at a time, beside 50 000 records',
  unit: 'commands/s',
  better: 'higher',
  contenders: { 'engine (50 000 records)': '@escher/execution-engine', 'engine (no records)': '@escher/execution-engine' },
  ratios: [{ of: 'engine (50 000 records)', to: 'engine (no records)', goal: '≥ 0.9' }],
  columns: [...loopColumns, { key: 'cpuMicros', title: 'CPU µs/command', digits: 0 }],
  run: (contender) => runsBeside(contender.includes('50 000') ? 50_000 : 0, 1500),
};
