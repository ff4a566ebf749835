// All JavaScript tests under a Node.js that another one starts, file by file: what hangs costs one file, and each has a log of its own.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { countsIn, skipsIn } from './counts.mjs';
import { inRoot } from './toolchains.mjs';

const LOGS = inRoot('target', 'suite-logs');

/**
 * @typedef {object} Outcome What is printed, and recorded in docs/platforms.json.
 * @property {string} target
 * @property {string} check
 * @property {string} result `passed`, or what was wrong; and the files that a second run passed.
 * @property {string} [system]
 * @property {number} [passed]
 * @property {number} [failed]
 * @property {number} [skipped]
 * @property {string[]} [missing] Why nothing ran.
 */

/**
 * Runs the files, and those that fail once more after the others: a test that measures time may fail on a machine that does other work.
 * The result names them. Where `CI` is set, each file has one run.
 *
 * @param {string} name Of the runtime, for the log.
 * @param {(args: string[], options: { timeoutMs: number }) => import('node:child_process').SpawnSyncReturns<string>} node
 * @param {{ timeoutMs: number, only: string[], files?: string[], again?: boolean }} options `timeoutMs`: of one file. `only`: words of
 *   which a file's name must have one.
 * @returns {Pick<Outcome, 'check' | 'passed' | 'failed' | 'skipped' | 'result'>}
 */
export function runSuite(name, node, { timeoutMs, only, files = testFiles(), again = !process.env.CI }) {
  mkdirSync(LOGS, { recursive: true });
  const wanted = files.filter((file) => only.length === 0 || only.some((word) => file.includes(word)));
  /** @type {Map<string, { isWell: boolean, counts: Record<string, number> }>} */
  const ran = new Map();
  for (const file of wanted) ran.set(file, runFile(name, node, file, timeoutMs));
  const failed = () => wanted.filter((file) => !ran.get(file)?.isWell);
  const repeated = again ? failed() : [];
  for (const file of repeated) ran.set(file, runFile(name, node, file, timeoutMs));
  const sum = (key) => [...ran.values()].reduce((total, { counts }) => total + counts[key], 0);
  const check = only.length > 0 ? `JavaScript tests of: ${only.join(', ')}` : 'JavaScript tests';
  return { check, passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped'), result: verdict(failed(), repeated) };
}

/** What runs come to. @param {string[]} failed @param {string[]} repeated */
function verdict(failed, repeated) {
  const names = (files) => files.map((file) => file.replace('.test.mjs', '')).join(', ');
  const second = repeated.filter((file) => !failed.includes(file));
  const first = failed.length > 0 ? `failed: ${names(failed)}` : 'passed';
  return second.length > 0 ? `${first}; by a second run: ${names(second)}` : first;
}

/** Whether no file has failed in its last run. @param {{ result: string }} outcome */
export const isPassed = ({ result }) => result.split(';')[0] === 'passed';

function runFile(name, node, file, timeoutMs) {
  const startedAt = performance.now();
  const { status, signal, stdout, stderr } = node(['--test', '--test-reporter=spec', path.join('__test__', file)], { timeoutMs });
  const text = `${stdout}${stderr}`;
  const log = path.join(LOGS, `${name}-${file}.log`);
  writeFileSync(log, text);
  const [counts, skips] = [countsIn(text), skipsIn(text)];
  // The runner does not count a suite that is skipped as a whole.
  counts.skipped = Math.max(counts.skipped, skips.length);
  const isWell = status === 0 && counts.passed + counts.skipped > 0;
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const ended = isWell ? '' : `, ${signal ?? `exit code ${status}`}, see ${path.relative(inRoot(), log)}`;
  console.log(
    `${isWell ? '✔' : '✖'} ${name} ${file}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped, ${seconds} s${ended}`,
  );
  for (const skip of skips) console.log(`  skipped: ${skip}`);
  return { isWell, counts };
}

/** The files with tests, by their names. */
function testFiles() {
  const files = readdirSync(inRoot('__test__')).filter((name) => name.endsWith('.test.mjs'));
  if (files.length === 0) throw new Error('there is no test in __test__');
  return files.sort();
}
