'use strict';

const { existsSync, readFileSync, realpathSync } = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const { flaw } = require('./addon-file.js');
const { fileOf, packageOf, targetHere } = require('./targets.js');
const version = require('./version.js');

/** @typedef {typeof import('../binding.js')} Addon */
/** @typedef {import('./targets.js').Target} Target */
/** @typedef {import('./load-failure.js').Attempt} Attempt */

const OLDEST_NODE = 20;
/** The flags under which Node.js runs a program only to build a snapshot of it. It knows them with underscores too. */
const BUILDS_SNAPSHOT = /^--(build[-_]snapshot|build[-_]sea|experimental[-_]sea[-_]config)/;
/** The path of an addon to load in place of the one for this system. */
const OVERRIDE = 'NAPI_RS_NATIVE_LIBRARY_PATH';

/** @returns {Addon} */
function load() {
  const target = targetHere();
  // Each field is its own: `Object.prototype` may have one of that name, or a setter.
  /** @type {Attempt} */
  const attempt = {
    target,
    version,
    override: override(),
    tooOld: false,
    isSnapshot: false,
    file: undefined,
    isInstalled: false,
    flaw: undefined,
    found: undefined,
  };
  // Other versions of Node.js, and a snapshot, may crash on an addon instead of refusing it.
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) throw failure({ ...attempt, tooOld: true });
  if (process.execArgv.some((flag) => BUILDS_SNAPSHOT.test(flag))) throw failure({ ...attempt, isSnapshot: true });
  if (!attempt.override && !target) throw failure(attempt);
  return accepted(attempt);
}

/** Returns the addon, if it is of this version. @param {Attempt} attempt */
function accepted(attempt) {
  const local = attempt.override ?? builtHere(attempt.target);
  attempt.file = local ?? installed(attempt.target);
  attempt.isInstalled = local === undefined;
  if (attempt.file) {
    attempt.flaw = flaw(attempt.file);
    if (attempt.isInstalled) attempt.found = versionBeside(attempt.file);
    if (attempt.flaw || (attempt.found ?? version) !== version) throw failure(attempt);
  }
  /** @type {Addon} */
  let addon;
  try {
    addon = local === undefined ? ofPackage(attempt.target, attempt.file) : createRequire(local)(local);
  } catch (error) {
    throw failure({ ...attempt, error });
  }
  const found = typeof addon?.version === 'function' ? addon.version() : 'unknown';
  if (found !== version) throw failure({ ...attempt, found });
  return addon;
}

/**
 * Returns the addon from the package of a target. Each name is written out for bundlers, which follow no other, and within `try`, where a
 * missing package is no error to them.
 *
 * @param {Target | undefined} target
 * @param {string | undefined} file Where it is, if that is known.
 */
function ofPackage(target, file) {
  try {
    switch (target) {
      case 'darwin-arm64':
        return require('@escher/execution-engine-darwin-arm64');
      case 'darwin-x64':
        return require('@escher/execution-engine-darwin-x64');
      case 'linux-arm64-gnu':
        return require('@escher/execution-engine-linux-arm64-gnu');
      case 'linux-arm64-musl':
        return require('@escher/execution-engine-linux-arm64-musl');
      case 'linux-x64-gnu':
        return require('@escher/execution-engine-linux-x64-gnu');
      case 'linux-x64-musl':
        return require('@escher/execution-engine-linux-x64-musl');
      case 'win32-arm64-msvc':
        return require('@escher/execution-engine-win32-arm64-msvc');
      case 'win32-x64-msvc':
        return require('@escher/execution-engine-win32-x64-msvc');
    }
  } catch (error) {
    // A single executable has a `require` that finds no packages, not even those beside it; that of a link searches beside the link.
    const code = /** @type {{ code?: string }} */ (error).code ?? '';
    if (file && ['ERR_UNKNOWN_BUILTIN_MODULE', 'MODULE_NOT_FOUND'].includes(code)) return createRequire(file)(file);
    throw error;
  }
}

/** @param {Attempt} attempt */
function failure(attempt) {
  return require('./load-failure.js').loadFailure(attempt);
}

function override() {
  try {
    // `process.env` inherits from `Object.prototype`, which must not choose the code that is loaded.
    const named = Object.hasOwn(process.env, OVERRIDE) && process.env[OVERRIDE];
    return named ? path.resolve(named) : undefined;
  } catch {
    // Deno asks for permissions, and a Node.js that is too old has no `hasOwn`.
    return undefined;
  }
}

/**
 * Returns the addon that was built in the project's folder; or the one beside this file, where a bundle or a single executable has it.
 *
 * @param {Target | undefined} target
 */
function builtHere(target) {
  if (typeof __dirname !== 'string' || !target) return undefined;
  try {
    return [path.join(__dirname, '..', fileOf(target)), path.join(__dirname, fileOf(target))].find((file) => existsSync(file));
  } catch {
    // Deno lets this process read nothing there: loading the package shows whether that is the cause of a failure.
    return undefined;
  }
}

/** Returns the path of the addon in the installed package; a bundle may not know it. @param {Target | undefined} target */
function installed(target) {
  return target && (resolvedFrom(() => __filename, target) ?? resolvedFrom(() => realpathSync(__filename), target));
}

/** @param {() => string} importer With `--preserve-symlinks`, this file may have the path of a link. @param {Target} target */
function resolvedFrom(importer, target) {
  try {
    return createRequire(importer()).resolve(packageOf(target));
  } catch {
    return undefined;
  }
}

/** Returns the version of the package that contains an addon. @param {string} file @returns {string | undefined} */
function versionBeside(file) {
  try {
    return JSON.parse(readFileSync(path.join(path.dirname(file), 'package.json'), 'utf8')).version;
  } catch {
    return undefined;
  }
}

/** The addon. Its methods are the engine's; everything that users see is made of them in this folder. */
module.exports = load();
