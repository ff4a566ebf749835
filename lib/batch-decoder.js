'use strict';

const { own, put, report, slots } = require('./caller-code.js');
const { Outcome, exited } = require('./result.js');

/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {import('../index.js').OutputEvent<'stdout' | 'stderr', string | Buffer>} OutputEvent */
/** @typedef {import('../index.js').EndEvent} EndEvent */
/** @typedef {import('../index.js').ProgressEvent} ProgressEvent */
/** @typedef {import('../index.js').RetryEvent} RetryEvent */
/** @typedef {InstanceType<typeof import('./result.js').Outcome>} ResultOutcome */
/** @typedef {InstanceType<typeof import('./plan.js').PlanOutcome>} PlanResultOutcome */
/** A batch as the addon gives it: a short one is its text, and its numbers are in what it was given. @typedef {NonNullable<ReturnType<import('../binding.js').NativeEngine['take']>>} Batch */

/**
 * The receiver of the events of a batch.
 *
 * @template E
 * @typedef {object} Consumer
 * @property {(handle: number) => E | undefined} find The execution of a handle, if it has a listener.
 * @property {(execution: E, event: ExecutionEvent) => void} event
 * @property {(execution: E, events: OutputEvent[]) => void} lines The lines of one read.
 * @property {(type: EndEvent['type'], execution: E, event: (() => EndEvent), outcome: () => ResultOutcome) => void} end
 * @property {(position: number) => object} outcome The addon's result at a position of the batch.
 * @property {(execution: E, isWanted: boolean) => void} input The child wants more of its standard input, or none any more.
 * @property {(execution: E) => string} id
 * @property {(execution: E, event: ProgressEvent, outcome: (() => PlanResultOutcome) | undefined) => void} progress The last one has an outcome.
 * @property {(position: number) => object} planOutcome The addon's plan result at a position of the batch.
 */

const ENDED = /** @type {const} */ ({ 4: 'completed', 5: 'failed', 6: 'cancelled', 7: 'timeout' });
const PARTIAL = 1;
const CONTINUED = 2;
const CARRIAGE_RETURN = 4;
const NO_BYTES = new Uint8Array(0);
/** A part of such a text may hold it all. */
const SMALL_TEXT = 2048;

/**
 * Reads a batch; its form is described in `src/binding/batch.rs`.
 *
 * @template E
 * @param {Batch} batch
 * @param {Float64Array} shared The count of the numbers of a short batch, negative if there is no other for now, and these.
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
  /** One that is kept for long must not hold the text of a whole batch. @param {number} length */
  const takeCopy = (length) => (text.length <= SMALL_TEXT || length < 13 ? take(length) : Buffer.from(take(length)).toString());
  /** A part of the batch's own memory, which nothing else is in. @param {number} length */
  const takeBytes = (length) => {
    const taken = Buffer.from(bytes.buffer, byteOffset, length);
    byteOffset += length;
    return taken;
  };

  while (at < end) {
    const kind = next();
    const execution = consumer.find(next());
    const timestamp = new Date(next());
    const sequence = next();
    const executionId = execution === undefined ? '' : consumer.id(execution);
    // Each group is read to its end before its consumer is called, so whatever breaks one leaves the others as they are.
    try {
      switch (kind) {
        case 0: {
          const command = take(next());
          if (execution !== undefined) consumer.event(execution, { type: 'queued', executionId, timestamp, sequence, command });
          break;
        }
        case 1: {
          const pid = next();
          const command = take(next());
          if (execution !== undefined) consumer.event(execution, { type: 'started', executionId, timestamp, sequence, command, pid });
          break;
        }
        case 8: {
          const message = take(next());
          if (execution !== undefined) consumer.event(execution, { type: 'degraded', executionId, timestamp, sequence, message });
          break;
        }
        case 9: {
          const attempt = next();
          const attempts = next();
          const delayMs = next();
          const position = next();
          if (execution === undefined) break;
          const event = { type: 'retry', executionId, timestamp, sequence, attempt, attempts, delayMs };
          consumer.event(execution, /** @type {RetryEvent} */ (withResult(event, new Outcome(consumer.outcome(position)))));
          break;
        }
        case 10: {
          const completed = next();
          const failed = next();
          const skipped = next();
          const total = next();
          const ended = next();
          const length = next();
          const currentCommand = length < 0 ? null : take(length);
          const position = next();
          if (execution === undefined) break;
          const status = ended === 0 ? /** @type {const} */ ('running') : ENDED[/** @type {4 | 5 | 6 | 7} */ (ended)];
          /** @type {ProgressEvent} */
          const event = {
            type: 'progress',
            executionId,
            planId: executionId,
            timestamp,
            sequence,
            completed,
            failed,
            skipped,
            total,
            currentCommand,
            status,
          };
          if (position < 0) {
            consumer.progress(execution, event, undefined);
            break;
          }
          const { PlanOutcome } = require('./plan.js');
          const outcome = new PlanOutcome(consumer.planOutcome(position));
          consumer.progress(execution, /** @type {ProgressEvent} */ (withResult(event, outcome)), () => outcome);
          break;
        }
        case 2:
        case 3:
        case 11:
        case 12: {
          const type = kind === 2 || kind === 11 ? 'stdout' : 'stderr';
          const count = next();
          /** @type {OutputEvent[]} */
          const events = slots(count);
          for (let index = 0; index < count; index++) {
            const packed = next();
            const flags = packed & 7;
            const length = (packed - flags) / 8;
            const line = kind < 11 ? take(length) : takeBytes(length);
            /** @type {OutputEvent} */
            const event = { type, executionId, timestamp, sequence: sequence + index, line };
            if (flags !== 0) flag(event, flags);
            events[index] = event;
          }
          if (execution !== undefined) consumer.lines(execution, events);
          break;
        }
        case 14:
        case 15: {
          const type = kind === 14 ? 'completed' : 'failed';
          const outcome = new Outcome(undefined, exited(executionId, kind === 14, next, takeCopy));
          if (execution === undefined) break;
          consumer.end(
            type,
            execution,
            () => endEvent(type, executionId, timestamp, sequence, outcome),
            () => outcome,
          );
          break;
        }
        case 13: {
          const isWanted = next() === 1;
          if (execution !== undefined) consumer.input(execution, isWanted);
          break;
        }
        default: {
          const type = ENDED[/** @type {4 | 5 | 6 | 7} */ (kind)];
          const position = next();
          if (execution === undefined) break;
          /** @type {ResultOutcome | undefined} */
          let outcome;
          const getOutcome = () => (outcome ??= new Outcome(consumer.outcome(position)));
          consumer.end(type, execution, () => endEvent(type, executionId, timestamp, sequence, getOutcome()), getOutcome);
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
function flag(event, flags) {
  if (flags & PARTIAL) put(event, 'partial', true);
  if (flags & CONTINUED) put(event, 'continued', true);
  if (flags & CARRIAGE_RETURN) put(event, 'carriageReturn', true);
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
  if (error) put(event, 'error', error);
  return /** @type {EndEvent} */ (withResult(event, outcome));
}

/**
 * The output is copied only when it is read.
 *
 * @param {object} event
 * @param {{ result: unknown }} outcome
 */
function withResult(event, outcome) {
  return Object.defineProperty(event, 'result', own({ get: () => outcome.result, enumerable: true, configurable: true }));
}

module.exports = { readBatch };
