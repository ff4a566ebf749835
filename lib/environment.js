'use strict';

/**
 * The variables of this thread as they are now, packed for the addon: `NAME=value` entries, each ended by a NUL.
 *
 * They are read here because native code must not read the environment while JavaScript may change it, and because a
 * worker has a copy of its own.
 */
function snapshot() {
  const env = process.env;
  let packed = '';
  // Not keys(): that asks Node.js for each of them whether it is enumerable, and all of them are.
  for (const name of Object.getOwnPropertyNames(env)) packed += name + '=' + env[name] + '\0';
  return packed;
}

module.exports = { snapshot };
