// A stream gives events that narrow on their type, and two promises.
import type { ExecutionEngine, ExecutionEvent, ExecutionResult, ExecutionStream } from '../../index.js';

import { assertType, type Equal } from './equal.js';

declare const engine: ExecutionEngine;

export async function lines(): Promise<string[]> {
  const stream = engine.stream({ command: { type: 'shell', command: 'ls' } });
  assertType<Equal<typeof stream, ExecutionStream>>();
  assertType<Equal<typeof stream.id, Promise<string>>>();
  assertType<Equal<typeof stream.result, Promise<ExecutionResult>>>();

  const found: string[] = [];
  for await (const event of stream) {
    assertType<Equal<typeof event, ExecutionEvent>>();
    if (event.type === 'stdout') found.push(event.line);
    // @ts-expect-error not every event has a line
    else found.push(event.line);
    if (event.type === 'timeout') assertType<Equal<typeof event.result.status, ExecutionResult['status']>>();
  }

  const iterator = stream[Symbol.asyncIterator]();
  const step = await iterator.next();
  if (step.done) assertType<Equal<typeof step.value, undefined>>();
  else assertType<Equal<typeof step.value, ExecutionEvent>>();
  // @ts-expect-error a stream is not iterated without await
  for (const event of stream) void event;
  return found;
}

export async function batches(): Promise<string[]> {
  const found: string[] = [];
  for await (const events of engine.stream({ command: { type: 'shell', command: 'ls' } }).batches()) {
    assertType<Equal<typeof events, ExecutionEvent[]>>();
    for (const event of events) if (event.type === 'stdout') found.push(event.line);
  }
  for await (const events of engine.stream({ command: { type: 'shell', command: 'ls' } }, { encoding: 'buffer' }).batches()) {
    assertType<Equal<typeof events, ExecutionEvent<Buffer>[]>>();
  }
  const plan = engine.streamPlan({ description: 'd', strategy: { type: 'serial' }, commands: [] });
  for await (const events of plan.batches()) assertType<Equal<typeof events, ExecutionEvent[]>>();
  return found;
}
