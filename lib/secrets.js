'use strict';

const { inspect } = require('node:util');

const { withoutPrototype } = require('./caller-code.js');
const { snapshot } = require('./environment.js');

/**
 * Returns the secrets of a configuration: the list as it was given, which shows its content neither in a log nor as JSON, so that a
 * configuration can be printed and can be used again.
 *
 * @param {readonly string[]} secrets
 * @returns {readonly string[]}
 */
function veil(secrets) {
  const list = [...secrets];
  const masked = list.map(() => '***');
  Object.defineProperty(list, inspect.custom, withoutPrototype({ value: () => masked }));
  Object.defineProperty(list, 'toJSON', withoutPrototype({ value: () => masked }));
  return Object.freeze(list);
}

/**
 * Returns the variables of a configuration in the same way: each value may be secret.
 *
 * @param {Readonly<Record<string, string | null | undefined>> | null | undefined} variables
 * @returns {Readonly<Record<string, string>> | null}
 */
function veilVariables(variables) {
  if (!variables) return null;
  const present = /** @type {[string, string][]} */ (Object.entries(variables).filter(([, value]) => (value ?? null) !== null));
  const copy = Object.fromEntries(present);
  const masked = Object.fromEntries(present.map(([name]) => [name, '***']));
  // `sanitize` lets it pass, so that the copy can be given again.
  Object.defineProperty(copy, inspect.custom, withoutPrototype({ value: () => masked }));
  // A variable may have that name.
  if (!Object.hasOwn(copy, 'toJSON')) Object.defineProperty(copy, 'toJSON', withoutPrototype({ value: () => masked }));
  return Object.freeze(copy);
}

/** The most secrets that are masked in a refusal; the engine refuses longer lists. */
const MOST_SECRETS = 100_000;
const MOST_CHARACTERS = 16 * 2 ** 20;
const MOST_STEPS = 10_000;
const MOST_NAMES = 100_000;

/**
 * Returns what may be secret in a call that is refused, for the addon to mask in the refusal. No code of the caller runs.
 *
 * @param {unknown} options Those of the call, or a configuration.
 * @param {unknown} [what] Its request, or plan.
 * @param {boolean} [masksVariables] Whether variables that look secret are, whatever the options say.
 * @returns {import('../binding.js').RefusedCall}
 */
function secretsOf(options, what, masksVariables = false) {
  return {
    secrets: secretsIn(options),
    variables: quietly('', snapshot) + variablesIn(what),
    masksVariables: masksVariables || quietly(false, () => withSteps(options).some(masksVariablesOf)),
    patterns: quietly([], () => textsIn(member(options, 'envSecretPatterns'))),
  };
}

/**
 * Returns the secrets of a configuration or of options that may be wrong otherwise, and of the steps of a plan. No code of the caller runs.
 *
 * @param {unknown} options
 * @returns {string[]}
 */
function secretsIn(options) {
  return quietly([], () => {
    let left = MOST_CHARACTERS;
    const fits = (/** @type {string} */ secret) => (left -= secret.length) >= 0;
    return withSteps(options)
      .flatMap((one) => textsIn(member(one, 'secrets')))
      .filter(fits);
  });
}

/**
 * Returns the variables of a request, of the steps of a plan, or of a request in wire form, packed as the addon takes them.
 *
 * @param {unknown} what
 */
function variablesIn(what) {
  return quietly('', () => {
    const given = typeof what === 'string' && what.length < MOST_CHARACTERS ? JSON.parse(what) : what;
    const commands = member(given, 'commands');
    let packed = '';
    for (const one of [given, ...(Array.isArray(commands) ? commands.slice(0, MOST_STEPS) : [])]) {
      const env = member(one, 'env');
      for (const name of typeof env === 'object' && env !== null ? Object.keys(env).slice(0, MOST_NAMES) : []) {
        const value = member(env, name);
        if (typeof value === 'string' && packed.length + value.length < MOST_CHARACTERS) packed += `${name}=${value}\0`;
      }
    }
    return packed;
  });
}

/** Returns whether options set `maskEnvSecrets`; a getter is not called, and counts as set. @param {unknown} options */
function masksVariablesOf(options) {
  const given = descriptor(options, 'maskEnvSecrets');
  return given !== undefined && (given.value === true || given.get !== undefined);
}

/** Returns options, and those of the steps of a plan. @param {unknown} options @returns {unknown[]} */
function withSteps(options) {
  return [options, ...Object.values(member(options, 'steps') ?? {}).slice(0, MOST_STEPS)];
}

/** @param {unknown} list @returns {string[]} */
function textsIn(list) {
  return Array.isArray(list) ? list.slice(0, MOST_SECRETS).filter((one) => typeof one === 'string') : [];
}

/**
 * Calls `read`, and returns `otherwise` if it throws: a proxy of the caller may have traps that throw; text in wire form may be no JSON.
 *
 * @template T
 * @param {T} otherwise
 * @param {() => T} read
 */
function quietly(otherwise, read) {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function member(value, name) {
  return descriptor(value, name)?.value;
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function descriptor(value, name) {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name) : undefined;
}

module.exports = { secretsOf, veil, veilVariables };
