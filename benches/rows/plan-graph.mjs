import { loopColumns } from '../harness/observe.mjs';
import { graphCost } from '../workloads/plans.mjs';

const needs = '@escher/execution-engine';

export default {
  name: 'plan-graph',
  title: 'a plan whose first step fails, time for each of its steps',
  unit: 'µs/step',
  better: 'lower',
  contenders: { 'chain of 1000': needs, 'chain of 10000': needs, 'fan of 1000': needs, 'fan of 10000': needs },
  bound: 'the copy of each step from JavaScript to Rust and of its result back',
  // A cost that grew with the square of the steps would be 10.
  ratios: [
    { of: 'chain of 10000', to: 'chain of 1000', goal: '≤ 1.5' },
    { of: 'fan of 10000', to: 'fan of 1000', goal: '≤ 1.5' },
  ],
  columns: loopColumns,
  run(contender) {
    const [shape, , steps] = contender.split(' ');
    return graphCost(shape, Number(steps));
  },
};
