import { most } from '../harness/goals.mjs';
import { growthColumn, loopColumns } from '../harness/observe.mjs';
import { capture } from '../workloads/captured.mjs';
import { files } from '../workloads/lines.mjs';

export default {
  name: 'captured',
  title: '71 MB of a child as one text, without a listener',
  unit: 'ms',
  better: 'lower',
  contenders: {
    engine: '@escher/execution-engine',
    'engine (default cap)': '@escher/execution-engine',
    execFile: null,
    execa: 'execa-10',
    tinyexec: 'tinyexec',
    'nano-spawn': 'nano-spawn',
    zx: 'zx',
    'Bun.spawn': 'bun',
    'Deno.Command': 'deno',
    limit: 'limit',
  },
  ratios: [
    { of: 'engine', to: 'execa', goal: '≤ 0.5' },
    { of: 'engine', to: 'execFile' },
    { of: 'engine', to: 'tinyexec' },
    { of: 'engine', to: 'limit' },
  ],
  goals: [most(42, 'MiB', { what: 'peak RSS growth of the default cap (10 MiB)', key: 'growthMiB', of: 'engine (default cap)' })],
  columns: [...loopColumns, { key: 'cpuMs', title: 'CPU ms', digits: 0 }, growthColumn],
  ...files,
  run: capture,
};
