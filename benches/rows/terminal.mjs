import { growthColumn, loopColumns } from '../harness/observe.mjs';
import { files } from '../workloads/lines.mjs';
import { throughTerminal } from '../workloads/terminal.mjs';

export default {
  name: 'terminal',
  title: '71 MB of a child through a terminal to a listener',
  unit: 'ms',
  better: 'lower',
  contenders: { engine: '@escher/execution-engine', script: null, 'python pty': null },
  // Not every machine has these programs.
  mayFail: ['script', 'python pty'],
  ratios: [
    { of: 'engine', to: 'script' },
    { of: 'engine', to: 'python pty' },
  ],
  columns: [...loopColumns, { key: 'cpuMs', title: 'CPU ms', digits: 0 }, growthColumn],
  ...files,
  run: throughTerminal,
};
