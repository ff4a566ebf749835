'use strict';

const {
  inspect,
  types: { isRegExp },
} = require('node:util');

const { slots } = require('./caller-code.js');
const { ExecutionError } = require('./errors.js');
const { bytesOf, isBroken, isMemory, isUrl, namesOf, pathOfUrl } = require('./foreign.js');

/** @typedef {import('../index.js').ErrorCode} ErrorCode */

/**
 * The value that is being copied: its name in errors, whether paths start with that name, and the code of a refusal.
 *
 * @typedef {{ name: string, prefix: string, code: ErrorCode, says: string }} Subject
 */

/** @type {Record<'request' | 'plan' | 'options' | 'config' | 'path' | 'env' | 'filter' | 'wire' | 'call' | 'size', Subject>} */
const SUBJECTS = {
  request: { name: 'request', prefix: '', code: 'INVALID_REQUEST', says: 'invalid request' },
  plan: { name: 'plan', prefix: '', code: 'INVALID_PLAN', says: 'invalid plan' },
  options: { name: 'options', prefix: 'options', code: 'INVALID_REQUEST', says: 'invalid request' },
  config: { name: 'config', prefix: '', code: 'INVALID_CONFIG', says: 'invalid config' },
  path: { name: 'path', prefix: '', code: 'INVALID_CONFIG', says: 'invalid config' },
  env: { name: 'env', prefix: '', code: 'INVALID_CONFIG', says: 'invalid config' },
  filter: { name: 'filter', prefix: 'filter', code: 'INVALID_REQUEST', says: 'invalid request' },
  wire: { name: 'request', prefix: '', code: 'INVALID_REQUEST', says: 'invalid request' },
  call: { name: 'options', prefix: '', code: 'INVALID_REQUEST', says: 'invalid request' },
  size: { name: 'size', prefix: '', code: 'INVALID_REQUEST', says: 'invalid request' },
};

/**
 * Returns what is copied in the place of the value of a field; `OMIT` when the field has been taken, and stays out of the copy.
 *
 * @typedef {(key: string, value: unknown, path: string) => unknown} Replacer
 */

/** The greatest depth of data: deeper data is an accident, or it contains itself. */
const DEEPEST = 100;
/** The most values that one call may have: an object that is in many places is copied into each of them. */
const MOST_VALUES = 1_000_000;
const MOST_CHARACTERS = 64 * 1024 * 1024;
/** The most values that metadata may have; its most bytes as JSON are in the engine's configuration. */
const MOST_METADATA_VALUES = 100_000;
/** Objects whose keys are indexes. */
const INDEXED = ['options.steps', 'strategy.dependencies'];
/** The most elements of a list: no command line has so many arguments. */
const LONGEST = 1_000_000;
/** The most names of one object, except in metadata: no environment, and no plan, has so many. */
const MOST_NAMES = 100_000;
/** A longer name is not shown: a message must stay readable, and a part of a secret would not be masked. */
const LONGEST_NAME = 128;
/** The fields that take bytes. */
const INPUT = /^options(?:\.steps\[\d+\])?\.(?:stdin|input)$/;
/** The fields that take regular expressions. */
const PATTERN = {
  options: /^options(?:\.steps\[\d+\])?\.retry\.onOutput(?:\[\d+\])?$/,
  config: /^retry\.onOutput(?:\[\d+\])?$/,
};
const HALF = 'holds half of a surrogate pair, which UTF-8 cannot: remove it, or give the bytes';
/** Replaces a value that was removed from the copy. */
const OMIT = Symbol('omit');

/** The subject of a copy, with the number of values and characters that are left. It does not spread the subject, which would take 4 µs. */
class Budget {
  /** @type {string | undefined} The path of the metadata that is copied now. */
  metadata = undefined;
  values = MOST_VALUES;
  characters = MOST_CHARACTERS;
  // Declared, so that no setter of `Object.prototype` is called when they are assigned.
  kind;
  name;
  prefix;
  code;
  says;

  /** @param {keyof typeof SUBJECTS} kind */
  constructor(kind) {
    const { name, prefix, code, says } = SUBJECTS[kind];
    this.kind = kind;
    this.name = name;
    this.prefix = prefix;
    this.code = code;
    this.says = says;
  }
}

/**
 * Copies what a caller gave into plain data: every getter is read once, so that what is checked is what runs, and nothing
 * of the caller's code runs after that. Values of a wrong type stay as they are: the addon names them.
 *
 * @param {keyof typeof SUBJECTS} kind
 * @param {unknown} value
 * @param {(path: string) => boolean} [isOmitted] Whether a field is not for the addon.
 * @param {Replacer} [replacer] Takes values of the outermost object that are not data.
 * @returns {any}
 */
function sanitize(kind, value, isOmitted, replacer) {
  return copyWhole(value, new Budget(kind), isOmitted, replacer);
}

/**
 * @param {unknown} value
 * @param {Budget} subject
 * @param {(path: string) => boolean} [isOmitted]
 * @param {Replacer} [replacer]
 */
function copyWhole(value, subject, isOmitted, replacer) {
  if (typeof value !== 'string' && (typeof value !== 'object' || value === null)) return value;
  if (typeof value === 'string') {
    spend(subject.prefix || subject.name, subject, 0, value.length);
    return wellFormed(value, subject.prefix || subject.name, subject);
  }
  return copy(value, subject.prefix, 0, subject, isOmitted, replacer);
}

/**
 * Refuses half of a surrogate pair: in UTF-8 it would silently become another character.
 *
 * @param {string} text
 * @param {string} path
 * @param {Subject} subject
 */
function wellFormed(text, path, subject) {
  if (isBroken(text)) throw refusal(subject, path || subject.name, `it ${HALF}`);
  return text;
}

/** @param {string} path */
const isMetadata = (path) => path === 'metadata' || (path.endsWith('.metadata') && /^commands\[\d+\]\.metadata$/.test(path));

/**
 * Copies metadata, which has bounds of its own.
 *
 * @param {any} value
 * @param {string} path
 * @param {number} depth
 * @param {Budget} subject
 */
function copyMetadata(value, path, depth, subject) {
  const { values } = subject;
  subject.values = Math.min(values, MOST_METADATA_VALUES);
  subject.metadata = path;
  const before = subject.values;
  const copied = copy(value, path, depth, subject);
  subject.values = values - (before - subject.values);
  subject.metadata = undefined;
  return copied;
}

/**
 * Returns the field of the caller that a path is in, instead of the depth at which the copy stopped.
 *
 * @param {string} path
 * @param {Budget} subject
 */
function outermost(path, { metadata, prefix, name }) {
  if (metadata !== undefined) return metadata;
  const inside = path.slice(prefix.length).replace(/^\./, '').split(/[.[]/, 1)[0];
  return [prefix, inside].filter(Boolean).join('.') || name;
}

/**
 * Takes values and characters from what a call may give.
 *
 * @param {string} path
 * @param {Budget} subject
 * @param {number} values
 * @param {number} characters
 */
function spend(path, subject, values, characters) {
  subject.values -= values;
  subject.characters -= characters;
  if (subject.values >= 0 && subject.characters >= 0) return;
  const [most, what] =
    subject.values < 0 ? [subject.metadata ? MOST_METADATA_VALUES : MOST_VALUES, 'values'] : [MOST_CHARACTERS, 'characters'];
  throw refusal(subject, outermost(path, subject), `it has more than ${most} ${what}, or holds an object many times: give less`);
}

/**
 * @param {any} value
 * @param {string} path
 * @param {number} depth
 * @param {Budget} subject
 * @param {(path: string) => boolean} [isOmitted]
 * @param {Replacer} [replacer]
 * @returns {any}
 */
function copy(value, path, depth, subject, isOmitted, replacer) {
  if (typeof value === 'string') {
    // A short one is counted anyway: the look at its path would cost more.
    if (value.length < 1024 || !INPUT.test(path)) spend(path, subject, 0, value.length);
    return wellFormed(value, path, subject);
  }
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) {
    throw refusal(subject, outermost(path, subject), 'it is nested too deeply, or holds itself: give plain JSON');
  }
  if (subject.kind === 'options' && INPUT.test(path)) return input(value, path);
  if (ArrayBuffer.isView(value)) {
    // The top level has no place for bytes, and the addon would take them for a list.
    if (depth > 0) return value;
    throw refusal(subject, path || subject.name, 'it is a byte array: give an object');
  }
  try {
    if (Array.isArray(value)) return list(value, path, depth, subject, isOmitted);
    if ((subject.kind === 'options' || subject.kind === 'config') && PATTERN[subject.kind].test(path) && isRegExp(value)) {
      return expression(value, path, subject);
    }
    const tag = tagOf(value);
    if (tag === 'URL' && isUrl(value)) {
      const found = pathOfUrl(value, path);
      if ('path' in found) return wellFormed(found.path, path, subject);
      throw refusal(subject, path || subject.name, found.problem);
    }
    if (tag !== 'Object') {
      throw refusal(subject, path || subject.name, `it is an object${classOf(tag)}: give plain data`);
    }
    return object(value, path, depth, subject, isOmitted, replacer);
  } catch (error) {
    if (error instanceof ExecutionError) throw error;
    throw threw(subject, path || subject.name, error);
  }
}

const { toString: describe } = Object.prototype;

/**
 * Returns the tag of an object: `Object` if it is plain, also where `Object.prototype` has been given another name.
 *
 * @param {object} value
 */
function tagOf(value) {
  if (Symbol.toStringTag in Object.prototype && !Object.hasOwn(value, Symbol.toStringTag)) {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === null || prototype === Object.prototype) return 'Object';
  }
  return /** @type {string} */ (Reflect.apply(describe, value, [])).slice(8, -1);
}

/** The class of an object, for messages, if it is a known one: the name of another is text of the caller's. @param {string} tag */
const classOf = (tag) => (Object.hasOwn(globalThis, tag) ? ` (${tag})` : '');

/**
 * @param {unknown[]} value
 * @param {string} path
 * @param {number} depth
 * @param {Budget} subject
 * @param {((path: string) => boolean) | undefined} isOmitted
 */
function list(value, path, depth, subject, isOmitted) {
  if (depth === 0) throw refusal(subject, path || subject.name, 'it is an array: give an object');
  const { length } = value;
  if (length > LONGEST) throw refusal(subject, path, `it has ${length} items: give ${LONGEST} at most`);
  spend(path, subject, length, 0);
  const items = slots(length);
  for (let index = 0; index < length; index++) {
    const at = `${path}[${index}]`;
    items[index] = copy(read(value, index, at, subject), at, depth + 1, subject, isOmitted);
  }
  return items;
}

/**
 * The class of copies. Nothing is inherited, so that `__proto__` is a name like any other; yet V8 gives it a shape, which it does not give
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
 * @param {Budget} subject
 * @param {((path: string) => boolean) | undefined} isOmitted
 * @param {Replacer | undefined} replacer
 */
function object(value, path, depth, subject, isOmitted, replacer) {
  const entries = new Plain();
  // Variables whose values are hidden have a function of their own for printing. No `for … of`: see `withoutPrototype`.
  const hidden = Object.getOwnPropertySymbols(value).find(
    (symbol) => symbol !== inspect.custom || Object.getOwnPropertyDescriptor(value, symbol)?.enumerable !== false,
  );
  if (hidden !== undefined) throw refusal(subject, path || subject.name, `it has an unknown field (${symbolText(hidden)}): leave it out`);
  const names = subject.kind === 'request' || subject.kind === 'plan' ? namesOf(value, path, MOST_NAMES) : Object.keys(value);
  let count = 0;
  for (const key of names) {
    const at = join(path, key);
    if (isBroken(key)) throw refusal(subject, at, `its name ${HALF}`);
    if (isOmitted?.(at)) continue;
    if (++count > MOST_NAMES && !subject.metadata) {
      throw refusal(subject, path || subject.name, `it has more than ${MOST_NAMES} names: give less`);
    }
    const found = read(value, key, at, subject, replacer);
    if (found === OMIT) continue;
    spend(at, subject, 1, key.length);
    entries[key] =
      key === 'metadata' && isMetadata(at) ? copyMetadata(found, at, depth + 1, subject) : copy(found, at, depth + 1, subject, isOmitted);
  }
  return entries;
}

const sourceOf = Object.getOwnPropertyDescriptor(RegExp.prototype, 'source')?.get;
const flagsOf = Object.getOwnPropertyDescriptor(RegExp.prototype, 'flags')?.get;

/**
 * Copies a regular expression, whatever has been added to it.
 *
 * @param {object} value
 * @param {string} path
 * @param {Subject} subject
 */
function expression(value, path, subject) {
  const entries = new Plain();
  entries.source = wellFormed(Reflect.apply(/** @type {Function} */ (sourceOf), value, []), path, subject);
  entries.flags = Reflect.apply(/** @type {Function} */ (flagsOf), value, []);
  return entries;
}

/**
 * Copies input that is complete.
 *
 * @param {object} value
 * @param {string} path
 */
function input(value, path) {
  try {
    const bytes = bytesOf(value) ?? (Array.isArray(value) ? joined(value, path) : undefined);
    if (bytes) return bytes;
  } catch (error) {
    throw error instanceof ExecutionError ? error : threw(SUBJECTS.options, path, error);
  }
  throw refusal(
    SUBJECTS.options,
    path,
    `it is ${kindOf(value)}: give ${/^options\.\w+$/.test(path) ? INPUTS : WHOLE_INPUTS}${modesOf(path)}`,
  );
}

const modesOf = (/** @type {string} */ path) => (path.endsWith('stdin') ? ', "open", or "inherit"' : '');
const WHOLE_INPUTS = 'a string, bytes (Buffer, typed array, DataView, ArrayBuffer), an array of these';
const INPUTS =
  'a string, bytes (Buffer, typed array, DataView, ArrayBuffer), an iterable or async iterable of these, a Readable, a ReadableStream, a Blob';

/**
 * @param {unknown[]} chunks
 * @param {string} path
 */
function joined(chunks, path) {
  const parts = [];
  const { length } = chunks;
  if (length > LONGEST) throw refusal(SUBJECTS.options, path, `it has ${length} items: give ${LONGEST} at most`);
  for (let index = 0; index < length; index++) {
    const at = `${path}[${index}]`;
    const chunk = read(chunks, index, at, SUBJECTS.options);
    const bytes = typeof chunk === 'string' ? Buffer.from(wellFormed(chunk, at, SUBJECTS.options)) : bytesOf(chunk);
    if (!bytes)
      throw refusal(SUBJECTS.options, at, `it is ${kindOf(chunk)}: give a string or bytes (Buffer, typed array, DataView, ArrayBuffer)`);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

/** Returns the kind of a value that is no input, without the value. @param {unknown} value */
function kindOf(value) {
  if (isMemory(value)) return 'bytes whose memory was transferred or cut off';
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value !== 'object') return `a ${typeof value}`;
  const tag = tagOf(value);
  return tag === 'Object' ? 'an object' : `an object${classOf(tag)}`;
}

/**
 * @param {any} holder
 * @param {string | number} key
 * @param {string} at
 * @param {Subject} subject
 * @param {Replacer} [replacer]
 */
function read(holder, key, at, subject, replacer) {
  try {
    const value = holder[key];
    return replacer ? replacer(String(key), value, at) : value;
  } catch (error) {
    if (error instanceof ExecutionError) throw error;
    throw threw(subject, at, error);
  }
}

/**
 * @param {string} path
 * @param {string} key
 */
function join(path, key) {
  if (INDEXED.includes(path) && /^\d+$/.test(key)) return `${path}[${key}]`;
  if (key.length > LONGEST_NAME) return `${path}[a name of ${key.length} characters]`;
  const isPlain = /^\w+$/.test(key);
  if (path === '') return isPlain ? key : `[${JSON.stringify(key)}]`;
  return isPlain ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

/** @param {symbol} symbol */
function symbolText(symbol) {
  const { length } = symbol.description ?? '';
  return length > LONGEST_NAME ? `a symbol of ${length} characters` : String(symbol);
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
  // The thrown value is the caller's, and may hold a secret: it becomes the cause.
  return refusal(subject, field, 'reading it threw: give plain data', { cause });
}

/** Describes a value for people, without showing it: it may be a secret in the wrong place. @param {unknown} value */
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
 * Describes a thrown value in words.
 *
 * @param {unknown} cause
 */
function causeText(cause) {
  try {
    return String(cause instanceof Error ? cause.message : cause);
  } catch {
    // The thrown value may itself throw.
    return 'something that cannot be shown';
  }
}

module.exports = {
  Budget,
  MOST_CHARACTERS,
  MOST_VALUES,
  OMIT,
  SUBJECTS,
  causeText,
  copyWhole,
  join,
  kindOf,
  read,
  refusal,
  sanitize,
  show,
  threw,
  wellFormed,
};
