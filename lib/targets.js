'use strict';

const { interpreter } = require('./elf.js');

/** The systems that there are addons for. `package.json` has their triples, and `npm/` a package for each. */
const TARGETS = /** @type {const} */ ([
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-arm64-msvc',
  'win32-x64-msvc',
]);

/** @typedef {typeof TARGETS[number]} Target */

/** Returns the C library of this process; `undefined` where only one is in use. */
function libc() {
  return process.platform === 'linux' ? (isMusl() ? 'musl' : 'glibc') : undefined;
}

/** Whether the program of this process was linked with musl. It is read, not run: a small system has no `ldd`. */
function isMusl() {
  // If the program was started by its loader (`ld-musl-x86_64.so.1 node`), it appears to be the loader.
  const loader = `${process.execPath} ${interpreter(process.execPath)}`;
  if (loader.includes('ld-musl-')) return true;
  if (loader.includes('ld-linux-')) return false;
  // A static program names no loader, and some processes may not read their own program.
  const { header, sharedObjects } = report();
  return !header?.glibcVersionRuntime && (sharedObjects ?? []).some((name) => name.includes('ld-musl-') || name.includes('libc.musl-'));
}

/** @returns {{ header?: { glibcVersionRuntime?: string }, sharedObjects?: string[] }} */
function report() {
  try {
    const reporter = /** @type {any} */ (process).report;
    const before = reporter.excludeNetwork;
    // Without this setting, the names of all connected hosts would be looked up.
    reporter.excludeNetwork = true;
    try {
      return reporter.getReport();
    } finally {
      reporter.excludeNetwork = before;
    }
  } catch {
    return {};
  }
}

/** Returns the target of this process; `undefined` where there is none. */
function targetHere() {
  /** @type {string[]} */
  const parts = [process.platform, process.arch];
  if (process.platform === 'linux') parts.push(libc() === 'musl' ? 'musl' : 'gnu');
  if (process.platform === 'win32') parts.push('msvc');
  return TARGETS.find((target) => target === parts.join('-'));
}

/** @param {Target} target */
const packageOf = (target) => /** @type {const} */ (`@escher/execution-engine-${target}`);

/** @param {Target} target */
const fileOf = (target) => `execution-engine.${target}.node`;

module.exports = { TARGETS, fileOf, libc, packageOf, targetHere };
