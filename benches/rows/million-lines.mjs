import { most } from '../harness/goals.mjs';
import { linesRow } from '../workloads/lines.mjs';
import { listener } from '../workloads/readers.mjs';

export default linesRow({
  name: 'million-lines',
  title: '1 M lines (71 MB) of a child to a listener, line by line',
  readers: listener,
  contenders: {
    engine: '@escher/execution-engine',
    readline: null,
    'data + split': null,
    execa: 'execa-10',
    'execa transform': 'execa-10',
    tinyexec: 'tinyexec',
    'nano-spawn': 'nano-spawn',
    zx: 'zx',
  },
  ahead: { 'data + split': 'it makes only strings, and the engine an event with id, time and number for each line' },
  ratios: [
    { of: 'engine', to: 'readline', goal: '≥ 1.3' },
    { of: 'engine', to: 'execa', goal: '≥ 5' },
    { of: 'engine', to: 'execa transform' },
    { of: 'engine', to: 'tinyexec' },
    { of: 'engine', to: 'nano-spawn' },
    { of: 'engine', to: 'zx' },
    { of: 'engine', to: 'data + split', goal: '≥ 0.9' },
  ],
  goals: [most(20, 'ms', { what: 'loop p99', key: 'loopP99Ms' })],
});
