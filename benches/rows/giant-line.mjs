import { most } from '../harness/goals.mjs';
import { loopColumns } from '../harness/observe.mjs';
import { growthOf } from '../workloads/giant-line.mjs';

export default {
  name: 'giant-line',
  title: '1 GiB without a line end to a listener: by how much the host grows',
  unit: 'MiB',
  better: 'lower',
  heavy: true,
  needsMiB: 4096,
  contenders: {
    engine: '@escher/execution-engine',
    readline: null,
    execa: 'execa',
    tinyexec: 'tinyexec',
    'nano-spawn': 'nano-spawn',
  },
  // A line that is longer than the longest string cannot be given as one, and these give lines as one.
  mayFail: ['readline', 'execa', 'tinyexec', 'nano-spawn'],
  goals: [most(32, 'MiB')],
  columns: [...loopColumns, { key: 'seconds', title: 's', digits: 2 }],
  run: growthOf,
};
