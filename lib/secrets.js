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

module.exports = { veil };
