import { cpuGoal, queueColumns, queued } from '../workloads/short-commands.mjs';

const needs = '@escher/execution-engine';

export default {
  name: 'queued',
  title: 'true, 10 000 submitted at once, of which 8 run at a time',
  unit: 'commands/s',
  better: 'higher',
  heavy: true,
  contenders: { engine: needs, 'engine (8 submitted at a time)': needs, limit: 'limit' },
  ratios: [
    { of: 'engine', to: 'engine (8 submitted at a time)' },
    { of: 'engine', to: 'limit', goal: '≥ 0.8' },
  ],
  goals: [cpuGoal],
  columns: queueColumns,
  run: (contender, { limit }) => queued(contender, { limit, count: 10_000 }),
};
