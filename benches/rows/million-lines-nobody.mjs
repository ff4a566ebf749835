import { linesRow } from '../workloads/lines.mjs';
import { nobody } from '../workloads/readers.mjs';

export default linesRow({
  name: 'million-lines-nobody',
  title: '1 M lines (71 MB) of a child that nobody listens to',
  readers: nobody,
  contenders: {
    engine: '@escher/execution-engine',
    child_process: null,
    execa: 'execa',
    'Bun.spawn': 'bun',
    'Deno.Command': 'deno',
    limit: 'limit',
  },
  ratios: ['limit', 'child_process', 'execa'].map((to) => ({ of: 'engine', to })),
});
