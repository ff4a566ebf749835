import { most } from '../harness/goals.mjs';
import { endGroups, endTrees } from '../workloads/trees.mjs';

const FEW = 100;
const MANY = 2_000;

export default {
  name: 'end-trees',
  title: 'cancelAll() of 100 and of 2 000 commands, time for each command',
  unit: 'µs/tree',
  better: 'lower',
  heavy: true,
  contenders: {
    'engine, 2 000': '@escher/execution-engine',
    'engine, 100': '@escher/execution-engine',
    'child_process, 2 000': null,
    'child_process, 100': null,
  },
  ratios: [{ of: 'engine, 2 000', to: 'engine, 100', goal: '≤ 2' }],
  goals: [
    most(1_000, 'µs/tree', { what: '2 000', of: 'engine, 2 000' }),
    most(100, 'ms', { what: 'delay of a timeout of another engine', key: 'late', of: 'engine, 2 000' }),
    most(100, 'ms', { what: 'the same before the call', key: 'alone', of: 'engine, 2 000' }),
  ],
  columns: [
    { key: 'late', title: 'delay of a timeout of another engine, ms', digits: 1, worst: true },
    { key: 'alone', title: 'the same before the call, ms', digits: 1, worst: true },
  ],
  run: (contender) => (contender.startsWith('engine') ? endTrees : endGroups)(contender.endsWith('2 000') ? MANY : FEW),
};
