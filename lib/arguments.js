'use strict';

const { withoutPrototype } = require('./caller-code.js');
const { ExecutionError, guard } = require('./errors.js');
const { isUrl, pathOfUrl } = require('./foreign.js');
const { join, sanitize, refusal, show, threw, SUBJECTS } = require('./sanitize.js');

/** @typedef {import('../index.js').ExecutionConfig} ExecutionConfig */
/** @typedef {import('../index.js').ExecutionFilter} ExecutionFilter */

/** A longer text is no id in any form; it need not cross to the addon. */
const LONGEST_ID = 1024;

/**
 * Returns an id as it was given, unless reading it could run code of the caller; the addon checks the rest.
 *
 * @param {unknown} id
 */
function asId(id) {
  if (typeof id === 'string' && id.length > LONGEST_ID) {
    const message = `no such execution or plan: the id is a string of length ${id.length}, and not a UUID, so it was never accepted here`;
    throw new ExecutionError('NOT_FOUND', message, { field: 'id' });
  }
  if ((typeof id !== 'object' && typeof id !== 'function') || id === null) return id;
  throw refusal(SUBJECTS.request, 'id', `it is ${show(id)}: give the string that execute() gave`);
}

/**
 * Copies a filter. Its moment is the only Date of the interface, and crosses as milliseconds.
 *
 * @param {ExecutionFilter | null | undefined} filter
 */
function sanitizeFilter(filter) {
  if (typeof filter !== 'object' || filter === null) return sanitize('filter', filter);
  const given = sanitize('filter', filter, (at) => at === 'filter.since');
  try {
    const { since } = filter;
    if (since !== undefined && since !== null) given.since = since instanceof Date ? since.getTime() : sanitize('filter', { since }).since;
  } catch (error) {
    throw error instanceof ExecutionError ? error : threw(SUBJECTS.filter, 'filter.since', error);
  }
  return given;
}

/** @param {unknown} path */
function pathOf(path) {
  if (isUrl(path)) {
    const found = pathOfUrl(path, 'path');
    if ('path' in found) return found.path;
    throw refusal(SUBJECTS.config, 'path', found.problem);
  }
  if (typeof path === 'string' && path !== '') return sanitize('path', path);
  throw refusal(SUBJECTS.config, 'path', `it is ${show(path)}: give the path of a .toml or .json file`);
}

/**
 * Copies a request in wire form. Text with an escaped half of a surrogate pair is read here too, so that the refusal names its field.
 *
 * @param {unknown} wire
 */
function sanitizeWire(wire) {
  const given = sanitize('wire', wire);
  if (typeof given === 'string' && /\\ud[89a-f]/i.test(given)) {
    let parsed;
    try {
      parsed = JSON.parse(given);
    } catch {
      // The addon reports what is wrong with it.
      return given;
    }
    sanitize('wire', parsed);
  }
  return given;
}

/** The settings that the global engine does not take from its configuration. */
const SERIAL = /** @type {const} */ ({ maxConcurrentExecutions: 1, concurrencyPolicy: 'queue' });

/**
 * Returns the configuration of the global engine, which runs one command at a time.
 *
 * @param {ExecutionConfig | null | undefined} config
 * @returns {ExecutionConfig}
 */
function serial(config) {
  const given = sanitize('config', config);
  for (const field of /** @type {(keyof typeof SERIAL)[]} */ (Object.keys(SERIAL))) {
    const only = SERIAL[field];
    const asked = given?.[field] ?? only;
    if (asked !== only) {
      const problem = `it is ${show(asked)}, but the global engine runs one command at a time and queues the others: leave it out, or make an engine of your own`;
      throw refusal(SUBJECTS.config, field, problem);
    }
  }
  return typeof (given ?? {}) === 'object' ? { ...given, ...SERIAL } : given;
}

/**
 * Returns the one number that the options of a call may hold.
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
 * Returns the one option that a call may have.
 *
 * @param {string} field
 * @param {unknown} options
 */
function onlyOption(field, options) {
  const given = sanitize('call', options) ?? withoutPrototype({});
  if (typeof given !== 'object') throw refusal(SUBJECTS.call, 'options', `it is ${show(given)}: give an object`);
  for (const key of Object.keys(given)) {
    if (key !== field) throw refusal(SUBJECTS.call, join('', key), `unknown field (${show(given[key])}): did you mean \`${field}\`?`);
  }
  return given[field] ?? undefined;
}

module.exports = { asId, numberOf, onlyOption, pathOf, sanitizeFilter, sanitizeWire, serial };
