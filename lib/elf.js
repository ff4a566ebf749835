'use strict';

const { read, withFile } = require('./file-parts.js');

const MAGIC = 0x7f454c46;
const IS_64_BIT = 2;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const INTERPRETER = 3;

/**
 * Returns the dynamic loader that a Linux program names, such as `/lib64/ld-linux-x86-64.so.2`; `undefined` where it names none.
 *
 * @param {string} file
 */
function interpreter(file) {
  return withFile(file, (fd, start) => {
    if (!isElf64(start)) return undefined;
    const at = Number(start.readBigUInt64LE(32));
    const count = start.readUInt16LE(56);
    const headers = at + count * PROGRAM_HEADER_BYTES <= start.length ? start.subarray(at) : read(fd, at, count * PROGRAM_HEADER_BYTES);
    for (let index = 0; index < count; index++) {
      const header = headers.subarray(index * PROGRAM_HEADER_BYTES);
      if (header.length < PROGRAM_HEADER_BYTES) return undefined;
      if (header.readUInt32LE(0) !== INTERPRETER) continue;
      return read(fd, Number(header.readBigUInt64LE(8)), Number(header.readBigUInt64LE(32)))
        .toString('latin1')
        .replace(/\0.*$/s, '');
    }
    return undefined;
  });
}

/** @param {Buffer} start */
function isElf64(start) {
  return start.length >= HEADER_BYTES && start.readUInt32BE(0) === MAGIC && start[4] === IS_64_BIT;
}

module.exports = { interpreter, isElf64 };
