'use strict';

const { closeSync, openSync, readSync } = require('node:fs');

/** The bytes that suffice for the headers of a program or a library, and for the path of an interpreter in nearly all of them. */
const FIRST_BYTES = 4096;

/**
 * Calls back with an open file and its first bytes; gives `undefined` for a file that cannot be read.
 *
 * @template T
 * @param {string} file
 * @param {(fd: number, start: Buffer) => T} look
 * @returns {T | undefined}
 */
function withFile(file, look) {
  /** @type {number | undefined} */
  let fd;
  try {
    fd = openSync(file, 'r');
    return look(fd, read(fd, 0, FIRST_BYTES));
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Reads a part, of 4 KiB at most.
 *
 * @param {number} fd
 * @param {number} at
 * @param {number} length
 */
function read(fd, at, length) {
  const bytes = Buffer.alloc(Math.min(length, FIRST_BYTES));
  return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, at));
}

module.exports = { read, withFile };
