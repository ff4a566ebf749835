'use strict';

const { existsSync } = require('node:fs');

/** The addons of the systems that most hosts have, by `process.platform` and `process.arch`. */
const USUAL = /** @type {Record<string, string>} */ ({
  'darwin-arm64': 'darwin-arm64',
  'darwin-x64': 'darwin-x64',
  'linux-arm64': 'linux-arm64-gnu',
  'linux-x64': 'linux-x64-gnu',
  'win32-x64': 'win32-x64-msvc',
});

/** What is asked for by these is `binding.js`'s to do. */
const ASKED = ['NAPI_RS_NATIVE_LIBRARY_PATH', 'NAPI_RS_ENFORCE_VERSION_CHECK', 'NAPI_RS_FORCE_WASI'];

/** The addon that is meant here beyond doubt. A Linux where musl's loader is may want another. */
function usual() {
  const { platform, arch, env } = process;
  const musl = `/lib/ld-musl-${arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`;
  if (ASKED.some((name) => env[name]) || (platform === 'linux' && existsSync(musl))) return undefined;
  return USUAL[`${platform}-${arch}`];
}

/** @returns {typeof import('../binding.js')} */
function load() {
  const name = usual();
  for (const file of name ? [`../execution-engine.${name}.node`, `@escher/execution-engine-${name}`] : []) {
    try {
      return require(file);
    } catch {
      // Not there, or not to be loaded.
    }
  }
  // It knows every system, and says what is missing.
  return require('../binding.js');
}

/** The addon. Its methods are the engine's; everything that users see is made of them in this folder. */
module.exports = load();
