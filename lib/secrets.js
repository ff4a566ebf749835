'use strict';

const { inspect } = require('node:util');

/**
 * The secrets of a configuration: the list as it was given, which shows itself neither in a log nor as JSON, so that a
 * configuration can be printed and can be used again.
 *
 * @param {readonly string[]} secrets
 * @returns {readonly string[]}
 */
function veil(secrets) {
  const list = [...secrets];
  const masked = list.map(() => '***');
  Object.defineProperty(list, inspect.custom, { value: () => masked });
  Object.defineProperty(list, 'toJSON', { value: () => masked });
  return Object.freeze(list);
}

/** More are refused by the engine, so more are not masked in that refusal. */
const MOST_SECRETS = 100_000;
const MOST_CHARACTERS = 16 * 2 ** 20;

/**
 * The secrets of a configuration or of options that may be wrong otherwise, and of the steps of a plan. No code of the caller runs.
 *
 * @param {unknown} options
 * @returns {string[]}
 */
function secretsIn(options) {
  try {
    const steps = Object.values(member(options, 'steps') ?? {});
    const lists = [options, ...steps].map((one) => member(one, 'secrets')).filter(Array.isArray);
    let left = MOST_CHARACTERS;
    const fits = (/** @type {unknown} */ secret) => typeof secret === 'string' && (left -= secret.length) >= 0;
    return lists.flatMap((list) => list.slice(0, MOST_SECRETS)).filter(fits);
  } catch {
    // A proxy with traps that throw.
    return [];
  }
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function member(value, name) {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}

module.exports = { secretsIn, veil };
