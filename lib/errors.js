'use strict';

const { setOwn, withoutPrototype } = require('./caller-code.js');

/** @typedef {import('../index.js').ErrorCode} ErrorCode */
/** @typedef {import('../index.js').ExecutionResult} ExecutionResult */
/** @typedef {{ executionId?: string, field?: string, errno?: string, result?: ExecutionResult, cause?: unknown }} Details */

/** Masks secrets in the texts of refusals. @typedef {(texts: string[]) => string[]} Mask */

/** Marks the errors of every copy of this package: several can be in one process, in several versions. */
const BRAND = Symbol.for('@escher/execution-engine/ExecutionError');
/** Node.js 14 and 16 lack the first: they get the error that says so. */
const hasOwn = Object.hasOwn ?? Function.prototype.call.bind(Object.prototype.hasOwnProperty);
const isInstance = Function.prototype[Symbol.hasInstance];

class ExecutionError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {Details} [details]
   */
  constructor(code, message, details = {}) {
    const { executionId, field, errno, result } = /** @type {Details} */ (withoutPrototype({ ...details }));
    super(message, hasOwn(details, 'cause') ? { cause: details.cause } : undefined);
    setOwn(this, 'code', code);
    // Absent details leave no key behind.
    if (executionId !== undefined) setOwn(this, 'executionId', executionId);
    if (field !== undefined) setOwn(this, 'field', field);
    if (errno !== undefined) setOwn(this, 'errno', errno);
    // The property is not enumerable: a logged error must not print megabytes of output.
    if (result !== undefined)
      Object.defineProperty(this, 'result', withoutPrototype({ value: result, configurable: true, writable: true }));
  }

  /** @override */
  get name() {
    return /** @type {const} */ ('ExecutionError');
  }
}

/**
 * Whether it is an error of this package, of this copy or another. A class that extends this one has instances of its own.
 *
 * @this {Function}
 * @param {any} value
 */
function hasInstance(value) {
  try {
    return (
      isInstance.call(this, value) || (this === ExecutionError && typeof value === 'object' && value !== null && value[BRAND] === true)
    );
  } catch {
    // A proxy of the caller that is revoked, or has traps that throw.
    return false;
  }
}

Object.defineProperty(ExecutionError, Symbol.hasInstance, withoutPrototype({ value: hasInstance }));

Object.defineProperty(ExecutionError.prototype, BRAND, withoutPrototype({ value: true }));

/**
 * Calls the addon; what it throws becomes an {@link ExecutionError} whose stack starts at the caller of `method`.
 *
 * @template T
 * @param {Function} method The public method, which is left out of the stack.
 * @param {() => T} call
 * @param {Mask} [mask] Masks the secrets that are known in the message and the field: the name of an unknown field may be one.
 * @returns {T}
 */
function guard(method, call, mask) {
  try {
    return call();
  } catch (error) {
    const typed = error instanceof ExecutionError ? error : fromNative(error);
    if (mask) maskSecrets([typed], mask);
    Error.captureStackTrace(typed, method);
    throw typed;
  }
}

/**
 * @param {(ExecutionError & { field?: string })[]} errors
 * @param {Mask} mask
 */
function maskSecrets(errors, mask) {
  const masked = mask(errors.flatMap(textsOf));
  errors.forEach((error, index) => {
    try {
      if (typeof error.message === 'string') error.message = /** @type {string} */ (masked[2 * index]);
      if (Object.hasOwn(error, 'field')) setOwn(error, 'field', masked[2 * index + 1]);
    } catch {
      // An error that code of the caller threw, and froze.
    }
  });
}

/**
 * Returns the message and the field. An error that code of the caller threw may have other types there.
 *
 * @param {{ message?: unknown, field?: unknown }} error
 */
function textsOf(error) {
  try {
    const { message, field } = error;
    return [typeof message === 'string' ? message : '', typeof field === 'string' ? field : ''];
  } catch {
    return ['', ''];
  }
}

/**
 * Makes an error of one of the addon, which carries its details as JSON in the message.
 *
 * @param {unknown} error
 * @returns {ExecutionError}
 */
function fromNative(error) {
  const { message, code } = /** @type {{ message: string, code: ErrorCode }} */ (error);
  try {
    const carried = JSON.parse(message);
    const details = { field: carried.field ?? undefined, executionId: carried.executionId ?? undefined, errno: carried.errno ?? undefined };
    return new ExecutionError(code, carried.message, details);
  } catch {
    return new ExecutionError('INTERNAL', `the addon failed: ${message}`, { cause: error });
  }
}

/**
 * Returns an error whose stack starts at the caller of `method`.
 *
 * @param {Function} method
 * @param {import('../index.js').ErrorCode} code
 * @param {string} message
 */
function fresh(method, code, message) {
  const error = new ExecutionError(code, message);
  Error.captureStackTrace(error, method);
  return error;
}

module.exports = { ExecutionError, fresh, fromNative, guard, maskSecrets };
