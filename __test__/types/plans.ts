// A plan is data, its options are the host's, and what comes back says which step is which.
import { type ExecutionEngine, toSvg, toTrace } from '../../index.js';
import type {
  ExecutionEvent,
  ExecutionOptions,
  ExecutionPlan,
  ExecutionResult,
  ExecutionStrategy,
  PlanExecutionResult,
  PlanOptions,
  PlanStepOptions,
  PlanStream,
} from '../../index.js';

import { assertType, type Equal } from './equal.js';

declare const engine: ExecutionEngine;

const command = { command: { type: 'exec', program: 'true' } } as const;

export const right: ExecutionPlan[] = [
  { description: 'one', strategy: { type: 'serial' }, commands: [command] },
  { id: null, description: 'two', strategy: { type: 'serial', stopOnError: false }, commands: [command], metadata: { label: 'x' } },
  { description: 'three', strategy: { type: 'parallel', maxConcurrency: 2 }, commands: [command, command] as const },
  { description: 'four', strategy: { type: 'dependency_graph', dependencies: { 1: [0] } }, commands: [command, command] },
];

export const wrong: ExecutionPlan[] = [
  // @ts-expect-error a strategy is needed
  { description: 'one', commands: [command] },
  // @ts-expect-error there is no such strategy
  { description: 'one', strategy: { type: 'random' }, commands: [command] },
  // @ts-expect-error what is parallel has no order
  { description: 'one', strategy: { type: 'parallel', stopOnError: true }, commands: [command] },
  // @ts-expect-error dependencies are lists
  { description: 'one', strategy: { type: 'dependency_graph', dependencies: { 1: 0 } }, commands: [command] },
  // @ts-expect-error options are no data
  { description: 'one', strategy: { type: 'serial' }, commands: [{ ...command, retry: { attempts: 2 } }] },
];

assertType<Equal<ExecutionStrategy['type'], 'serial' | 'parallel' | 'dependency_graph'>>();
assertType<Equal<keyof PlanOptions, keyof ExecutionOptions | 'continueOnError' | 'deadlineMs' | 'steps'>>();
assertType<Equal<keyof PlanStepOptions, keyof ExecutionOptions | 'when'>>();
assertType<Equal<ReturnType<ExecutionEngine['executePlan']>, Promise<string>>>();
assertType<Equal<ReturnType<ExecutionEngine['runPlan']>, Promise<PlanExecutionResult>>>();
assertType<Equal<ReturnType<ExecutionEngine['waitForPlan']>, Promise<PlanExecutionResult>>>();
assertType<Equal<ReturnType<ExecutionEngine['streamPlan']>, PlanStream>>();

export async function picture(plan: ExecutionPlan): Promise<string> {
  const result = await engine.runPlan(plan, { deadlineMs: 5, continueOnError: true, steps: { 0: { retry: { attempts: 2 } } } });
  assertType<Equal<typeof result.results, ExecutionResult[]>>();
  assertType<Equal<(typeof result.steps)[number]['status'], ExecutionResult['status'] | 'skipped'>>();
  for await (const event of engine.streamPlan(plan)) assertType<Equal<typeof event, ExecutionEvent>>();
  // @ts-expect-error an execution is no plan
  toSvg(result.results[0]);
  return toTrace(result) + toSvg(result);
}
