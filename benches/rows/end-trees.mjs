import { most } from '../harness/goals.mjs';
import { SCALE_GOAL, scaled } from '../harness/scale.mjs';
import { contenders } from '../workloads/short-commands.mjs';
import { endGroups, endTrees } from '../workloads/trees.mjs';

const { engine } = contenders;
const TREES = { 'engine (2 000)': 2_000, 'engine (100)': 100, 'child_process (2 000)': 2_000, 'child_process (100)': 100 };

export default {
  name: 'end-trees',
  title: 'cancelAll() of 100 and of 2 000 trees of two processes, time for each tree',
  unit: 'µs/tree',
  better: 'lower',
  heavy: true,
  contenders: { 'engine (2 000)': engine, 'engine (100)': engine, 'child_process (2 000)': null, 'child_process (100)': null },
  ahead: {
    'child_process (2 000)': 'it signals each process group once, and looks for nothing that has left it',
    'child_process (100)': 'it signals each process group once, and looks for nothing that has left it',
  },
  ratios: [
    { of: 'engine (2 000)', to: 'engine (100)', goal: SCALE_GOAL },
    { of: 'child_process (2 000)', to: 'child_process (100)' },
  ],
  goals: [
    most(1_000, 'µs/tree', { what: '2 000', of: 'engine (2 000)' }),
    most(100, 'ms', { what: 'delay of the signal of a timeout of another engine', key: 'late', of: 'engine (2 000)' }),
    most(100, 'ms', { what: 'the same before the call', key: 'alone', of: 'engine (2 000)' }),
  ],
  columns: [
    { key: 'late', title: 'delay of the signal of a timeout of another engine, ms', digits: 1, worst: true },
    { key: 'alone', title: 'the same before the call, ms', digits: 1, worst: true },
    { key: 'over', title: 'delay of the end of such a command, ms', digits: 1, worst: true },
  ],
  run: (contender, { quick }) => (contender.startsWith('engine') ? endTrees : endGroups)(scaled(TREES[contender], quick)),
};
