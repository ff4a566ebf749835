import { linesRow } from '../workloads/lines.mjs';
import { discarding } from '../workloads/readers.mjs';

export default linesRow({
  name: 'million-lines-discarded',
  title: '1 M lines (71 MB) of a child, without a listener',
  readers: discarding,
  contenders: {
    engine: '@escher/execution-engine',
    child_process: null,
    execa: 'execa-10',
    'Bun.spawn': 'bun',
    'Deno.Command': 'deno',
    limit: 'limit',
  },
  ahead: { 'Bun.spawn': 'it keeps nothing, and the engine counts the lines and keeps the first and the last 5 MiB' },
  ratios: ['limit', 'child_process', 'execa'].map((to) => ({ of: 'engine', to })),
});
