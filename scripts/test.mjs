// Every check of this project: `npm test`. Stops at the first that fails. Races are run 20 times, in CI 200 times.
//   --list          prints the steps, and which of them `npm run check` has
//   --only <step>   runs that step; may be given more than once
//   --keep-going    runs all of them, whatever fails
//   --quick         runs what `npm run check` runs: some of the steps, and a part of the tests
// Steps that build or read run side by side; those that measure time or count run alone, after the others.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { LARGEST_BYTES, inspect, problems } from './addon.mjs';
import { readArguments, refuse } from './arguments.mjs';
import { writeBundle } from './bundle.mjs';
import { jsTestFiles } from './js-tests.mjs';
import { QUICK_TESTS } from './quick-tests.mjs';
import { runSteps, step } from './steps.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const inRoot = (...names) => path.join(root, ...names);
const tsc = inRoot('node_modules', 'typescript', 'bin', 'tsc');
const biome = inRoot('node_modules', '@biomejs', 'biome', 'bin', 'biome');

/** The crates beside the main one, which have lock files of their own. */
const benches = ['--manifest-path', 'benches/core/Cargo.toml'];
const fuzz = ['--manifest-path', 'fuzz/Cargo.toml'];
const consumer = ['--manifest-path', 'tests/consumer/Cargo.toml'];
const GENERATED = 'binding.d.ts';
const JS_TEST_LIMIT_MS = 300_000;
/** Files of JavaScript tests that run side by side at most. */
const MOST_JS_TEST_FILES = 4;
// Races are run so often, by one of the steps that run them; elsewhere just often enough to show that the tests work.
const REPEATS = { ESCHER_TEST_REPEATS: process.env.ESCHER_TEST_REPEATS ?? (process.env.CI ? '200' : '20') };

// The lock of a folder of compiled files, which has one user at a time: cargo locks it. The same profile and features follow each other.
const DEBUG = { lock: 'target/debug' };
const RELEASE = { lock: 'target/release' };

const STEPS = [
  step('fmt', 'Rust is formatted', async (it) => {
    const formatted = [
      await it.cargo('fmt', '--check'),
      await it.cargo('fmt', '--check', ...benches),
      await it.cargo('fmt', '--check', ...fuzz),
      await it.cargo('fmt', '--check', ...consumer),
      await it.cargo('fmt', '--check', '--package', 'escher-execution-engine-addon'),
    ];
    return formatted.every(Boolean);
  }),
  step('lint', 'JavaScript is formatted, and the linter has no complaint', (it) => it.node(biome, 'check', '--error-on-warnings')),
  step('typos', 'no word is misspelled', (it) => tool(it, 'typos', [])),
  step('deny', 'the crates have licences and sources that are allowed', async (it) => {
    for (const crate of [[], benches, fuzz, consumer]) {
      const args = [...crate, '--locked', '--config', 'deny.toml', 'check', '--hide-inclusion-graph', 'licenses', 'bans', 'sources'];
      if (!(await tool(it, 'cargo-deny', args))) return false;
    }
    return true;
  }),
  step('unused', 'every crate in Cargo.toml is used', async (it) => {
    for (const folder of ['.', 'benches/core', 'fuzz', 'tests/consumer']) {
      if (!(await tool(it, 'cargo-shear', ['--deny-warnings', '--locked', folder]))) return false;
    }
    return true;
  }),
  step('clippy', 'clippy has no complaint', (it) => it.cargo('clippy', '--all-targets', '--locked', '--', '-D', 'warnings'), DEBUG),
  step('build', 'the addon', (it) => it.node('scripts/build.mjs'), RELEASE),
  step(
    'clippy-node',
    'nor about the binding, the schemas and feedback by HTTP',
    (it) => it.cargo('clippy', '--all-targets', '--locked', '--features', 'node,schema,server-feedback', '--', '-D', 'warnings'),
    DEBUG,
  ),
  step(
    'clippy-bench',
    'nor about the benches of the core',
    (it) => it.cargo('clippy', '--all-targets', '--locked', ...benches, '--target-dir', 'target', '--', '-D', 'warnings'),
    DEBUG,
  ),
  step('size', 'the addon is small, and contains no path of this machine', addonIsSmall, { after: ['build'] }),
  step(
    'generated',
    'generated files are those that the sources give',
    async (it) => (await bindingIsCommitted(it)) && it.node('scripts/packages.mjs', '--check'),
    { after: ['build'] },
  ),
  // The types of the addon are in a file that the build writes.
  step('types', 'the facade and its types', (it) => it.node(tsc, '-p', '.'), { after: ['build'] }),
  step('fuzz', 'any bytes in any pieces', (it) => it.node('scripts/fuzz.mjs', '--seconds', process.env.CI ? '60' : '5')),
  step(
    'doc',
    'the documentation builds without warnings',
    (it) => it.program('cargo', ['doc', '--no-deps', '--locked'], { RUSTDOCFLAGS: '-D warnings' }),
    DEBUG,
  ),
  step(
    'consumer',
    'a program of a user compiles and runs',
    async (it) => {
      const shared = ['--locked', ...consumer, '--target-dir', 'target'];
      return (await it.cargo('clippy', '--all-targets', ...shared, '--', '-D', 'warnings')) && it.cargo('test', ...shared);
    },
    DEBUG,
  ),
  step('package', 'the package of the crate is complete', (it) => it.node('scripts/crate.mjs', 'package'), DEBUG),
  step('semver', 'the version of the crate allows what has changed', (it) => it.node('scripts/crate.mjs', 'semver'), DEBUG),
  step('rust-build', 'the Rust tests build', (it) => it.cargo('test', '--locked', '--no-run'), DEBUG),
  step(
    'rust-node-build',
    'with the binding, the schemas and feedback by HTTP as well',
    (it) => it.cargo('test', '--locked', '--no-run', '--features', 'node,schema,server-feedback'),
    DEBUG,
  ),
  step('guard-build', 'the programs that count build', (it) => it.node('scripts/guard.mjs', '--build'), { after: ['build'] }),
  step('rust', 'Rust tests', (it) => it.program('cargo', ['test', '--locked', ...goOn], REPEATS), { alone: true }),
  step(
    'rust-node',
    'Rust tests with the binding, the schemas and feedback by HTTP',
    (it) => it.cargo('test', '--locked', '--features', 'node,schema,server-feedback', ...goOn),
    {
      alone: true,
    },
  ),
  step('guard', 'no run costs more than it did', (it) => it.node('scripts/guard.mjs'), { alone: true }),
  step('runtimes', 'other runtimes pass the smoke part', (it) => it.node('scripts/runtimes.mjs', '--quick'), { alone: true }),
  step('js', 'JavaScript tests', runJsTests, { alone: true }),
];

const quickAddon = inRoot('target', 'quick', 'execution-engine.node');
const QUICK_ENV = { NAPI_RS_NATIVE_LIBRARY_PATH: quickAddon, ESCHER_TEST_REPEATS: '1' };
/**
 * The steps by which a change is checked while it is made: steps of `npm test`, and a part of the tests, with an addon that is built in
 * seconds.
 */
const QUICK_STEPS = [
  // The steps that compile come first, one after the other, into one folder: together they take longest, and all others fit beside them.
  step('quick-addon', 'an addon that is not optimized', buildQuickAddon, DEBUG),
  // This step is one pass over the sources and their unit tests. The steps of `npm test` lint the library twice, and the other tests.
  step(
    'clippy-quick',
    'clippy has no complaint about the sources and their unit tests',
    (it) => it.cargo('clippy', '--locked', '--lib', '--profile', 'test', '--features', 'node,schema', '--', '-D', 'warnings'),
    DEBUG,
  ),
  // This step has the features of the quick addon, whose library it uses again.
  step(
    'unit-rust',
    'unit tests of Rust',
    (it) => it.cargo('test', '--locked', '--lib', '--test', 'structure', '--features', 'node'),
    DEBUG,
  ),
  ...['fmt', 'lint', 'typos', 'unused', 'types'].map((name) => STEPS.find((one) => one.name === name)),
  step('unit-js', 'JavaScript tests that are quick', (it) => it.program(process.execPath, quickJsTests(), QUICK_ENV), {
    after: ['quick-addon'],
  }),
];

const options = readOptions();
/** With this option of `cargo test`, the other test programs run after one has failed. */
const goOn = options.keepGoing ? ['--no-fail-fast'] : [];

process.exitCode = await main();

async function main() {
  const { list, only, keepGoing, quick } = options;
  if (list) {
    for (const { name, title } of STEPS) console.log(`${name.padEnd(15)}  ${title}`);
    console.log(`\nnpm run check: ${QUICK_STEPS.map(({ name }) => name).join(', ')}`);
    return 0;
  }
  const steps = only.length > 0 ? everyStep().filter(({ name }) => only.includes(name)) : quick ? QUICK_STEPS : STEPS;
  return (await runSteps(steps, { keepGoing, isQuiet: quick, repeat: (name) => `npm test -- --only ${name}` })) ? 0 : 1;
}

/** Returns all steps, those of `npm run check` included. */
function everyStep() {
  return [...new Set([...STEPS, ...QUICK_STEPS])];
}

function readOptions() {
  const { values } = readArguments({
    options: {
      list: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [], value: 'STEP' },
      'keep-going': { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
    },
  });
  const known = everyStep().map(({ name }) => name);
  const unknown = values.only.find((name) => !known.includes(name));
  if (unknown !== undefined) refuse(`there is no step ${JSON.stringify(unknown)}: give one of ${known.join(', ')}`);
  return { list: values.list, only: values.only, keepGoing: values['keep-going'], quick: values.quick };
}

/** Runs a program that a machine may not have. CI has all of them. */
function tool(it, name, args) {
  const isThere = spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
  if (isThere) return it.program(name, args);
  const line = '!'.repeat(100);
  it.say(
    `${line}\n!! ${process.env.CI ? 'MISSING' : 'SKIPPED'}: there is no ${name} here. Install it: python3 -m pip install -r .ci/tools.txt\n${line}`,
  );
  return !process.env.CI;
}

async function buildQuickAddon(it) {
  // This is built with what the unit tests link: built together, both use one library. Apart, their crates would have other features, and
  // it would be compiled twice.
  const together = ['--package', 'escher-execution-engine', '--lib', '--test', 'structure', '--features', 'escher-execution-engine/node'];
  if (!(await it.cargo('build', '--locked', '--package', 'escher-execution-engine-addon', ...together))) return false;
  const library =
    { darwin: 'libexecution_engine_addon.dylib', win32: 'execution_engine_addon.dll' }[process.platform] ?? 'libexecution_engine_addon.so';
  mkdirSync(path.dirname(quickAddon), { recursive: true });
  // Node.js loads only files that are named so. A new file: one that is loaded somewhere stays as it is.
  rmSync(quickAddon, { force: true });
  copyFileSync(inRoot('target', 'debug', library), quickAddon);
  writeBundle();
  return true;
}

function quickJsTests() {
  const files = QUICK_TESTS.map((name) => path.join('__test__', `${name}.test.mjs`));
  return ['--test', '--test-reporter=spec', '--test-concurrency=2', ...files];
}

/** Runs all JavaScript tests, even if some fail. */
async function runJsTests(it) {
  const { demanding, others } = jsTestFiles(root);
  const processors = os.availableParallelism();
  const run = (files, atOnce) => it.program(process.execPath, [...jsTestFlags(atOnce), ...files], REPEATS);
  const passed = [await run(others, processors), await run(demanding, processors - 1)];
  return passed.every(Boolean);
}

function jsTestFlags(atOnce) {
  const flags = ['--test', '--test-reporter=spec', `--test-concurrency=${Math.max(1, Math.min(MOST_JS_TEST_FILES, atOnce))}`];
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || minor >= 11) flags.push(`--test-timeout=${JS_TEST_LIMIT_MS}`);
  return flags;
}

/** Checks the addon of one system only: those of others differ by their linkers. Its C library is that of this system. */
function addonIsSmall(it) {
  const file = inRoot('execution-engine.linux-x64-gnu.node');
  if (!existsSync(file)) {
    it.say('skipped: there is no addon for linux-x64-gnu');
    return true;
  }
  const addon = inspect(file);
  it.say(`${path.basename(file)}: ${addon.bytes} bytes of ${LARGEST_BYTES}`);
  const found = problems(addon, addon.glibc);
  for (const problem of found) it.say(problem);
  if (addon.bytes > LARGEST_BYTES) it.say('if it is no debug build (npm run build), see what brings so much, and leave it out');
  return found.length === 0;
}

/** Checks that what the build has just written is what is committed (or staged). */
async function bindingIsCommitted(it) {
  const isTracked = spawnSync('git', ['ls-files', '--error-unmatch', GENERATED], { cwd: root, stdio: 'ignore' }).status === 0;
  if (!isTracked) {
    it.say(`${GENERATED}: not in a git checkout, nothing to compare with`);
    return true;
  }
  if (await it.program('git', ['--no-pager', 'diff', '--exit-code', '--', GENERATED])) return true;
  it.say(`the build gives another ${GENERATED} than git has: look at it and add it`);
  return false;
}
