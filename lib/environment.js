'use strict';

const { withoutPrototype } = require('./caller-code.js');
const native = require('./native.js');
const { SUBJECTS, threw } = require('./sanitize.js');

/** The `process.env` of the last snapshot; a program may replace the object. @type {unknown} */
let seen;
let isProcess = false;

/**
 * Returns the variables of this thread as they are now, packed for the addon: `NAME=value` entries, each ended by a NUL.
 *
 * A worker has a copy of its own, and native code must not simply read what JavaScript may change.
 */
function snapshot() {
  try {
    return packed(process.env);
  } catch (error) {
    // A program has put an object of its own there, whose code throws.
    throw threw(SUBJECTS.request, 'process.env', error);
  }
}

/** @param {NodeJS.ProcessEnv} env */
function packed(env) {
  let entries = '';
  // `keys()` is slower: it checks for each name whether it is enumerable, and all of them are.
  for (const name of Object.getOwnPropertyNames(env)) {
    const value = env[name];
    // A worker that shares them may have removed it meanwhile.
    if (value !== undefined) entries += name + '=' + value + '\0';
  }
  return entries;
}

/**
 * Whether they are the process's, which the addon can read where the system helps: JavaScript takes ten times as long. It reads
 * them on the main thread of the process only, so it does not in a worker.
 */
function isOwn() {
  if (process.env !== seen) {
    // The error that the probe causes gets a `code` from Node.js, which ends the process if a setter for that throws.
    if ('code' in Object.prototype) return false;
    seen = process.env;
    isProcess = isOfProcess(process.env) && native.NativeEngine.ownEnvironment() === snapshot();
  }
  return isProcess;
}

/** Whether writing to an object would write to the environment of the process. @param {NodeJS.ProcessEnv} env */
function isOfProcess(env) {
  // Bun and Deno have the same object, and keep what is written to it for themselves.
  if (process.versions.bun || process.versions.deno || require('node:util').types.isProxy(env)) return false;
  const name = 'ESCHER_PROBE';
  try {
    // Refused by that object, and by no other.
    Object.defineProperty(env, name, withoutPrototype({ get: () => undefined, configurable: true }));
    delete env[name];
    return false;
  } catch (error) {
    return /** @type {{ code?: string }} */ (error).code === 'ERR_INVALID_OBJECT_DEFINE_PROPERTY';
  }
}

module.exports = { isOwn, snapshot };
