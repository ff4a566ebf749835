// Every check of this project, in order: `npm test`. Stops at the first that fails. Races are run 20 times, in CI 200 times.
//   --list          names the steps
//   --only <step>   runs that step; may be given more than once
//   --keep-going    runs all of them, whatever fails
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { LARGEST_BYTES, inspect, problems } from './addon.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const inRoot = (...names) => path.join(root, ...names);
const tsc = inRoot('node_modules', 'typescript', 'bin', 'tsc');

/** The crate that measures: one of its own, so that nothing else builds what it needs. */
const benches = ['--manifest-path', 'benches/core/Cargo.toml'];
const GENERATED = 'binding.d.ts';
const JS_TEST_LIMIT_MS = 300_000;
// Many tests measure time, so a core stays free for the children that they start.
const JS_TEST_FILES_AT_ONCE = Math.max(1, Math.min(4, os.availableParallelism() - 1));
// Races are run so often, by one of the steps that run them; elsewhere just often enough to show that the tests work.
const REPEATS = { ESCHER_TEST_REPEATS: process.env.ESCHER_TEST_REPEATS ?? (process.env.CI ? '200' : '20') };

// What the steps before have built stays of use: the same profile and features follow each other.
const STEPS = [
  step('fmt', 'Rust is formatted', () => cargo('fmt', '--check') && cargo('fmt', '--check', ...benches)),
  step('clippy', 'clippy has nothing to say', () => cargo('clippy', '--all-targets', '--locked', '--', '-D', 'warnings')),
  step('clippy-node', 'nor about the binding and the schemas', () =>
    cargo('clippy', '--all-targets', '--locked', '--features', 'node,schema', '--', '-D', 'warnings'),
  ),
  step('clippy-bench', 'nor about the benches of the core', () =>
    cargo('clippy', '--all-targets', '--locked', ...benches, '--target-dir', 'target', '--', '-D', 'warnings'),
  ),
  step('rust', 'Rust tests', (all) => run('cargo', ['test', '--locked', ...all], REPEATS)),
  step('rust-node', 'Rust tests with the binding and the schemas', (all) => cargo('test', '--locked', '--features', 'node,schema', ...all)),
  step('doc', 'the documentation builds without warnings', () =>
    run('cargo', ['doc', '--no-deps', '--locked'], { RUSTDOCFLAGS: '-D warnings' }),
  ),
  step('build', 'the addon', () => node('scripts/build.mjs')),
  step('size', 'the addon is small, and names no folder of this machine', () => addonIsSmall()),
  step('generated', 'generated files are those that the sources give', () => bindingIsCommitted() && node('scripts/packages.mjs', '--check')),
  step('types', 'the facade and its types', () => node(tsc, '-p', '.')),
  step('fuzz', 'any bytes in any pieces', () => node('scripts/fuzz.mjs', '--seconds', process.env.CI ? '60' : '5')),
  step('guard', 'no run costs more than it did', () => node('scripts/guard.mjs')),
  step('runtimes', 'other runtimes keep the promises too', () => node('scripts/runtimes.mjs', '--quick')),
  step('js', 'JavaScript tests', () => run(process.execPath, [...jsTestFlags(), ...jsTestFiles()], REPEATS)),
];

process.exitCode = main();

function main() {
  const options = readOptions();
  if (!options) return 2;
  const { list, only, keepGoing } = options;
  if (list) {
    for (const { name, title } of STEPS) console.log(`${name.padEnd(12)} ${title}`);
    return 0;
  }
  const startedAt = performance.now();
  const failed = [];
  for (const { name, title, passes } of STEPS) {
    if (only.length > 0 && !only.includes(name)) continue;
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    console.log(`\n━━ ${name}: ${title} (${seconds} s so far)`);
    if (passes(keepGoing ? ['--no-fail-fast'] : [])) continue;
    failed.push(name);
    console.error(`\n━━ FAILED: ${name} (${title}); again with: npm test -- --only ${name}`);
    if (!keepGoing) break;
  }
  if (keepGoing && failed.length > 0) console.error(`\n━━ FAILED steps: ${failed.join(', ')}`);
  // Nothing is said after success: the run ends with the summary of the test runner.
  return failed.length > 0 ? 1 : 0;
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        list: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        'keep-going': { type: 'boolean', default: false },
      },
    });
    const known = STEPS.map(({ name }) => name);
    const unknown = values.only.find((name) => !known.includes(name));
    if (unknown !== undefined) throw new Error(`there is no step ${JSON.stringify(unknown)}: give one of ${known.join(', ')}`);
    return { list: values.list, only: values.only, keepGoing: values['keep-going'] };
  } catch (error) {
    console.error(error.message);
    return undefined;
  }
}

function step(name, title, passes) {
  return { name, title, passes };
}

/** Runs a program with this one's own output; says whether it went well. */
function run(program, args, env = {}) {
  const variables = Object.entries(env).map(([name, value]) => `${name}='${value}'`);
  const words = args.map((arg) => (path.isAbsolute(arg) ? path.relative(root, arg) : arg));
  const line = [...variables, program === process.execPath ? 'node' : program, ...words].join(' ');
  console.log(`$ ${line.length > 200 ? `${line.slice(0, 199)}…` : line}`);
  const { status, signal, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (error) console.error(`${program} did not run: ${error.message}`);
  else if (signal) console.error(`${program} was ended by ${signal}`);
  else if (status !== 0) console.error(`${program} ended with exit code ${status}`);
  return status === 0;
}

function cargo(...args) {
  return run('cargo', args);
}

function node(...args) {
  return run(process.execPath, args);
}

function jsTestFlags() {
  const flags = ['--test', '--test-reporter=spec', `--test-concurrency=${JS_TEST_FILES_AT_ONCE}`];
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || minor >= 11) flags.push(`--test-timeout=${JS_TEST_LIMIT_MS}`);
  return flags;
}

/** By name: patterns need Node.js 21. */
function jsTestFiles() {
  const files = readdirSync(inRoot('__test__')).filter((name) => name.endsWith('.test.mjs'));
  if (files.length === 0) throw new Error('there is no test in __test__');
  return files.sort().map((name) => path.join('__test__', name));
}

/** Asked of one system's addon only: those of others differ by their linkers. Its C library is that of this system. */
function addonIsSmall() {
  const file = inRoot('execution-engine.linux-x64-gnu.node');
  if (!existsSync(file)) {
    console.log('skipped: there is no addon for linux-x64-gnu');
    return true;
  }
  const addon = inspect(file);
  console.log(`${path.basename(file)}: ${addon.bytes} bytes of ${LARGEST_BYTES}`);
  const found = problems(addon, addon.glibc);
  for (const problem of found) console.error(problem);
  if (addon.bytes > LARGEST_BYTES) console.error('if it is no debug build (npm run build), see what brings so much, and leave it out');
  return found.length === 0;
}

/** The build has just written it: what it wrote is what is committed (or staged). */
function bindingIsCommitted() {
  const isTracked = spawnSync('git', ['ls-files', '--error-unmatch', GENERATED], { cwd: root, stdio: 'ignore' }).status === 0;
  if (!isTracked) {
    console.log(`${GENERATED}: not in a git checkout, nothing to compare with`);
    return true;
  }
  if (run('git', ['--no-pager', 'diff', '--exit-code', '--', GENERATED])) return true;
  console.error(`the build gives another ${GENERATED} than git has: look at it and add it`);
  return false;
}
