// Results, errors and what the other methods give.
import { ExecutionError } from '../../index.js';
import type {
  ConcurrencyMetrics,
  ErrorCode,
  ExecutionEngine,
  ExecutionResult,
  ExecutionStats,
  ExecutionStatus,
  ExecutionSummary,
  Reason,
} from '../../index.js';

import { assertType, type Equal } from './equal.js';

declare const engine: ExecutionEngine;
declare const result: ExecutionResult;

assertType<Equal<typeof result.status, 'completed' | 'failed' | 'cancelled' | 'timeout'>>();
assertType<Equal<typeof result.exitCode, number | null>>();
assertType<Equal<typeof result.signal, string | null>>();
assertType<Equal<typeof result.pid, number | null>>();
assertType<Equal<typeof result.reason, Reason | undefined>>();
assertType<Equal<typeof result.killed, { pids: number[]; mechanism: string } | undefined>>();
assertType<Equal<typeof result.startedAt, Date>>();
assertType<Equal<typeof result.metadata.label, string | undefined>>();
assertType<Equal<Exclude<ExecutionStatus, ExecutionResult['status']>, 'pending' | 'running'>>();
// @ts-expect-error whether it succeeded is not its exit code
export const code: number = result.exitCode;

assertType<Equal<ReturnType<typeof engine.getStatus>, ExecutionStatus>>();
assertType<Equal<ReturnType<typeof engine.getResult<string>>, ExecutionResult>>();
assertType<Equal<ReturnType<typeof engine.listExecutions>, ExecutionSummary[]>>();
assertType<Equal<ReturnType<typeof engine.removeExecution>, void>>();
assertType<Equal<ReturnType<typeof engine.cleanup>, number>>();
assertType<Equal<ReturnType<typeof engine.getStats>, ExecutionStats>>();
assertType<Equal<ReturnType<typeof engine.getConcurrencyMetrics>, ConcurrencyMetrics>>();
assertType<Equal<ReturnType<typeof engine.waitForCompletion<string>>, Promise<ExecutionResult>>>();
assertType<Equal<ReturnType<typeof engine.cancel>, Promise<void>>>();
assertType<Equal<ReturnType<typeof engine.cancelAll>, Promise<number>>>();
assertType<Equal<ReturnType<typeof engine.shutdown>, Promise<void>>>();

engine.listExecutions({ status: 'running', label: 'a', limit: 5 });
// @ts-expect-error there is no such status
engine.listExecutions({ status: 'done' });
// @ts-expect-error it is called graceMs
void engine.shutdown({ grace: 5 });
void engine.shutdown({ graceMs: null });
engine
  .ref()
  .unref()
  .on('stdout', () => {});

export function explain(error: unknown): string {
  if (!(error instanceof ExecutionError)) return 'not ours';
  assertType<Equal<typeof error.code, ErrorCode>>();
  assertType<Equal<typeof error.field, string | undefined>>();
  assertType<Equal<typeof error.errno, string | undefined>>();
  assertType<Equal<typeof error.executionId, string | undefined>>();
  assertType<Equal<typeof error.result, ExecutionResult | undefined>>();
  assertType<Equal<typeof error.name, 'ExecutionError'>>();
  // @ts-expect-error there is no such code
  if (error.code === 'NOPE') return 'never';
  return error.code === 'SPAWN_FAILED' ? `${error.errno}` : error.message;
}
