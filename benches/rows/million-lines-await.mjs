import { linesRow } from '../workloads/lines.mjs';
import { iteration } from '../workloads/readers.mjs';

export default linesRow({
  name: 'million-lines-await',
  title: '1 M lines (71 MB) of a child to `for await`, line by line',
  readers: iteration,
  contenders: {
    engine: '@escher/execution-engine',
    'engine (batches)': '@escher/execution-engine',
    readline: null,
    'data + split': null,
    execa: 'execa-10',
    tinyexec: 'tinyexec',
    'nano-spawn': 'nano-spawn',
    zx: 'zx',
    'Bun.spawn + split': 'bun',
    'Deno.Command + split': 'deno',
  },
  ahead: Object.fromEntries(
    ['data + split', 'Bun.spawn + split', 'Deno.Command + split'].map((name) => [
      name,
      'it makes only strings and waits once for each chunk, and the engine makes an event with id, time and number, and a promise, for each line',
    ]),
  ),
  ratios: [
    { of: 'engine', to: 'readline', goal: '≥ 2' },
    ...['execa', 'tinyexec', 'nano-spawn', 'zx', 'data + split'].map((to) => ({ of: 'engine', to })),
    { of: 'engine (batches)', to: 'data + split', goal: '≥ 0.9' },
  ],
});
