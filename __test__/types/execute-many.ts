// Each entry of `executeMany` is an id or an error, by its status.
import type { ExecutionEngine, ExecutionError, ExecutionRequest, SubmissionOutcome } from '../../index.js';

import { assertType, type Equal } from './equal.js';

declare const engine: ExecutionEngine;
declare const requests: readonly ExecutionRequest[];

export async function ids(): Promise<string[]> {
  const outcomes = await engine.executeMany(requests, { priority: 1 });
  assertType<Equal<typeof outcomes, SubmissionOutcome[]>>();
  // The outcome has the form of what Promise.allSettled gives.
  const settled: PromiseSettledResult<string>[] = outcomes;
  const found: string[] = [];
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') found.push(outcome.value);
    else assertType<Equal<typeof outcome.reason, ExecutionError>>();
    // @ts-expect-error it may have been refused
    found.push(outcome.value);
  }
  // @ts-expect-error one request is no list
  await engine.executeMany({ command: { type: 'exec', program: 'true' } });
  return settled.length > 0 ? found : [];
}
