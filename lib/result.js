'use strict';

const { setOwn } = require('./caller-code.js');
const { ExecutionError } = require('./errors.js');
const native = require('./native.js');
const { makeDates } = require('./protocol.js');

/** @typedef {import('../index.js').ExecutionResult} ExecutionResult */
/** @typedef {import('../index.js').ErrorInfo} ErrorInfo */
/** The addon's own hold on a result: no copy of the output. @typedef {object} NativeResult */

/** A result that is copied out of the addon when it is first read, and only then; or one that is here already. */
class Outcome {
  /** @type {NativeResult | undefined} */ #native;
  /** @type {ExecutionResult | undefined} */ #result;
  /** @type {ErrorInfo | undefined} */ #error;

  /** The cause of a failure, if it arose on this thread. @type {{ error: unknown } | undefined} */
  cause;

  /** The reason of the abort signal that ended it. @type {{ reason: unknown } | undefined} */
  aborted;

  /**
   * @param {NativeResult | undefined} native
   * @param {ExecutionResult} [result]
   */
  constructor(native, result) {
    this.#native = native;
    this.#result = result;
  }

  /** @returns {ExecutionResult} */
  get result() {
    if (this.#result === undefined) {
      const held = /** @type {any} */ (this.#native);
      this.#error = this.error;
      this.#result = toResult(held);
      // From here on the memory that it takes belongs to the engine and the result.
      native.NativeEngine.releaseResult(held);
      this.#native = undefined;
      if (this.aborted && this.#result.reason === 'aborted') setOwn(this.#result, 'abortReason', this.aborted.reason);
    }
    return this.#result;
  }

  /** The result without output that is long: it is copied by `result` alone. @returns {any} */
  get facts() {
    return this.#native === undefined ? this.#result : JSON.parse(native.NativeEngine.resultText(/** @type {any} */ (this.#native)));
  }

  /** The error that kept the engine from doing its part. @returns {ErrorInfo | undefined} */
  get error() {
    if (this.#native === undefined) return this.#error;
    const text = native.NativeEngine.resultError(/** @type {any} */ (this.#native));
    return text === null ? undefined : JSON.parse(text);
  }

  /**
   * Returns the result that a waiter gets.
   *
   * @returns {ExecutionResult}
   * @throws {ExecutionError} When the engine could not do its part.
   */
  unwrap() {
    // The addon's, and not the result's own: a listener may have changed that object.
    const { error, result } = this;
    if (error) {
      const { code, message, errno } = error;
      // A part of an accepted request that turned out to be invalid.
      const field = code === 'INVALID_REQUEST' ? /^invalid request: (.+?): /.exec(message)?.[1] : undefined;
      const cause = this.cause && { cause: this.cause.error };
      const failure = new ExecutionError(code, message, { executionId: result.id, errno, field, result, ...cause });
      Error.captureStackTrace(failure, Outcome.prototype.unwrap);
      throw failure;
    }
    return result;
  }
}

// The class inherits nothing, so that a promise can be resolved with it where `Object.prototype` has a `then`.
Object.setPrototypeOf(Outcome.prototype, null);

/**
 * @param {any} held
 * @returns {ExecutionResult}
 */
function toResult(held) {
  const object = JSON.parse(native.NativeEngine.resultText(held));
  object.stdout ??= native.NativeEngine.resultOutput(held, false);
  object.stderr ??= native.NativeEngine.resultOutput(held, true);
  makeDates(object);
  for (const retry of Object.hasOwn(object, 'retries') ? object.retries : []) retry.startedAt = new Date(retry.startedAt);
  return object;
}

module.exports = { Outcome };
