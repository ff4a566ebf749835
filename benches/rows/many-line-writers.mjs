import { most } from '../harness/goals.mjs';
import { columns, linesPerSecond } from '../workloads/line-writers.mjs';

export default {
  name: 'many-line-writers',
  title: '100 children at once that write 1 000 lines each, one write for each line',
  unit: 'lines/s',
  better: 'higher',
  contenders: {
    engine: '@escher/execution-engine',
    readline: null,
    execa: 'execa-10',
    tinyexec: 'tinyexec',
    'nano-spawn': 'nano-spawn',
  },
  ratios: [{ of: 'engine', to: 'readline', goal: '≥ 1' }, ...['execa', 'tinyexec', 'nano-spawn'].map((to) => ({ of: 'engine', to }))],
  goals: [most(20, 'ms', { what: 'loop p99', key: 'loopP99Ms' })],
  columns,
  run: linesPerSecond,
};
