'use strict';

const { fstatSync, statSync } = require('node:fs');

const { isElf64 } = require('./elf.js');
const { withFile } = require('./file-parts.js');

/** @typedef {{ kind: 'damaged', how: string } | { kind: 'machine', machine: string }} Flaw */
/** The header of a library: its processor, and the end of the last of its parts. @typedef {{ machine: string, end: number }} Header */

const OTHER = 'another processor';
/** The processors of libraries, by the names that Node.js has for them. @typedef {Record<number, string>} Machines */
/** @type {Machines} */
const ELF_MACHINES = {
  3: 'ia32',
  22: 's390x',
  21: 'ppc64',
  40: 'arm',
  62: 'x64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};
/** @type {Machines} */
const MACH_O_MACHINES = { 0x01000007: 'x64', 0x0100000c: 'arm64' };
/** @type {Machines} */
const PE_MACHINES = { 0x14c: 'ia32', 0x8664: 'x64', 0xaa64: 'arm64' };

const MACH_O = 0xfeedfacf;
const MACH_O_HEADER_BYTES = 32;
const SEGMENT = 0x19;
const SEGMENT_BYTES = 72;
/** The magic numbers of files for several processors, of which macOS chooses the part. */
const UNIVERSAL = [0xcafebabe, 0xcafebabf];
const MZ = 0x4d5a;
const PE = 0x50450000;
const PE_HEADER_BYTES = 24;
const PE_SECTION_BYTES = 40;

/** The formats of libraries, by the system that loads them. */
const FORMATS = /** @type {Record<string, { name: string, header: (start: Buffer) => Header | undefined }>} */ ({
  linux: { name: 'a 64-bit ELF', header: elf },
  darwin: { name: 'a 64-bit Mach-O', header: machO },
  win32: { name: 'a PE', header: pe },
});

/**
 * Returns what is wrong with the file of an addon, as far as its header shows; `undefined` when nothing is wrong. The loaders of systems do
 * not look at the length of a file: one that is cut short would end the process.
 *
 * @param {string} file
 * @param {string} [system] As `process.platform`.
 * @returns {Flaw | undefined}
 */
function flaw(file, system = process.platform) {
  // To open a pipe would block until something writes to it.
  if (isOfAnotherKind(file)) return { kind: 'damaged', how: 'it is not a regular file' };
  const format = FORMATS[system];
  return (
    format &&
    withFile(file, (fd, start) => {
      const { size } = fstatSync(fd);
      if (size === 0) return { kind: 'damaged', how: 'it is empty' };
      if (system === 'darwin' && start.length >= 4 && UNIVERSAL.includes(start.readUInt32BE(0))) return undefined;
      const header = format.header(start);
      if (!header) return { kind: 'damaged', how: `it is not ${format.name} library` };
      if (header.machine !== process.arch) return { kind: 'machine', machine: header.machine };
      return size < header.end ? { kind: 'damaged', how: `it has ${size} of ${header.end} bytes` } : undefined;
    })
  );
}

/** @param {string} file */
function isOfAnotherKind(file) {
  try {
    return !statSync(file).isFile();
  } catch {
    return false;
  }
}

/** @param {Buffer} start @returns {Header | undefined} */
function elf(start) {
  if (!isElf64(start)) return undefined;
  // The table of sections is the last part of what a linker writes.
  const end = Number(start.readBigUInt64LE(40)) + start.readUInt16LE(58) * start.readUInt16LE(60);
  return { machine: ELF_MACHINES[start.readUInt16LE(18)] ?? OTHER, end };
}

/** @param {Buffer} start @returns {Header | undefined} */
function machO(start) {
  if (start.length < MACH_O_HEADER_BYTES || start.readUInt32LE(0) !== MACH_O) return undefined;
  let end = 0;
  let at = MACH_O_HEADER_BYTES;
  for (let left = start.readUInt32LE(16); left > 0 && at + SEGMENT_BYTES <= start.length; left--) {
    if (start.readUInt32LE(at) === SEGMENT)
      end = Math.max(end, Number(start.readBigUInt64LE(at + 40)) + Number(start.readBigUInt64LE(at + 48)));
    at += Math.max(8, start.readUInt32LE(at + 4));
  }
  return { machine: MACH_O_MACHINES[start.readUInt32LE(4)] ?? OTHER, end };
}

/** @param {Buffer} start @returns {Header | undefined} */
function pe(start) {
  if (start.length < 64 || start.readUInt16BE(0) !== MZ) return undefined;
  const header = start.readUInt32LE(60);
  if (header + PE_HEADER_BYTES > start.length || start.readUInt32BE(header) !== PE) return undefined;
  let end = 0;
  let at = header + PE_HEADER_BYTES + start.readUInt16LE(header + 20);
  for (let left = start.readUInt16LE(header + 6); left > 0 && at + PE_SECTION_BYTES <= start.length; left--) {
    end = Math.max(end, start.readUInt32LE(at + 16) + start.readUInt32LE(at + 20));
    at += PE_SECTION_BYTES;
  }
  return { machine: PE_MACHINES[start.readUInt16LE(header + 4)] ?? OTHER, end };
}

module.exports = { flaw };
