import { grouped } from '../workloads/grouped.mjs';
import { queueColumns } from '../workloads/short-commands.mjs';

const needs = '@escher/execution-engine';

export default {
  name: 'queued-groups',
  title: 'true, 10 000 submitted at once, in 1 000 groups, of which 8 run at a time',
  unit: 'commands/s',
  better: 'higher',
  heavy: true,
  contenders: { grouped: needs, ungrouped: needs },
  ratios: [{ of: 'grouped', to: 'ungrouped', goal: '≥ 0.9' }],
  columns: queueColumns,
  run: (contender) => grouped(contender, { count: 10_000 }),
};
