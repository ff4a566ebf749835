'use strict';

const { pathOf, sanitizeWire } = require('./arguments.js');
const { snapshot } = require('./environment.js');
const { fromNative, guard } = require('./errors.js');
const native = require('./native.js');
const { requireChildProcesses, requireRead } = require('./permission.js');
const { sanitize } = require('./sanitize.js');
const { secretsOf } = require('./secrets.js');

// What needs no engine: configurations, the variables of a login shell, requests as data. `method` is the public method that was called,
// at which the trace of an error starts.

/**
 * Masks a refusal that no engine makes.
 *
 * @param {() => import('../binding.js').RefusedCall} call
 * @returns {import('./errors.js').Mask}
 */
const maskWith = (call) => (texts) => native.NativeEngine.maskWith(texts, call());
/** If no options say what is secret, all variables count whose names look secret. @param {unknown} [what] */
const everything = (what) => secretsOf(undefined, what, true);

/**
 * @param {Function} method
 * @param {Readonly<Record<string, string | undefined>>} env
 */
function fromEnv(method, env) {
  const config = guard(method, () => native.NativeEngine.configFromEnv(sanitize('env', env)), maskWith(everything));
  return /** @type {import('../index.js').ExecutionConfig} */ (config);
}

/**
 * @param {Function} method
 * @param {string | URL} path
 */
function fromFile(method, path) {
  const read = () => {
    const file = pathOf(path);
    if (typeof file === 'string') requireRead(method, file);
    return native.NativeEngine.configFromFile(file);
  };
  return /** @type {import('../index.js').ExecutionConfig} */ (guard(method, read, maskWith(everything)));
}

/**
 * @param {Function} method
 * @param {{ shell?: string | URL | null, timeoutMs?: number | null } | null} [options]
 * @returns {Promise<Record<string, string>>}
 */
async function loginShellEnv(method, options) {
  requireChildProcesses(method);
  const { text, code, message } = await guard(method, () => native.NativeEngine.loginShellEnv(sanitize('call', options), snapshot()));
  if (text === undefined || text === null) throw fromNative({ code, message });
  return JSON.parse(text);
}

/**
 * @param {Function} method
 * @param {string | object} wire
 */
function parseRequest(method, wire) {
  const mask = maskWith(() => everything(wire));
  const request = guard(method, () => JSON.parse(native.NativeEngine.parseRequest(sanitizeWire(wire))), mask);
  return /** @type {import('../index.js').ExecutionRequest} */ (request);
}

module.exports = { fromEnv, fromFile, loginShellEnv, maskWith, parseRequest };
