// The tests on systems that this machine imitates: musl in a root that holds busybox alone, arm64 by qemu, Windows by Wine.
//
//   npm run test:cross                          builds what it needs, runs all tests of each; it takes some hours
//   npm run test:cross -- musl arm64            of the systems that are named: musl, arm64, windows
//   npm run test:cross -- --only guardian       the files whose name has this word; may be given more than once
//   npm run test:cross -- --built               with the addons that `npm run cross` has built, as they are
//   npm run test:cross -- --record              writes what ran into docs/platforms.json, and docs/platforms.md anew
//
// What cannot run here is skipped, with the names of what is missing; where `CI` is set, that fails.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { countsIn, skipsIn } from './counts.mjs';
import { CROSS_TARGETS, addonOf, build } from './cross.mjs';
import { record } from './platforms-page.mjs';
import { arm64System, muslSystem, testFiles } from './roots.mjs';
import { inRoot } from './toolchains.mjs';

const LOGS = inRoot('target', 'cross-logs');
/** One file; qemu takes ten times as long as the processor. */
const FILE_LIMIT_MS = { musl: 300_000, arm64: 900_000 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', multiple: true, default: [] },
    record: { type: 'boolean', default: false },
    built: { type: 'boolean', default: false },
  },
});

const SYSTEMS = {
  musl: () => inRootOf('musl', 'linux-x64-musl', muslSystem),
  arm64: () => inRootOf('arm64', 'linux-arm64-gnu', arm64System),
  windows,
};
const unknown = positionals.find((name) => !Object.hasOwn(SYSTEMS, name));
if (unknown !== undefined) throw new Error(`there is no system ${unknown}; give some of ${Object.keys(SYSTEMS).join(', ')}`);
process.exitCode = main(positionals.length > 0 ? positionals : Object.keys(SYSTEMS)) ? 0 : 1;

/**
 * @typedef {object} Outcome
 * @property {string} target
 * @property {string} check
 * @property {string} result `passed`, or what was wrong.
 * @property {string} [system]
 * @property {number} [passed]
 * @property {number} [failed]
 * @property {number} [skipped]
 * @property {string[]} [missing] Why nothing ran.
 */

function main(names) {
  /** @type {Outcome[]} */
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
  return outcomes.every(({ result, missing }) => (missing ? !process.env.CI : result === 'passed'));
}

/** @returns {Outcome[]} */
function inRootOf(name, target, makeSystem) {
  const built = values.built ? { addon: addonOf(target), ended: 'built' } : build(CROSS_TARGETS.find((one) => one.name === target));
  const build_ = { target, check: 'builds', result: built.ended === 'built' ? 'passed' : built.ended, missing: built.missing };
  if (!built.addon) return [build_];
  const system = makeSystem(built.addon);
  if ('missing' in system) return [build_, { target, check: 'JavaScript tests', result: 'skipped', missing: system.missing }];
  mkdirSync(LOGS, { recursive: true });
  const total = { passed: 0, failed: 0, skipped: 0 };
  const wrong = [];
  for (const file of testFiles().filter(isWanted)) {
    const startedAt = performance.now();
    const { status, signal, stdout, stderr } = system.node(['--test', '--test-reporter=spec', path.join('__test__', file)], {
      timeoutMs: FILE_LIMIT_MS[name],
    });
    const text = `${stdout}${stderr}`;
    const log = path.join(LOGS, `${target}-${file}.log`);
    writeFileSync(log, text);
    const counts = countsIn(text);
    for (const outcome of Object.keys(total)) total[outcome] += counts[outcome];
    const isWell = status === 0 && counts.passed + counts.skipped > 0;
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    const ended = isWell ? '' : `, ${signal ?? `exit code ${status}`}, see ${path.relative(inRoot(), log)}`;
    console.log(
      `${isWell ? '✔' : '✖'} ${target} ${file}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped, ${seconds} s${ended}`,
    );
    for (const skip of skipsIn(text)) console.log(`  skipped: ${skip}`);
    if (!isWell) wrong.push(file.replace('.test.mjs', ''));
  }
  const result = wrong.length === 0 ? 'passed' : `failed: ${wrong.join(', ')}`;
  return [build_, { target, check: 'JavaScript tests', system: system.description, ...total, result }];
}

function isWanted(file) {
  return values.only.length === 0 || values.only.some((word) => file.includes(word));
}

/** @returns {Outcome[]} */
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
  const { ran, missing } = JSON.parse(line);
  if (missing) return [{ target, check: 'tests of Windows', result: 'skipped', missing }];
  const sum = (rows, key) => rows.reduce((total, row) => total + row[key], 0);
  const row = (check, rows) => ({
    target,
    check,
    system: 'Wine 8',
    passed: sum(rows, 'passed'),
    failed: sum(rows, 'failed'),
    skipped: sum(rows, 'skipped'),
    result: rows.every(({ ended }) => ended === 'passed')
      ? 'passed'
      : `failed: ${rows
          .filter(({ ended }) => ended !== 'passed')
          .map(({ what }) => what)
          .join(', ')}`,
  });
  const [unit, ...files] = ran;
  return [row('unit tests of the crate', [unit]), row('tests of Windows', files)];
}
