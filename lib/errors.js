'use strict';

/** @typedef {import('../index.js').ErrorCode} ErrorCode */
/** @typedef {import('../index.js').ExecutionResult} ExecutionResult */
/** @typedef {{ executionId?: string, field?: string, errno?: string, result?: ExecutionResult, cause?: unknown }} Details */

class ExecutionError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {Details} [details]
   */
  constructor(code, message, details = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    // Absent details leave no key behind.
    if (details.executionId !== undefined) this.executionId = details.executionId;
    if (details.field !== undefined) this.field = details.field;
    if (details.errno !== undefined) this.errno = details.errno;
    if (details.result !== undefined) {
      // Not enumerable: a logged error must not print megabytes of output.
      Object.defineProperty(this, 'result', { value: details.result, configurable: true, writable: true });
    }
  }

  /** @override */
  get name() {
    return /** @type {const} */ ('ExecutionError');
  }
}

/**
 * Calls the addon; what it throws becomes an {@link ExecutionError} whose stack starts at the caller of `method`.
 *
 * @template T
 * @param {Function} method The public method, which is left out of the stack.
 * @param {() => T} call
 * @param {unknown} [input] What the caller gave: searched for the culprit when a getter of it throws.
 * @returns {T}
 */
function guard(method, call, input) {
  try {
    return call();
  } catch (error) {
    const typed = fromNative(error, input);
    Error.captureStackTrace(typed, method);
    throw typed;
  }
}

/**
 * @param {unknown} error
 * @param {unknown} input
 * @returns {ExecutionError}
 */
function fromNative(error, input) {
  const told = parse(error);
  if (told) return told;
  const field = throwingField(input, '', 0);
  if (field !== undefined) {
    const message = `invalid request: ${field}: reading it threw (${describe(error)}): give plain data`;
    return new ExecutionError('INVALID_REQUEST', message, { field, cause: error });
  }
  return new ExecutionError('INTERNAL', `the addon failed: ${describe(error)}`, { cause: error });
}

/** @param {unknown} error */
function describe(error) {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return 'something that cannot be shown';
  }
}

/**
 * The addon's own errors carry their details as JSON in the message.
 *
 * @param {unknown} error
 */
function parse(error) {
  if (!(error instanceof Error) || !('code' in error) || !error.message.startsWith('{"')) return undefined;
  try {
    const { message, field, executionId } = JSON.parse(error.message);
    const details = { field: field ?? undefined, executionId: executionId ?? undefined };
    return new ExecutionError(/** @type {ErrorCode} */ (error.code), message, details);
  } catch {
    return undefined;
  }
}

/**
 * The path of the first property whose reading throws.
 *
 * @param {unknown} value
 * @param {string} path
 * @param {number} depth
 * @returns {string | undefined}
 */
function throwingField(value, path, depth) {
  if (typeof value !== 'object' || value === null || depth > 100) return undefined;
  /** @type {string[]} */
  let keys;
  try {
    keys = Object.keys(value);
  } catch {
    return path || 'request';
  }
  for (const key of keys) {
    const at = Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key;
    let inner;
    try {
      inner = /** @type {Record<string, unknown>} */ (value)[key];
    } catch {
      return at;
    }
    const found = throwingField(inner, at, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

module.exports = { ExecutionError, guard };
