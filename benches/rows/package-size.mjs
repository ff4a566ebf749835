import { most } from '../harness/goals.mjs';
import { sizeOf } from '../workloads/package.mjs';

export default {
  name: 'package-size',
  title: 'size on the disk, including all packages that are needed',
  unit: 'MB',
  better: 'lower',
  contenders: {
    'engine (addon)': '@escher/execution-engine',
    engine: '@escher/execution-engine',
    execa: 'execa-10',
    tinyexec: 'tinyexec',
    'nano-spawn': 'nano-spawn',
    zx: 'zx',
  },
  ahead: Object.fromEntries(
    ['execa', 'tinyexec', 'nano-spawn', 'zx'].map((name) => [name, 'it is JavaScript alone, on the child_process of Node.js']),
  ),
  goals: [most(3, 'MB', { what: 'addon', of: 'engine (addon)' }), most(0, 'npm packages at run time', { key: 'packages' })],
  columns: [{ key: 'packages', title: 'packages needed', digits: 0 }],
  run: sizeOf,
};
