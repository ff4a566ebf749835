// Compilers, linkers and programs of other systems: what this machine has, and what package registries can bring into `target/tools`.
// Nothing is installed on the machine: packages are unpacked.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
export const inRoot = (...names) => path.join(root, ...names);
const TOOLS = inRoot('target', 'tools');
const FETCH_LIMIT_MS = 600_000;

/** Returns the files of that name that can be run, in the order of `PATH`. */
export function onPath(name) {
  const isProgram = (file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  return process.env.PATH.split(path.delimiter)
    .map((folder) => path.join(folder, name))
    .filter(isProgram);
}

/** Returns what `rustFor` looks for, in the words of a message about what is missing. */
export const rustNeeded = (target, debian = 'cargo-web rustc-web rust-web-src') =>
  `a Rust compiler with the library of ${target}, or its source (Debian: ${debian})`;

/** Returns a compiler that can build for a target: with its library, or with the library's source. */
export function rustFor(target, tool = 'cargo') {
  for (const rustc of [...onPath('rustc'), '/usr/bin/rustc']) {
    const folder = path.dirname(rustc);
    if (!existsSync(rustc) || !existsSync(path.join(folder, tool))) continue;
    const { stdout } = spawnSync(rustc, ['--print', 'sysroot'], { encoding: 'utf8', cwd: root });
    const library = path.join(stdout.trim(), 'lib', 'rustlib');
    const env = {
      PATH: `${folder}${path.delimiter}${process.env.PATH}`,
      RUSTC: rustc,
      CARGO_TARGET_DIR: inRoot('target', 'cross'),
      CARGO_PROFILE_DEV_DEBUG: process.env.CARGO_PROFILE_DEV_DEBUG ?? 'none',
    };
    if (existsSync(path.join(library, target, 'lib'))) return { target, flags: [], env };
    // Building the library is not a stable feature yet; with its own source it works in every compiler.
    const flags = ['-Zbuild-std=std,panic_unwind'];
    if (existsSync(path.join(library, 'src', 'rust', 'library', 'std'))) return { target, flags, env: { ...env, RUSTC_BOOTSTRAP: '1' } };
  }
  return undefined;
}

/** Returns the folder with `cargo-zigbuild` and zig, which links for Linux and macOS. `undefined`: it cannot be had. */
export function zig() {
  const folder = path.join(TOOLS, 'zig');
  const programs = path.join(folder, 'bin');
  if (existsSync(path.join(programs, 'cargo-zigbuild'))) return programs;
  const python = onPath('python3')[0];
  if (!python || !ran(python, ['-m', 'venv', folder])) return undefined;
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', inRoot('.ci', 'cross.txt')];
  return ran(path.join(programs, 'python'), pip) ? programs : undefined;
}

/**
 * Returns the folder into which a Debian package is unpacked. `undefined`: it cannot be had.
 *
 * @param {string} name
 * @param {{ release?: string }} [options] `release`: of Debian, where this machine's own is too old.
 */
export function debian(name, { release } = {}) {
  return unpacked(path.join('debian', [name, release].filter(Boolean).join('-')), (folder) => {
    const options = ['--quiet=2', ...(release ? listsOf(release) : [])];
    if (release && !ran('apt-get', [...options, 'update'])) return false;
    if (!ran('apt-get', [...options, 'download', name], { cwd: folder })) return false;
    const file = readdirSync(folder).find((one) => one.endsWith('.deb'));
    return ran('dpkg', ['-x', file, '.'], { cwd: folder });
  });
}

/** Returns the options that give apt the lists of another release of Debian, in a folder of their own. */
function listsOf(release) {
  const folder = path.join(TOOLS, 'apt', release);
  mkdirSync(path.join(folder, 'lists', 'partial'), { recursive: true });
  const mirror = spawnSync('apt-get', ['indextargets', '--format', '$(SITE)', 'Identifier: Packages'], { encoding: 'utf8' }).stdout;
  const sources = path.join(folder, 'sources.list');
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(sources, `deb [signed-by=${keys}] ${mirror.split('\n')[0]} ${release} main\n`);
  const places = { 'Etc::SourceList': sources, 'Etc::SourceParts': '/dev/null', 'State::Lists': path.join(folder, 'lists'), Cache: folder };
  return Object.entries(places).flatMap(([name, value]) => ['-o', `Dir::${name}=${value}`]);
}

/** Returns the folder of an npm package, whatever system it is for. `undefined`: it cannot be had. */
export function npm(name, version) {
  const folder = unpacked(path.join('npm', `${name}-${version}`), (to) => {
    writeFileSync(path.join(to, 'package.json'), '{"private":true}');
    const options = ['--no-audit', '--no-fund', '--no-save', '--ignore-scripts', '--prefer-offline', '--loglevel=error', '--force'];
    return ran('npm', ['install', ...options, `${name}@${version}`], { cwd: to });
  });
  return folder && path.join(folder, 'node_modules', name);
}

/** Returns the folder of a wheel from PyPI that is for another system. `undefined`: it cannot be had. */
export function wheel(name, version, platform) {
  return unpacked(path.join('wheels', `${name}-${version}-${platform}`), (folder) => {
    const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:', '--platform', platform];
    if (!ran('python3', ['-m', 'pip', 'download', ...options, `${name}==${version}`], { cwd: folder })) return false;
    const file = readdirSync(folder).find((one) => one.endsWith('.whl'));
    if (!ran('python3', ['-m', 'zipfile', '-e', file, '.'], { cwd: folder })) return false;
    rmSync(path.join(folder, file));
    return true;
  });
}

/** Returns a folder that `fill` fills once. A folder whose filling broke off is not used. */
function unpacked(name, fill) {
  const folder = path.join(TOOLS, name);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  if (!fill(partial)) return undefined;
  renameSync(partial, folder);
  return folder;
}

function ran(program, args, options = {}) {
  const { status } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'], timeout: FETCH_LIMIT_MS, ...options });
  return status === 0;
}

/** Makes an import library with the symbols of a host: an addon links against the host that loads it; here against this library. */
export function libnode() {
  const folder = inRoot('target', 'windows', 'libnode');
  mkdirSync(folder, { recursive: true });
  const list = path.join(folder, 'node.def');
  writeFileSync(list, 'LIBRARY node.exe\nEXPORTS\nnapi_module_register\n');
  const { status } = spawnSync('x86_64-w64-mingw32-dlltool', ['-d', list, '-l', path.join(folder, 'libnode.dll')], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the import library for the addon was not made');
  return folder;
}
