// The package under every runtime that it supports: the smoke part (scripts/runtime-smoke.mjs) under each, all JavaScript tests under
// each version of Node.js. scripts/fetched-runtimes.mjs fetches the runtimes; one that cannot be fetched is skipped, with a message.
//
//   npm run test:runtimes                     everything; it takes half an hour
//   npm run test:runtimes -- --quick          the smoke part only, under the oldest and the newest Node.js, Bun and Deno
//   npm run test:runtimes -- --only bun       the runtimes whose name has this word; may be given more than once
//   npm run test:runtimes -- --test wait      the test files whose name has this word; may be given more than once
//   npm run test:runtimes -- --record         writes what ran into docs/platforms.json, and docs/platforms.md anew
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments, refuse } from './arguments.mjs';
import { canFetchRuntimes, fetchRuntime, versionOf } from './fetched-runtimes.mjs';
import { record } from './platforms-page.mjs';
import { isPassed, runSuite, withoutTests } from './suite.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const SMOKE = path.join('scripts', 'runtime-smoke.mjs');
/** The longest time of one run of the smoke part. */
const SMOKE_LIMIT_MS = 120_000;
const TEST_LIMIT_MS = 300_000;

const { values } = readArguments({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    test: { type: 'string', multiple: true, default: [] },
    record: { type: 'boolean', default: false },
  },
});

const node = (major, { isQuick = false } = {}) => ({
  name: `Node.js ${major}`,
  alias: `node-${major}`,
  flags: [],
  denied: ['--no-warnings', major >= 24 ? '--permission' : '--experimental-permission', '--allow-fs-read=*', '--allow-addons'],
  hasTests: true,
  isQuick,
});
const RUNTIMES = [
  node(20, { isQuick: true }),
  node(22),
  node(24),
  node(26, { isQuick: true }),
  // This runtime has no permission model.
  {
    name: 'Bun 1',
    alias: 'bun',
    flags: [],
    denied: undefined,
    hasTests: false,
    isQuick: true,
  },
  {
    name: 'Deno 2',
    alias: 'deno',
    flags: ['run', '--no-prompt', '--allow-ffi', '--allow-read', '--allow-env', '--allow-run', '--allow-write'],
    // A list of programs is no permission for all of them.
    denied: ['run', '--no-prompt', '--allow-ffi', '--allow-read', '--allow-env', '--allow-run=echo'],
    hasTests: false,
    isQuick: true,
  },
];
/** The target for which they are fetched. */
const TARGET = 'linux-x64-gnu';
const OK = 'ok';
const NONE = '';

process.exitCode = main();

function main() {
  const wanted = RUNTIMES.filter(({ name, isQuick }) => isWanted(name) && (isQuick || !values.quick || values.only.length > 0));
  const unknown = values.only.find((word) => !RUNTIMES.some(({ name }) => has(name, word)));
  if (unknown !== undefined)
    refuse(`--only: no runtime has ${JSON.stringify(unknown)} in its name; there are ${RUNTIMES.map(({ name }) => name).join(', ')}`);
  const without = withoutTests(values.test);
  if (without) refuse(`--test: ${without}`);
  if (!canFetchRuntimes) {
    console.error(`SKIPPED, every runtime: they are fetched for Linux on x64, and this is ${process.platform} ${process.arch}`);
    return 0;
  }
  /** @type {Record<string, Record<string, string>>} Results by runtime and check. */
  const table = {};
  const skipped = [];
  for (const runtime of wanted) {
    const program = fetchRuntime(runtime.alias);
    if (program === undefined) {
      skipped.push(runtime.name);
      continue;
    }
    const row = smoke(runtime, program);
    if (values.record) record([smokeOutcome(runtime, program, row)]);
    table[`${runtime.name} (${versionOf(program)})`] = row;
    if (!runtime.hasTests || values.quick) continue;
    const outcome = tests(runtime, program);
    row['all tests'] = isPassed(outcome) ? OK : outcome.result;
    if (values.record) record([outcome]);
  }
  print(table);
  for (const name of skipped) console.error(`SKIPPED: ${name} cannot be had here; the messages of npm are above`);
  const results = Object.values(table).flatMap((row) => Object.values(row));
  const count = (result) => results.filter((one) => one === result).length;
  const failed = results.length - count(OK) - count(NONE);
  console.log(`${count(OK)} passed, ${failed} failed, ${skipped.length} skipped`);
  return failed > 0 || results.length === 0 ? 1 : 0;
}

function isWanted(name) {
  return values.only.length === 0 || values.only.some((word) => has(name, word));
}

function has(name, word) {
  return name.toLowerCase().includes(word.toLowerCase());
}

/** Returns the result of each check of the smoke part. */
function smoke({ name, flags, denied }, program) {
  const whole = checks(name, program, [...flags, SMOKE, ...flags], { SMOKE_SECRET: 'of the parent' });
  const restricted = denied ? checks(name, program, [...denied, SMOKE], { SMOKE_DENIED: '1' }) : { permission: NONE };
  return { ...whole, ...restricted };
}

/** Returns the smoke part as one result. @returns {import('./suite.mjs').Outcome} */
function smokeOutcome({ name }, program, row) {
  const wrong = Object.keys(row).filter((check) => row[check] !== OK && row[check] !== NONE);
  return {
    target: TARGET,
    check: `smoke part, ${name}`,
    system: `${systemName()}, ${name.replace(/ \d+$/, '')} ${versionOf(program)}`,
    passed: Object.values(row).filter((result) => result === OK).length,
    failed: wrong.length,
    skipped: Object.values(row).filter((result) => result === NONE).length,
    result: wrong.length === 0 ? 'passed' : `failed: ${wrong.join(', ')}`,
  };
}

function checks(name, program, args, env) {
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    timeout: SMOKE_LIMIT_MS,
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  });
  const found = {};
  for (const line of stdout.split('\n').filter((text) => text.startsWith('{'))) {
    const { check, problem } = JSON.parse(line);
    found[check] = problem === undefined ? OK : 'FAILED';
    if (problem !== undefined) console.error(`${name}, ${check}: ${problem}`);
  }
  // The program ends with failure after each failed check; anything else is one more.
  if ((status !== 0 && !Object.values(found).includes('FAILED')) || Object.keys(found).length === 0) {
    console.error(`${name}: ended by ${error?.message ?? signal ?? `exit code ${status}`}\n${stdout}${stderr}`);
    found.end = 'FAILED';
  }
  return found;
}

/** Runs all tests of the project under a Node.js. @returns {import('./suite.mjs').Outcome} */
function tests({ name, alias }, program) {
  const node = (args, { timeoutMs }) =>
    spawnSync(program, [`--test-timeout=${timeoutMs}`, ...args], {
      cwd: root,
      encoding: 'utf8',
      timeout: timeoutMs + TEST_LIMIT_MS,
      env: { ...process.env, NODE_OPTIONS: '' },
      maxBuffer: 2 ** 28,
    });
  const { check, ...ran } = runSuite(alias, node, { timeoutMs: TEST_LIMIT_MS, only: values.test });
  return { target: TARGET, check: `${check}, ${name}`, system: `${systemName()}, Node.js ${versionOf(program)}`, ...ran };
}

function systemName() {
  const glibc = /** @type {any} */ (process.report.getReport()).header.glibcVersionRuntime;
  return glibc ? `glibc ${glibc}` : os.release();
}

/** Prints columns of equal width, a row for each runtime. */
function print(table) {
  const names = [...new Set(Object.values(table).flatMap((row) => Object.keys(row)))];
  const lines = [['', ...names], ...Object.entries(table).map(([runtime, row]) => [runtime, ...names.map((name) => row[name] || '-')])];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  for (const line of lines)
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
}
