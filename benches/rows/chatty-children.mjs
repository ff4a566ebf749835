import { most } from '../harness/goals.mjs';
import { columns, heard } from '../workloads/chatty.mjs';

export default {
  name: 'chatty-children',
  title: '100 children at once, 1 000 lines each, one write for each line',
  unit: 'lines/s',
  better: 'higher',
  contenders: {
    engine: '@escher/execution-engine',
    readline: null,
    execa: 'execa',
    tinyexec: 'tinyexec',
    'nano-spawn': 'nano-spawn',
  },
  ratios: ['readline', 'execa', 'tinyexec', 'nano-spawn'].map((to) => ({ of: 'engine', to })),
  goals: [most(20, 'ms', { what: 'loop p99', key: 'loopP99Ms' })],
  columns,
  run: heard,
};
