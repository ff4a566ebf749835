// The addons of other systems, built on one Linux machine.
//
//   npm run cross                              every target that can be built here, into target/cross-addons
//   npm run cross -- linux-arm64-gnu           those that are named
//
// A target that lacks something is skipped, with the names of what is missing. A release builds each target in
// .github/workflows/release.yml; this shows before that what a change does to them.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { OLDEST_GLIBC, inspect, problems } from './addon.mjs';
import { readArguments } from './arguments.mjs';
import { targets } from './packages.mjs';
import { inRoot, libnode, onPath, root, rustFor, rustNeeded, zig } from './toolchains.mjs';

const ADDONS = inRoot('target', 'cross-addons');
/** Windows as Linux can link for it: with the tools of GNU, where a release has those of Microsoft. It is not released. */
const WINDOWS_GNU = { name: 'win32-x64-gnu', triple: 'x86_64-pc-windows-gnu', os: 'win32', cpu: 'x64' };
export const CROSS_TARGETS = [...targets, WINDOWS_GNU];

/** Returns where the addon of a target is built. @param {string} name */
export const addonOf = (name) => path.join(ADDONS, `execution-engine.${name}.node`);

/** @typedef {{ target: string, addon?: string, ended: string, missing?: string[] }} Built */

/**
 * Builds the addon of a target, unless it is newer than its sources.
 *
 * @param {import('./packages.mjs').Target} target
 * @returns {Built}
 */
export function build(target) {
  const { name, triple } = target;
  if (triple.endsWith('-msvc')) return skipped(name, [`the libraries of Microsoft's C++ tools and of the Windows SDK for ${target.cpu}`]);
  const rust = rustFor(triple);
  const linker = target.os === 'win32' ? onPath('x86_64-w64-mingw32-gcc')[0] : zig();
  const missing = [
    !rust && rustNeeded(triple),
    !linker && (target.os === 'win32' ? 'a linker (Debian: gcc-mingw-w64-x86-64-win32)' : 'zig and cargo-zigbuild (PyPI: .ci/cross.txt)'),
  ].filter(Boolean);
  if (missing.length > 0) return skipped(name, missing);

  const how = command(target, rust, linker);
  if (!how) return { target: name, ended: 'the guardian was not built' };
  mkdirSync(ADDONS, { recursive: true });
  if (!ran(process.execPath, how.args, how.env)) return { target: name, ended: 'not built' };
  const addon = addonOf(name);
  return { target: name, addon, ended: problems(inspect(addon)).join('; ') || 'built' };
}

/**
 * Returns the command that builds an addon, and its variables; `undefined` where the guardian for it cannot be built.
 *
 * @param {import('./packages.mjs').Target} target
 * @param {{ flags: string[], env: Record<string, string | undefined> }} rust
 * @param {string} linker The program; or the folder of zig.
 * @param {typeof guardian} compile
 */
export function command(target, rust, linker, compile = guardian) {
  const env = { ...process.env, ...rust.env };
  const args = ['scripts/build.mjs', '--target', target.triple, '--output-dir', ADDONS, '--dts', 'binding.d.ts'];
  if (target.os === 'win32') Object.assign(env, { LIBNODE_PATH: libnode(), CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER: linker });
  else {
    env.PATH = `${linker}${path.delimiter}${env.PATH}`;
    args.push('--cross-compile', ...(target.libc === 'glibc' ? ['--glibc', OLDEST_GLIBC] : []));
  }
  if (rust.flags.length === 0) return { args, env };
  // The build script has no library of the target to compile the guardian with.
  if (target.os !== 'win32') {
    env.ESCHER_GUARDIAN_PROGRAM = compile(target, env);
    if (!env.ESCHER_GUARDIAN_PROGRAM) return undefined;
  }
  return { args: [...args, '--', ...rust.flags], env };
}

/** Compiles the guardian with the part of the library that it needs. Its path, if that went well. */
function guardian({ triple, os, cpu }, env) {
  const folder = inRoot('target', 'cross-guardian');
  const sources = inRoot('src', 'platform', 'unix', 'guardian_program');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(folder, 'Cargo.toml'),
    `[package]
name = "escher_guardian"
version = "0.0.0"
edition = "2024"
[[bin]]
name = "escher_guardian"
path = ${JSON.stringify(path.join(sources, 'main.rs'))}
[profile.release]
panic = "abort"
[workspace]
`,
  );
  const options = (name) => readFileSync(path.join(sources, name), 'utf8').trim().split('\n');
  const flags = [...options('rustc.args'), `--remap-path-prefix=${root}=/source`];
  // The guardian for Linux has no C library, so that one serves for each processor.
  if (os === 'linux') flags.push(...options('without-libc.args'), '-Clink-self-contained=no');
  const target = os === 'linux' ? triple.replace(/-gnu$/, '-musl') : triple;
  const built = path.join(folder, 'target', target, 'release', 'escher_guardian');
  const args = ['zigbuild', '--release', '-Zbuild-std=core,compiler_builtins', '--target', target];
  const own = { CARGO_ENCODED_RUSTFLAGS: flags.join('\x1f'), CARGO_TARGET_DIR: path.join(folder, 'target') };
  console.log(`the guardian for ${os} ${cpu}:`);
  return ran('cargo', args, { ...env, ...own }, folder) && existsSync(built) ? built : undefined;
}

function skipped(target, missing) {
  return { target, ended: 'skipped', missing };
}

function ran(program, args, env, cwd = root) {
  console.log(`$ ${path.basename(program)} ${args.join(' ')}`);
  const { status, signal, error } = spawnSync(program, args, { cwd, stdio: 'inherit', env });
  if (status !== 0) console.error(`${path.basename(program)} ended by ${error?.message ?? signal ?? `exit code ${status}`}`);
  return status === 0;
}

function main() {
  const { positionals: wanted } = readArguments({ words: { name: 'target', of: CROSS_TARGETS.map(({ name }) => name) } });
  const built = CROSS_TARGETS.filter(({ name }) => wanted.length === 0 || wanted.includes(name)).map(build);
  console.table(
    built.map(({ target, addon, ended }) => {
      const { bytes = '', glibc = '' } = addon ? inspect(addon) : {};
      return { target, ended, bytes, glibc };
    }),
  );
  for (const { target, missing } of built) if (missing) console.error(`SKIPPED: ${target}. There is no ${missing.join(', no ')}`);
  return built.every(({ ended }) => ended === 'built' || ended === 'skipped');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main() ? 0 : 1;
