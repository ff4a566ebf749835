import { most } from '../harness/goals.mjs';
import { loopColumns } from '../harness/observe.mjs';
import { growthOf } from '../workloads/giant-line.mjs';

export default {
  name: 'giant-line',
  title: '1 GiB without a line end to a listener: growth of the memory of the host',
  unit: 'MiB',
  better: 'lower',
  heavy: true,
  needsMiB: 4096,
  contenders: {
    engine: '@escher/execution-engine',
    readline: null,
    execa: 'execa-10',
    tinyexec: 'tinyexec',
    'nano-spawn': 'nano-spawn',
  },
  // These contenders produce a line as one string, and no string can be as long as this line.
  mayFail: ['readline', 'execa', 'tinyexec', 'nano-spawn'],
  goals: [most(32, 'MiB')],
  columns: [...loopColumns, { key: 'seconds', title: 's', digits: 2 }],
  run: growthOf,
};
