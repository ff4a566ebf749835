'use strict';

/** The addons of the systems that most hosts have, by `process.platform` and `process.arch`. */
const USUAL = /** @type {Record<string, string>} */ ({
  'darwin-arm64': 'darwin-arm64',
  'darwin-x64': 'darwin-x64',
  'linux-arm64': 'linux-arm64-gnu',
  'linux-x64': 'linux-x64-gnu',
  'win32-x64': 'win32-x64-msvc',
});

/** @returns {typeof import('../binding.js')} */
function load() {
  const name = process.env.NAPI_RS_NATIVE_LIBRARY_PATH ? undefined : USUAL[`${process.platform}-${process.arch}`];
  for (const file of name ? [`../execution-engine.${name}.node`, `@escher/execution-engine-${name}`] : []) {
    try {
      return require(file);
    } catch {
      // Another system's, or not there.
    }
  }
  // It knows every system, and says what is missing.
  return require('../binding.js');
}

/** The addon. Its methods are the engine's; everything that users see is made of them in this folder. */
module.exports = load();
