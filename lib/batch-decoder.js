'use strict';

const { report, setOwn, slots, withoutPrototype } = require('./caller-code.js');
const { ABSENT, EVENT_TYPES, GROUP, LINE, readEvent, readExitResult } = require('./protocol.js');
const { Outcome } = require('./result.js');

/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {import('../index.js').OutputEvent<'stdout' | 'stderr', string | Buffer>} OutputEvent */
/** @typedef {import('../index.js').DataEvent<string | Buffer>} DataEvent */
/** @typedef {import('../index.js').EndEvent} EndEvent */
/** @typedef {import('../index.js').ProgressEvent} ProgressEvent */
/** @typedef {InstanceType<typeof import('./result.js').Outcome>} ResultOutcome */
/** @typedef {InstanceType<typeof import('./plan.js').PlanOutcome>} PlanResultOutcome */
/** A batch from the addon. A short one is its text alone: its numbers are in the array that JavaScript passed. @typedef {NonNullable<ReturnType<import('../binding.js').NativeEngine['take']>>} Batch */

/**
 * The receiver of the events of a batch.
 *
 * @template E
 * @typedef {object} Consumer
 * @property {(handle: number) => E | undefined} find The execution of a handle, if it has a listener.
 * @property {(execution: E, event: ExecutionEvent) => void} event
 * @property {(execution: E, events: (OutputEvent | DataEvent)[]) => void} lines The lines, or the data, of one read.
 * @property {(type: EndEvent['type'], execution: E, event: (() => EndEvent), outcome: () => ResultOutcome) => void} end
 * @property {(id: string, result: import('../index.js').ExecutionResult) => import('../index.js').ExecutionResult} exited A result that came with its event, as it may be shown.
 * @property {(position: number) => object} outcome The addon's result at a position of the batch.
 * @property {(execution: E, isWanted: boolean) => void} input The child can take more of its standard input, or takes none any more.
 * @property {(execution: E) => string} id
 * @property {(execution: E, event: ProgressEvent, outcome: (() => PlanResultOutcome) | undefined) => void} progress The last one has an outcome.
 * @property {(position: number) => object} planOutcome The addon's plan result at a position of the batch.
 */

const NO_BYTES = new Uint8Array(0);
/** A part of such a text may hold it all. */
const SMALL_TEXT = 2048;

/**
 * Reads a batch. Its form is described in `src/binding/batch.rs`, and what is in it in `protocol.js`.
 *
 * @template E
 * @param {Batch} batch
 * @param {Float64Array} shared The numbers of a short batch, after their count. The count is negative if no other batch is ready.
 * @param {Consumer<E>} consumer
 */
function readBatch(batch, shared, consumer) {
  const isShort = typeof batch === 'string';
  const { text, numbers, bytes = NO_BYTES } = isShort ? { text: batch, numbers: shared } : batch;
  let offset = 0;
  let byteOffset = bytes.byteOffset;
  let at = isShort ? 1 : 0;
  const end = isShort ? 1 + Math.abs(/** @type {number} */ (shared[0])) : numbers.length;
  /** @returns {number} The next number. */
  const next = () => /** @type {number} */ (numbers[at++]);
  /** @param {number} length */
  const take = (length) => text.slice(offset, (offset += length));
  /** A short text that is kept for long must not hold the text of a whole batch. @param {number} length */
  const takeCopy = (length) => (text.length <= SMALL_TEXT || length < 13 ? take(length) : Buffer.from(take(length)).toString());
  /** A part of the batch's own memory, which nothing else is in. @param {number} length */
  const takeBytes = (length) => {
    const taken = Buffer.from(bytes.buffer, byteOffset, length);
    byteOffset += length;
    return taken;
  };

  while (at < end) {
    const group = next();
    const execution = consumer.find(next());
    const timestamp = new Date(next());
    const sequence = next();
    const executionId = execution === undefined ? '' : consumer.id(execution);
    // Each group is read to its end before its consumer is called, so an error in one does not affect the others.
    try {
      switch (group) {
        case GROUP.STDOUT:
        case GROUP.STDERR:
        case GROUP.STDOUT_BYTES:
        case GROUP.STDERR_BYTES: {
          const type = group === GROUP.STDOUT || group === GROUP.STDOUT_BYTES ? 'stdout' : 'stderr';
          const isText = group === GROUP.STDOUT || group === GROUP.STDERR;
          const count = next();
          /** @type {OutputEvent[]} */
          const events = slots(count);
          for (let index = 0; index < count; index++) {
            const packed = next();
            // The operand is an integer: for the remainder of a double V8 calls a function.
            const flags = packed < 2 ** 31 ? (packed | 0) % LINE.FLAGS : packed % LINE.FLAGS;
            const length = (packed - flags) / LINE.FLAGS;
            const line = isText ? take(length) : takeBytes(length);
            /** @type {OutputEvent} */
            const event = { type, executionId, timestamp, sequence: sequence + index, line };
            if (flags !== 0) setFlags(event, flags);
            events[index] = event;
          }
          if (execution !== undefined) consumer.lines(execution, events);
          break;
        }
        case GROUP.DATA:
        case GROUP.DATA_BYTES: {
          // The output comes as one line.
          next();
          const length = next() / LINE.FLAGS;
          const data = group === GROUP.DATA ? take(length) : takeBytes(length);
          if (execution !== undefined) consumer.lines(execution, [{ type: 'data', executionId, timestamp, sequence, data }]);
          break;
        }
        case GROUP.COMPLETED_BY_EXIT:
        case GROUP.FAILED_BY_EXIT: {
          const type = group === GROUP.COMPLETED_BY_EXIT ? 'completed' : 'failed';
          const result = readExitResult(executionId, type, next, takeCopy);
          if (execution === undefined) break;
          const outcome = new Outcome(undefined, consumer.exited(executionId, result));
          consumer.end(
            type,
            execution,
            () => endEvent(type, executionId, timestamp, sequence, outcome),
            () => outcome,
          );
          break;
        }
        case GROUP.COMPLETED:
        case GROUP.FAILED:
        case GROUP.CANCELLED:
        case GROUP.TIMEOUT: {
          const type = EVENT_TYPES[group];
          const position = next();
          if (execution === undefined) break;
          /** @type {ResultOutcome | undefined} */
          let outcome;
          const getOutcome = () => (outcome ??= new Outcome(consumer.outcome(position)));
          consumer.end(type, execution, () => endEvent(type, executionId, timestamp, sequence, getOutcome()), getOutcome);
          break;
        }
        case GROUP.INPUT: {
          const isWanted = next() === 1;
          if (execution !== undefined) consumer.input(execution, isWanted);
          break;
        }
        default: {
          const event = /** @type {ExecutionEvent} */ (readEvent(group, executionId, timestamp, sequence, next, take));
          const position = event.type === 'retry' || event.type === 'progress' ? next() : ABSENT;
          if (execution === undefined) break;
          if (event.type === 'progress') {
            const outcome = position === ABSENT ? undefined : toPlanOutcome(consumer.planOutcome(position));
            if (outcome) withResult(event, outcome);
            consumer.progress(execution, event, outcome && (() => outcome));
            break;
          }
          consumer.event(execution, position === ABSENT ? event : withResult(event, new Outcome(consumer.outcome(position))));
        }
      }
    } catch (error) {
      report(error);
    }
  }
}

/**
 * @param {OutputEvent} event
 * @param {number} flags
 */
function setFlags(event, flags) {
  if (flags & LINE.PARTIAL) setOwn(event, 'partial', true);
  if (flags & LINE.CONTINUED) setOwn(event, 'continued', true);
  if (flags & LINE.CARRIAGE_RETURN) setOwn(event, 'carriageReturn', true);
}

/** @param {object} result */
function toPlanOutcome(result) {
  const { PlanOutcome } = require('./plan.js');
  return new PlanOutcome(result);
}

/**
 * @param {EndEvent['type']} type
 * @param {string} executionId
 * @param {Date} timestamp
 * @param {number} sequence
 * @param {ResultOutcome} outcome
 * @returns {EndEvent}
 */
function endEvent(type, executionId, timestamp, sequence, outcome) {
  const event = { type, executionId, timestamp, sequence };
  const error = outcome.error;
  if (error) setOwn(event, 'error', error);
  return /** @type {EndEvent} */ (withResult(event, outcome));
}

/**
 * Adds the result to an event. The output is copied only when it is read.
 *
 * @template {object} T
 * @param {T} event
 * @param {{ result: unknown }} outcome
 * @returns {T}
 */
function withResult(event, outcome) {
  return Object.defineProperty(event, 'result', withoutPrototype({ get: () => outcome.result, enumerable: true, configurable: true }));
}

module.exports = { readBatch };
