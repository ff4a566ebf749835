// The tests on systems that this machine imitates: musl in a root that holds busybox alone, arm64 by qemu, Windows by Wine.
//
//   npm run test:cross                          builds what it needs, runs all tests of each; it takes some hours
//   npm run test:cross -- musl arm64            of the systems that are named: musl, arm64, windows
//   npm run test:cross -- --only guardian       the files whose name has this word; may be given more than once
//   npm run test:cross -- --untimed             without the files that measure time or memory closely: under qemu those show nothing
//   npm run test:cross -- arm64 --counts        instead of tests, how often native code calls into JavaScript on arm64
//   npm run test:cross -- --built               with the addons that `npm run cross` has built, as they are
//   npm run test:cross -- --record              writes what ran into docs/platforms.json, and docs/platforms.md anew
//
// Tests that cannot run here are skipped, with the names of what is missing; where `CI` is set, that fails.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { compare, isFine } from '../benches/guard/compare.mjs';
import { BATCH_COUNTS, measureBatches } from '../benches/guard/counts.mjs';
import { readArguments, refuse } from './arguments.mjs';
import { CROSS_TARGETS, addonOf, build } from './cross.mjs';
import { jsTestFiles } from './js-tests.mjs';
import { record } from './platforms-page.mjs';
import { arm64System, muslSystem } from './roots.mjs';
import { isPassed, runSuite, withoutTests } from './suite.mjs';
import { inRoot } from './toolchains.mjs';

/** The time limits of one file, in ms; qemu takes ten times as long as the processor. */
const FILE_LIMIT_MS = { musl: 300_000, arm64: 900_000 };

const { values, positionals } = readArguments({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    record: { type: 'boolean', default: false },
    built: { type: 'boolean', default: false },
    counts: { type: 'boolean', default: false },
    untimed: { type: 'boolean', default: false },
  },
  words: { name: 'system', of: ['musl', 'arm64', 'windows'] },
});

/** The files that run, and what the outcome calls them. */
const FILES = values.untimed
  ? {
      files: jsTestFiles(inRoot()).others.map((file) => path.basename(file)),
      what: 'JavaScript tests that do not measure time or memory closely',
    }
  : {};

const SYSTEMS = {
  musl: () => inRootOf('musl', 'linux-x64-musl', muslSystem),
  arm64: () => inRootOf('arm64', 'linux-arm64-gnu', arm64System, values.counts ? countBatches : undefined),
  windows,
};
if (values.counts && positionals.join() !== 'arm64') refuse('--counts is for arm64 alone: give arm64 --counts');
const without = withoutTests(values.only, FILES.files);
if (without) refuse(`--only: ${without}`);
process.exitCode = main(positionals.length > 0 ? positionals : Object.keys(SYSTEMS)) ? 0 : 1;

function main(names) {
  /** @type {import('./suite.mjs').Outcome[]} */
  const outcomes = names.flatMap((name) => SYSTEMS[name]());
  console.table(
    outcomes.map(({ target, check, passed = '', failed = '', skipped = '', result }) => ({
      target,
      check,
      passed,
      failed,
      skipped,
      result,
    })),
  );
  for (const { target, check, missing } of outcomes)
    if (missing) console.error(`SKIPPED: ${target}, ${check}. There is no ${missing.join(', no ')}`);
  if (values.record) record(outcomes);
  return outcomes.every((outcome) => (outcome.missing ? !process.env.CI : isPassed(outcome)));
}

/**
 * @param {string} name
 * @param {string} target
 * @param {typeof muslSystem} makeSystem
 * @param {(system: import('./roots.mjs').System) => Omit<import('./suite.mjs').Outcome, 'target'>} [check] Instead of the tests.
 * @returns {import('./suite.mjs').Outcome[]}
 */
function inRootOf(name, target, makeSystem, check) {
  const built = values.built ? { addon: addonOf(target) } : build(CROSS_TARGETS.find((one) => one.name === target));
  const builds =
    'ended' in built ? [{ target, check: 'builds', result: built.ended.replace(/^built$/, 'passed'), missing: built.missing }] : [];
  if (!built.addon) return builds;
  const system = makeSystem(built.addon);
  if ('missing' in system) return [...builds, { target, check: 'JavaScript tests', result: 'skipped', missing: system.missing }];
  const ran = check ? check(system) : runSuite(target, system.node, { timeoutMs: FILE_LIMIT_MS[name], only: values.only, ...FILES });
  return [...builds, { target, system: system.description, ...ran }];
}

/** Compares the counts that need no tool with those of this machine. Times under qemu show nothing; counts do. */
function countBatches(system) {
  const folder = mkdtempSync(path.join(tmpdir(), 'counts-'));
  const ask = (what, given) => {
    const { status, stdout, stderr } = system.node(['benches/guard/host.mjs', what, String(given)], { timeoutMs: FILE_LIMIT_MS.arm64 });
    if (status !== 0) throw new Error(`benches/guard/host.mjs ended with exit code ${status}: ${stderr}`);
    return JSON.parse(stdout);
  };
  try {
    const baseline = JSON.parse(readFileSync(inRoot('benches', 'guard.json'), 'utf8')).counts;
    const known = Object.fromEntries(BATCH_COUNTS.map(({ name }) => [name, baseline[name]]));
    const measured = measureBatches(folder, ask);
    const rows = compare(BATCH_COUNTS, known, measured);
    const text = rows.map(({ name, is, was }) => `${name} ${is?.toFixed(2)} (x64: ${was})`).join(', ');
    return { check: 'calls into JavaScript', result: `${isFine(rows) ? 'passed' : 'failed'}; ${text}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns {import('./suite.mjs').Outcome[]} */
function windows() {
  const target = 'win32-x64-gnu';
  const { status, stdout } = spawnSync(process.execPath, [inRoot('scripts', 'platforms.mjs'), 'windows', '--json'], {
    cwd: inRoot(),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  process.stdout.write(stdout);
  const line = stdout.split('\n').find((one) => one.startsWith('{"ran":'));
  if (!line) return [{ target, check: 'tests of Windows', result: `ended with exit code ${status}` }];
  const { ran, missing, system } = JSON.parse(line);
  if (missing) return [{ target, check: 'tests of Windows', result: 'skipped', missing }];
  const sum = (rows, key) => rows.reduce((total, row) => total + row[key], 0);
  const row = (check, rows) => ({
    target,
    check,
    system,
    passed: sum(rows, 'passed'),
    failed: sum(rows, 'failed'),
    skipped: sum(rows, 'skipped'),
    result: rows.every(({ ended }) => ended === 'passed')
      ? 'passed'
      : `failed: ${rows
          .filter(({ ended }) => ended !== 'passed')
          .map(({ what, ended }) => `${what} (${ended})`)
          .join(', ')}`,
  });
  const [unit, ...files] = ran;
  return [row('unit tests of the crate', [unit]), row('tests of Windows', files)];
}
