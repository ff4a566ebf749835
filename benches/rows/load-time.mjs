import { most } from '../harness/goals.mjs';
import { timeToLoad } from '../workloads/package.mjs';

export default {
  name: 'load-time',
  title: '`require` or `import` of the package, in a fresh process',
  unit: 'ms',
  better: 'lower',
  contenders: {
    engine: '@escher/execution-engine',
    'empty package': null,
    'empty package with exports': null,
    child_process: null,
    execa: 'execa-10',
    tinyexec: 'tinyexec',
    'nano-spawn': 'nano-spawn',
    zx: 'zx',
  },
  ahead: {
    'empty package': 'it has no code: this is what `require` costs',
    'empty package with exports': 'it has no code: this is what `require` costs',
    child_process: 'it is in the binary of Node.js, so that no file is read and nothing is compiled',
  },
  ratios: ['empty package with exports', 'execa', 'tinyexec', 'nano-spawn', 'zx'].map((to) => ({ of: 'engine', to })),
  goals: [most(5, 'ms')],
  columns: [{ key: 'growthMiB', title: 'RSS growth MiB', digits: 1 }],
  run: (contender) => timeToLoad(contender, 10),
};
