// The type of an event depends on the name that the listener listens to.
import type {
  EndEvent,
  ErrorInfo,
  ExecutionEngine,
  ExecutionEvent,
  ExecutionEvents,
  ExecutionResult,
  OutputEvent,
  QueuedEvent,
  StartedEvent,
} from '../../index.js';

import { assertType, type Equal } from './equal.js';

declare const engine: ExecutionEngine;

engine.on('queued', (event) => void assertType<Equal<typeof event, QueuedEvent>>());
engine.on('started', (event) => {
  assertType<Equal<typeof event, StartedEvent>>();
  assertType<Equal<typeof event.pid, number>>();
});
engine.on('stdout', (event) => {
  assertType<Equal<typeof event, OutputEvent<'stdout'>>>();
  assertType<Equal<typeof event.type, 'stdout'>>();
  assertType<Equal<typeof event.line, string>>();
  assertType<Equal<typeof event.partial, true | undefined>>();
  assertType<Equal<typeof event.continued, true | undefined>>();
  assertType<Equal<typeof event.carriageReturn, true | undefined>>();
});
engine.once('stderr', (event) => void assertType<Equal<typeof event.type, 'stderr'>>());
engine.addListener('completed', (event) => {
  assertType<Equal<typeof event, EndEvent<'completed'>>>();
  assertType<Equal<typeof event.result, ExecutionResult>>();
  assertType<Equal<typeof event.error, ErrorInfo | undefined>>();
});
engine.prependListener('failed', (event) => void assertType<Equal<typeof event.type, 'failed'>>());
engine.on('cancelled', (event) => void assertType<Equal<typeof event.type, 'cancelled'>>());
engine.on('timeout', (event) => void assertType<Equal<typeof event.timestamp, Date>>());
engine.off('timeout', () => {});

assertType<Equal<ExecutionEvents['event'], [ExecutionEvent]>>();
assertType<Equal<ExecutionEvent['type'], Exclude<keyof ExecutionEvents, 'event'>>>();
assertType<Equal<ExecutionEvent['sequence'], number>>();

engine.on('event', (event) => {
  assertType<Equal<typeof event, ExecutionEvent>>();
  switch (event.type) {
    case 'started':
      return void event.pid;
    case 'waiting':
      return void assertType<Equal<typeof event.for, 'stdin' | 'terminal'>>();
    case 'exited':
      return void assertType<Equal<typeof event.exitCode, number | null>>();
    case 'degraded':
      return void event.message;
    case 'retry':
      return void event.result.stdout;
    case 'progress':
      return void event.result?.steps;
    case 'stdout':
    case 'stderr':
      return void event.line;
    case 'data':
      return void event.data;
    case 'completed':
    case 'failed':
    case 'cancelled':
    case 'timeout':
      return void event.result.stdout;
    default:
      // A program need not know every type.
      return void event.timestamp;
  }
});

engine.on('event', (event) => {
  // @ts-expect-error only some events have a line
  void event.line;
  // @ts-expect-error only the last one has a result
  void event.result;
});
engine.on('completed', (event) => {
  // @ts-expect-error it is read-only
  event.result = {} as ExecutionResult;
});

// @ts-expect-error the types of the payload do not fit
engine.on('stdout', (event: StartedEvent) => void event);
// @ts-expect-error a listener gets one event
engine.on('stdout', (_event, _more) => {});
