// Makes `dist`, and builds the addon into the project's folder, unless that is newer than everything it is made from.
//   --force          builds it anyway; so does anything else that is given, which goes to `napi build`
//   --glibc 2.17     with --cross-compile: the oldest C library that the addon runs with
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { refuse } from './arguments.mjs';
import { writeBundle } from './bundle.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const given = process.argv.slice(2);
const glibcAt = given.indexOf('--glibc');
const glibc = glibcAt < 0 ? undefined : given[glibcAt + 1];
if (glibcAt >= 0 && !/^\d+\.\d+$/.test(glibc ?? '')) refuse(`--glibc needs a version such as 2.17, and ${glibc ?? 'nothing'} was given`);
const passedOn = given.filter((word, index) => word !== '--force' && (glibcAt < 0 || (index !== glibcAt && index !== glibcAt + 1)));

/** Returns the newest change below a file or folder, in ms. */
function newest(entry) {
  const stat = statSync(entry);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(entry).map((name) => newest(path.join(entry, name))));
}

/** Returns the flags that keep the folders of this machine out of the addon: messages of panics have the paths of sources. */
function rustFlags() {
  const cargoHome = process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo');
  const sysroot = spawnSync(process.env.RUSTC ?? 'rustc', ['--print', 'sysroot'], { encoding: 'utf8', cwd: root }).stdout?.trim();
  const folders = { [root]: '/source', [path.join(cargoHome, 'registry', 'src')]: '/crates', [path.join(cargoHome, 'git')]: '/git' };
  if (sysroot) folders[path.join(sysroot, 'lib', 'rustlib', 'src', 'rust')] = '/rustc';
  // A list of words: a folder with a blank cannot be in it.
  const flags = Object.entries(folders)
    .filter(([from]) => !/\s/.test(from))
    .map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
  return [process.env.RUSTFLAGS, ...flags].filter(Boolean).join(' ');
}

writeBundle();

const inputs = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'addon', 'package.json'].map((name) => path.join(root, name));
const built = readdirSync(root).filter((name) => name.startsWith('execution-engine.') && name.endsWith('.node'));
const isFresh = built.some((name) => statSync(path.join(root, name)).mtimeMs > Math.max(...inputs.map(newest)));

if (isFresh && given.length === 0) {
  console.log('the addon is up to date');
} else {
  const cli = path.join(root, 'node_modules', '@napi-rs', 'cli', 'dist', 'cli.js');
  const where = ['--manifest-path', 'addon/Cargo.toml', '--output-dir', '.'];
  const args = ['build', ...where, '--platform', '--release', '--no-js', '--dts', 'binding.d.ts', ...passedOn];
  const env = {
    ...process.env,
    RUSTFLAGS: rustFlags(),
    ...(glibc && { ESCHER_GLIBC: glibc, CARGO: path.join(root, 'scripts', 'cargo-glibc'), ESCHER_CARGO: process.env.CARGO ?? 'cargo' }),
  };
  const { status, error } = spawnSync(process.execPath, [cli, ...args], { cwd: root, stdio: 'inherit', env });
  if (error || status !== 0) {
    console.error('the addon was not built: Rust 1.88 or newer (cargo) and a C linker are needed');
    process.exit(status || 1);
  }
}
