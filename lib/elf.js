'use strict';

const { closeSync, fstatSync, openSync, readSync } = require('node:fs');

const MAGIC = 0x7f454c46;
const IS_64_BIT = 2;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const INTERPRETER = 3;
/** Enough for the headers of a program, and for the path of its interpreter in nearly all of them. */
const FIRST_BYTES = 4096;

/**
 * The dynamic loader that a Linux program names, such as `/lib64/ld-linux-x86-64.so.2`; `undefined` where it names none.
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

/** @typedef {{ kind: 'damaged', how: string } | { kind: 'machine', machine: string }} Flaw */

/** The machines of ELF files, by the names that Node.js has for them. */
const MACHINES = /** @type {Record<number, string>} */ ({
  3: 'ia32',
  22: 's390x',
  21: 'ppc64',
  40: 'arm',
  62: 'x64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
});

/**
 * What is wrong with a Linux addon, as far as its header shows; `undefined` when nothing is. The dynamic loader does not look at the
 * length of a file: one that is cut short would end the process with SIGBUS.
 *
 * @param {string} file
 * @returns {Flaw | undefined}
 */
function flaw(file) {
  return withFile(file, (fd, start) => {
    const { size } = fstatSync(fd);
    if (size === 0) return { kind: 'damaged', how: 'it is empty' };
    if (!isElf64(start)) return { kind: 'damaged', how: 'it is no 64-bit ELF library' };
    const machine = MACHINES[start.readUInt16LE(18)] ?? 'another processor';
    if (machine !== process.arch) return { kind: 'machine', machine };
    // The table of sections is the last part of what a linker writes.
    const end = Number(start.readBigUInt64LE(40)) + start.readUInt16LE(58) * start.readUInt16LE(60);
    return size < end ? { kind: 'damaged', how: `it has ${size} of ${end} bytes` } : undefined;
  });
}

/** @param {Buffer} start */
function isElf64(start) {
  return start.length >= HEADER_BYTES && start.readUInt32BE(0) === MAGIC && start[4] === IS_64_BIT;
}

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
 * @param {number} fd
 * @param {number} at
 * @param {number} length
 */
function read(fd, at, length) {
  const bytes = Buffer.alloc(Math.min(length, FIRST_BYTES));
  return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, at));
}

module.exports = { flaw, interpreter };
