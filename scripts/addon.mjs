// Checks whether an addon may be released: its size, the paths that are in it, the C library that it needs.
//
//   node scripts/addon.mjs [--glibc 2.17] FILE...      prints what they need; fails when one may not be released
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments, refuse } from './arguments.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

export const LARGEST_BYTES = 3_000_000;
/** The oldest C library that released addons run with. */
export const OLDEST_GLIBC = '2.17';

const MACHINES = { 62: 'x64', 183: 'arm64' };
const VERSION_NEEDS = 0x6ffffffe;

/**
 * @param {string} file
 * @returns {{ bytes: number, system: string, cpu?: string, libc?: string, glibc?: string, paths: string[] }} `glibc`: the oldest that it needs.
 */
export function inspect(file) {
  const content = readFileSync(file);
  return { bytes: content.length, ...format(content), paths: buildPaths(content) };
}

/** Returns why an addon may not be released; nothing when it may. */
export function problems({ bytes, glibc, paths }, oldest = OLDEST_GLIBC) {
  const found = [];
  if (bytes > LARGEST_BYTES) found.push(`it has ${bytes} bytes, and may have ${LARGEST_BYTES}`);
  if (paths.length > 0) found.push(`it contains paths of the machine that built it: ${paths.slice(0, 3).join(', ')}`);
  if (glibc && compare(glibc, oldest) > 0) found.push(`it needs glibc ${glibc}, and may need ${oldest}`);
  return found;
}

function format(content) {
  if (content.length > 64 && content.readUInt32BE(0) === 0x7f454c46) {
    const glibc = glibcOf(content);
    return { system: 'linux', cpu: MACHINES[content.readUInt16LE(18)], libc: glibc === undefined ? 'musl' : 'glibc', glibc };
  }
  if (content.length > 64 && content.readUInt32LE(0) === 0xfeedfacf)
    return { system: 'darwin', cpu: { 0x01000007: 'x64', 0x0100000c: 'arm64' }[content.readUInt32LE(4)] };
  if (content.length > 64 && content.readUInt16BE(0) === 0x4d5a)
    return { system: 'win32', cpu: { 0x8664: 'x64', 0xaa64: 'arm64' }[content.readUInt16LE(content.readUInt32LE(60) + 4)] };
  throw new Error('it is no addon for Linux, macOS or Windows');
}

/** Returns the newest version of glibc whose symbols an ELF file needs; `undefined` if it needs none. */
function glibcOf(elf) {
  const [table, size, count] = [Number(elf.readBigUInt64LE(40)), elf.readUInt16LE(58), elf.readUInt16LE(60)];
  const section = (index) => {
    const at = table + index * size;
    return {
      type: elf.readUInt32LE(at + 4),
      offset: Number(elf.readBigUInt64LE(at + 24)),
      link: elf.readUInt32LE(at + 40),
      entries: elf.readUInt32LE(at + 44),
    };
  };
  const versions = [];
  for (let index = 0; index < count; index++) {
    const { type, offset, link, entries } = section(index);
    if (type !== VERSION_NEEDS) continue;
    const strings = section(link).offset;
    let need = offset;
    for (let file = 0; file < entries; file++) {
      let version = need + elf.readUInt32LE(need + 8);
      for (let left = elf.readUInt16LE(need + 2); left > 0; left--) {
        const name = strings + elf.readUInt32LE(version + 8);
        versions.push(elf.toString('latin1', name, elf.indexOf(0, name)));
        version += elf.readUInt32LE(version + 12);
      }
      need += elf.readUInt32LE(need + 12);
    }
  }
  const ofGlibc = versions.filter((name) => /^GLIBC_\d/.test(name)).map((name) => name.slice('GLIBC_'.length));
  return ofGlibc.sort(compare).at(-1);
}

/** Compares versions by their numbers: 2.9 comes before 2.17. */
function compare(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (let part = 0; part < 3; part++) if ((left[part] ?? 0) !== (right[part] ?? 0)) return (left[part] ?? 0) - (right[part] ?? 0);
  return 0;
}

/** Returns the paths of folders of people and of this machine. The paths of the standard library begin with `/rustc/`, which names none. */
function buildPaths(content) {
  const text = content.toString('latin1');
  const own = [root, os.homedir(), process.env.CARGO_HOME].filter((folder) => folder && folder.length > 1);
  const found = own.filter((folder) => text.includes(folder));
  for (const [match] of text.matchAll(
    /(?:\/home\/|\/Users\/|\/root\/|[A-Z]:\\(?:Users|a)\\|\/github\/workspace|\.cargo[\\/]registry)[\w.\\/-]{1,80}/g,
  ))
    found.push(match);
  return [...new Set(found)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = readArguments({
    options: { glibc: { type: 'string', default: OLDEST_GLIBC, value: 'VERSION' } },
    words: { name: 'FILE of an addon', least: 1 },
  });
  const absent = positionals.find((file) => !existsSync(file));
  if (absent !== undefined) refuse(`there is no file ${absent}`);
  for (const file of positionals) {
    const addon = inspect(file);
    const found = problems(addon, values.glibc);
    console.log(
      `${path.basename(file)}: ${addon.system} ${addon.cpu}, ${addon.bytes} bytes, ${addon.glibc ? `needs glibc ${addon.glibc}` : 'needs no glibc'}`,
    );
    for (const problem of found) console.error(`  ${problem}`);
    if (found.length > 0) process.exitCode = 1;
  }
}
