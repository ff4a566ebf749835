'use strict';

const { ExecutionError, guard } = require('./errors.js');

/** @typedef {import('../index.js').ErrorCode} ErrorCode */

/**
 * What is being copied: its name in errors, whether paths start with that name, and the code of a refusal.
 *
 * @typedef {{ name: string, prefix: string, code: ErrorCode, says: string }} Subject
 */

/** @type {Record<'request' | 'plan' | 'options' | 'config' | 'env' | 'filter' | 'wire' | 'call', Subject>} */
const SUBJECTS = {
  request: { name: 'request', prefix: '', code: 'INVALID_REQUEST', says: 'invalid request' },
  plan: { name: 'plan', prefix: '', code: 'INVALID_PLAN', says: 'invalid plan' },
  options: { name: 'options', prefix: 'options', code: 'INVALID_REQUEST', says: 'invalid request' },
  config: { name: 'config', prefix: '', code: 'INVALID_CONFIG', says: 'invalid config' },
  env: { name: 'env', prefix: '', code: 'INVALID_CONFIG', says: 'invalid config' },
  filter: { name: 'filter', prefix: 'filter', code: 'INVALID_REQUEST', says: 'invalid request' },
  wire: { name: 'request', prefix: '', code: 'INVALID_REQUEST', says: 'invalid request' },
  call: { name: 'options', prefix: '', code: 'INVALID_REQUEST', says: 'invalid request' },
};

/**
 * Says whether it has taken a field, which then stays out of the copy.
 *
 * @typedef {(key: string, value: unknown) => boolean} Aside
 */

/** Deeper data is refused: it is an accident, or it holds itself. */
const DEEPEST = 100;
/** Objects whose keys are indexes. */
const INDEXED = ['options.steps', 'strategy.dependencies'];
/** Longer lists are refused: no command line holds so many arguments. */
const LONGEST = 1_000_000;
/** In the place of a value that was taken aside. */
const ASIDE = Symbol('aside');

/**
 * Copies what a caller gave into plain data: every getter is read once, so that what is checked is what runs, and nothing
 * of the caller's code runs after that. Values of a wrong type stay as they are: the addon names them.
 *
 * @param {keyof typeof SUBJECTS} kind
 * @param {unknown} value
 * @param {(path: string) => boolean} [isOmitted] Whether a field is not for the addon.
 * @param {Aside} [aside] Takes values of the outermost object that are not data.
 * @returns {any}
 */
function plain(kind, value, isOmitted, aside) {
  if (typeof value !== 'object' || value === null) return value;
  const subject = SUBJECTS[kind];
  return copy(value, subject.prefix, 0, subject, isOmitted, aside);
}

/**
 * @param {any} value
 * @param {string} path
 * @param {number} depth
 * @param {Subject} subject
 * @param {(path: string) => boolean} [isOmitted]
 * @param {Aside} [aside]
 * @returns {any}
 */
function copy(value, path, depth, subject, isOmitted, aside) {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) {
    // The field of the caller's that it is in, not the depth at which we stopped.
    const inside = path.slice(subject.prefix.length).replace(/^\./, '').split(/[.[]/, 1)[0];
    const top = [subject.prefix, inside].filter(Boolean).join('.') || subject.name;
    throw refusal(subject, top, 'it is nested too deeply, or holds itself: give plain JSON');
  }
  if (ArrayBuffer.isView(value)) {
    // The top level has no place for bytes, and the addon would take them for a list.
    if (depth > 0) return value;
    throw refusal(subject, path || subject.name, 'it is a byte array: give an object');
  }
  try {
    if (Array.isArray(value)) return list(value, path, depth, subject, isOmitted);
    const tag = Object.prototype.toString.call(value).slice(8, -1);
    if (tag !== 'Object') {
      throw refusal(subject, path || subject.name, `it is an object (${tag}): give plain data`);
    }
    return object(value, path, depth, subject, isOmitted, aside);
  } catch (error) {
    if (error instanceof ExecutionError) throw error;
    throw threw(subject, path || subject.name, error);
  }
}

/**
 * @param {unknown[]} value
 * @param {string} path
 * @param {number} depth
 * @param {Subject} subject
 * @param {((path: string) => boolean) | undefined} isOmitted
 */
function list(value, path, depth, subject, isOmitted) {
  if (depth === 0) throw refusal(subject, path || subject.name, 'it is an array: give an object');
  const { length } = value;
  if (length > LONGEST) throw refusal(subject, path, `it has ${length} items: give ${LONGEST} at most`);
  const items = new Array(length);
  for (let index = 0; index < length; index++) {
    const at = `${path}[${index}]`;
    items[index] = copy(read(value, index, at, subject), at, depth + 1, subject, isOmitted);
  }
  return items;
}

/**
 * What is copied. Nothing is inherited, so that `__proto__` is a name like any other; yet V8 gives it a shape, which it does not give
 * to what `Object.create(null)` makes.
 *
 * @type {new () => Record<string, any>}
 */
const Plain = /** @type {any} */ (function Plain() {});
Plain.prototype = Object.create(null);

/**
 * @param {Record<string, unknown>} value
 * @param {string} path
 * @param {number} depth
 * @param {Subject} subject
 * @param {((path: string) => boolean) | undefined} isOmitted
 * @param {Aside | undefined} aside
 */
function object(value, path, depth, subject, isOmitted, aside) {
  const entries = new Plain();
  const [hidden] = Object.getOwnPropertySymbols(value);
  if (hidden) throw refusal(subject, path || subject.name, `it has an unknown field (${String(hidden)}): leave it out`);
  for (const key of Object.keys(value)) {
    const at = join(path, key);
    if (isOmitted?.(at)) continue;
    const found = read(value, key, at, subject, aside);
    if (found !== ASIDE) entries[key] = copy(found, at, depth + 1, subject, isOmitted);
  }
  return entries;
}

/**
 * @param {any} holder
 * @param {string | number} key
 * @param {string} at
 * @param {Subject} subject
 * @param {Aside} [aside]
 */
function read(holder, key, at, subject, aside) {
  try {
    const value = holder[key];
    return aside?.(String(key), value) ? ASIDE : value;
  } catch (error) {
    throw threw(subject, at, error);
  }
}

/**
 * @param {string} path
 * @param {string} key
 */
function join(path, key) {
  if (INDEXED.includes(path) && /^\d+$/.test(key)) return `${path}[${key}]`;
  const isPlain = /^\w+$/.test(key);
  if (path === '') return isPlain ? key : `[${JSON.stringify(key)}]`;
  return isPlain ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

/**
 * @param {Subject} subject
 * @param {string} field
 * @param {string} problem
 * @param {import('./errors.js').Details} [details]
 */
function refusal({ code, says }, field, problem, details) {
  return new ExecutionError(code, `${says}: ${field}: ${problem}`, { ...details, field });
}

/**
 * @param {Subject} subject
 * @param {string} field
 * @param {unknown} cause
 */
function threw(subject, field, cause) {
  return refusal(subject, field, `reading it threw (${told(cause)}): give plain data`, { cause });
}

/** What a value is, for people. It is not shown: it may be a secret in the wrong place. @param {unknown} value */
function show(value) {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return `a string of length ${value.length}`;
  if (typeof value !== 'number') return `a ${typeof value}`;
  if (Number.isNaN(value)) return 'a number (NaN)';
  if (!Number.isFinite(value)) return 'a number (infinite)';
  if (value < 0) return 'a number (negative)';
  return Number.isInteger(value) ? 'a number' : 'a number (with a fraction)';
}

/**
 * What was thrown, in words.
 *
 * @param {unknown} cause
 */
function told(cause) {
  try {
    return String(cause instanceof Error ? cause.message : cause);
  } catch {
    // What is thrown may itself throw.
    return 'something that cannot be shown';
  }
}

/**
 * The one number that the options of a call may hold.
 *
 * @param {Function} method
 * @param {string} field
 * @param {string} unit
 * @param {object | null | undefined} options
 * @returns {number | undefined}
 */
function numberOf(method, field, unit, options) {
  return guard(method, () => {
    const number = onlyOption(field, options);
    if (number === undefined || (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0)) return number;
    throw refusal(SUBJECTS.call, field, `it is ${show(number)}: give ${unit}, 0 or more`);
  });
}

/**
 * The one option that a call may have.
 *
 * @param {string} field
 * @param {unknown} options
 */
function onlyOption(field, options) {
  const given = plain('call', options) ?? {};
  if (typeof given !== 'object') throw refusal(SUBJECTS.call, 'options', `it is ${show(given)}: give an object`);
  for (const key of Object.keys(given)) {
    if (key !== field) throw refusal(SUBJECTS.call, key, `unknown field (${show(given[key])}): did you mean \`${field}\`?`);
  }
  return given[field] ?? undefined;
}

module.exports = { numberOf, onlyOption, plain, refusal, show, threw, told, SUBJECTS };
