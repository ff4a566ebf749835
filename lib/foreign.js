'use strict';

const { fileURLToPath } = require('node:url');
const { types } = require('node:util');

/** The fields that hold the path of a file or a directory. */
const PATH_FIELD = /^(?:(?:commands\[\d+\]\.)?(?:workingDir|outputLogPath|command\.(?:program|path|interpreter|shell))|path)$/;
/** The variables of a request. */
const ENV_FIELD = /^(?:commands\[\d+\]\.)?env$/;

/** Whether a value is a `URL`, of whatever realm. @param {any} value @returns {value is URL} */
function isUrl(value) {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.prototype.toString.call(value) === '[object URL]' &&
    typeof value.href === 'string'
  );
}

/**
 * Returns the path that a file URL names in a field that takes a path.
 *
 * @param {URL} url
 * @param {string} field
 * @returns {{ path: string } | { problem: string }}
 */
function pathOfUrl(url, field) {
  if (!PATH_FIELD.test(field)) return { problem: 'it is a URL: give a string' };
  try {
    return { path: fileURLToPath(url.href) };
  } catch (error) {
    const { code } = /** @type {{ code?: string }} */ (error);
    if (code === 'ERR_INVALID_URL_SCHEME') return { problem: 'it is a URL of another scheme than `file:`: give a path or a file URL' };
    if (code === 'ERR_INVALID_FILE_URL_HOST')
      return { problem: 'it is a file URL with a host: give one of this machine, such as file:///directory' };
    return { problem: 'it is a file URL whose path names no file here (an escaped separator, or escapes that are not UTF-8): give a path' };
  }
}

/**
 * Returns the names under which an object has values. Names of variables may be inherited, as for `child_process`; names that were added to
 * `Object.prototype` are no variables.
 *
 * @param {object} value
 * @param {string} field
 * @param {number} most No more names than one above it are read of variables.
 */
function namesOf(value, field, most) {
  if (!ENV_FIELD.test(field) || inheritsNothing(value)) return Object.keys(value);
  const names = [];
  for (const name in value) {
    if (Object.hasOwn(value, name) || !Object.hasOwn(Object.prototype, name)) names.push(name);
    if (names.length > most) break;
  }
  return names;
}

/** Whether no name can be inherited: `for…in` takes several times as long. @param {object} value */
function inheritsNothing(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Whether a text holds half of a surrogate pair, which UTF-8 cannot. @param {any} text */
function isBroken(text) {
  return !text.isWellFormed();
}

/** Whether a value is a buffer or a view of one, of whatever realm. @param {unknown} value */
function isMemory(value) {
  return ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value);
}

/**
 * Returns the bytes of a buffer or of a view of one, of whatever realm; `undefined` for anything else.
 *
 * @param {unknown} value
 * @returns {Uint8Array | undefined}
 */
function bytesOf(value) {
  const isView = ArrayBuffer.isView(value);
  if (!isView && !types.isAnyArrayBuffer(value)) return undefined;
  let bytes;
  try {
    bytes = isView ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value);
  } catch {
    // The memory was transferred, or resized so that it ends before the view.
    return undefined;
  }
  // Memory that another thread may write to is not handed to native code.
  return types.isSharedArrayBuffer(bytes.buffer) ? new Uint8Array(bytes) : bytes;
}

module.exports = { bytesOf, isBroken, isMemory, isUrl, namesOf, pathOfUrl };
