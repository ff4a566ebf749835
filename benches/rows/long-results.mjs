import { longFile, readLongResults } from '../workloads/long-results.mjs';

export default {
  name: 'long-results',
  title: '300 results of 5 MB, read one after the other and dropped: the largest resident memory',
  unit: 'MiB',
  better: 'lower',
  contenders: { engine: '@escher/execution-engine', execFile: null, execa: 'execa' },
  ratios: [
    { of: 'engine', to: 'execFile', goal: '≤ 1.5' },
    { of: 'engine', to: 'execa' },
  ],
  columns: [{ key: 'seconds', title: 'seconds', digits: 1 }],
  ...longFile,
  run: readLongResults,
};
