import { columns } from '../workloads/short-commands.mjs';
import { stepCost } from '../workloads/plans.mjs';

const needs = '@escher/execution-engine';

export default {
  name: 'plan-steps',
  title: 'true, 8 at a time, as the steps of one plan',
  unit: 'commands/s',
  better: 'higher',
  contenders: { fan: needs, run: needs },
  bound: 'the commands themselves: `short-commands` has the limit',
  ratios: [{ of: 'fan', to: 'run', goal: '≥ 0.9' }],
  columns,
  run: (contender) => stepCost(contender, 2000),
};
