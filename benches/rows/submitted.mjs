import { most } from '../harness/goals.mjs';
import { submitted } from '../workloads/submitted.mjs';

const needs = '@escher/execution-engine';

export default {
  name: 'submitted',
  title: '10 000 requests submitted in one turn of the event loop: how long it is blocked',
  unit: 'ms',
  better: 'lower',
  heavy: true,
  bound: 'copying each request out of JavaScript: no peer accepts requests without starting them',
  contenders: { executeMany: needs, execute: needs },
  ratios: [{ of: 'executeMany', to: 'execute', goal: '≤ 0.5' }],
  goals: [most(200, 'ms', { of: 'executeMany' })],
  run: (contender) => submitted(contender, { count: 10_000 }),
};
