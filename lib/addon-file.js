'use strict';

const { fstatSync, statSync } = require('node:fs');

const { isElf64 } = require('./elf.js');
const { read, withFile } = require('./file-parts.js');

/** @typedef {{ kind: 'damaged', how: string } | { kind: 'machine', machine: string }} Flaw */
/**
 * The header of a library: its processor, the end of the last of its parts, and whether the file is as long, but its end was never written.
 *
 * @typedef {{ machine: string, end: number, lacksEnd: boolean }} Header
 */

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

/** The kind of a section of texts, as it is written. */
const ELF_TEXTS = Buffer.from([3, 0, 0, 0]);

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
const FORMATS = /** @type {Record<string, { name: string, header: (start: Buffer, fd: number) => Header | undefined }>} */ ({
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
      const header = format.header(start, fd);
      if (!header) return { kind: 'damaged', how: `it is not ${format.name} library` };
      if (header.machine !== process.arch) return { kind: 'machine', machine: header.machine };
      if (size < header.end) return { kind: 'damaged', how: `it has ${size} of ${header.end} bytes` };
      return header.lacksEnd ? { kind: 'damaged', how: 'the table at its end is missing' } : undefined;
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

/** @param {Buffer} start @param {number} fd @returns {Header | undefined} */
function elf(start, fd) {
  if (!isElf64(start)) return undefined;
  // The table of sections is the last part of what a linker writes.
  const table = Number(start.readBigUInt64LE(40));
  const [bytes, count, names] = [start.readUInt16LE(58), start.readUInt16LE(60), start.readUInt16LE(62)];
  return {
    machine: ELF_MACHINES[start.readUInt16LE(18)] ?? OTHER,
    end: table + bytes * count,
    // After a loss of power or of space, a file can have its length, and zeros in place of its end. The section with names of sections
    // is one of texts.
    lacksEnd: names > 0 && names < count && read(fd, table + bytes * names + 4, 4).compare(ELF_TEXTS) !== 0,
  };
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
  return { machine: MACH_O_MACHINES[start.readUInt32LE(4)] ?? OTHER, end, lacksEnd: false };
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
  return { machine: PE_MACHINES[start.readUInt16LE(header + 4)] ?? OTHER, end, lacksEnd: false };
}

module.exports = { flaw };
