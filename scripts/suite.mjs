// Runs all JavaScript tests under a Node.js that another one starts, file by file: a test that hangs costs one file, and each has a log of
// its own.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { countsIn, endOf, skipsIn } from './counts.mjs';
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
 * @typedef {object} Ran
 * @property {string} ended What was wrong with the end. Empty: nothing.
 * @property {Record<string, number>} counts
 */

/**
 * Runs the files, and those that fail once more after the others: a test that measures time may fail on a machine that does other work.
 * The result names them. Where `CI` is set, each file has one run.
 *
 * @param {string} name Of the runtime, for the log.
 * @param {(args: string[], options: { timeoutMs: number }) => import('node:child_process').SpawnSyncReturns<string>} node
 * @param {{ timeoutMs: number, only: string[], files?: string[], what?: string, again?: boolean }} options `timeoutMs`: of one file.
 *   `only`: words of which a file's name must have one. `what`: the name of all `files` in the outcome.
 * @returns {Pick<Outcome, 'check' | 'passed' | 'failed' | 'skipped' | 'result'>}
 */
export function runSuite(name, node, { timeoutMs, only, files = testFiles(), what = 'JavaScript tests', again = !process.env.CI }) {
  mkdirSync(LOGS, { recursive: true });
  const wanted = files.filter((file) => only.length === 0 || only.some((word) => file.includes(word)));
  const without = withoutTests(only, files);
  if (without) throw new Error(without);
  /** @type {Map<string, Ran>} */
  const ran = new Map();
  for (const file of wanted) ran.set(file, runFile(name, node, file, timeoutMs));
  const failed = () => wanted.filter((file) => ran.get(file)?.ended);
  const repeated = again ? failed() : [];
  for (const file of repeated) ran.set(file, runFile(name, node, file, timeoutMs));
  const sum = (key) => [...ran.values()].reduce((total, { counts }) => total + counts[key], 0);
  const check = only.length > 0 ? `${what} of: ${only.join(', ')}` : what;
  return { check, passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped'), result: verdict(ran, repeated) };
}

/** Returns what is wrong with words of which each must be in the name of a test file; nothing when nothing is. @param {string[]} words */
export function withoutTests(words, files = testFiles()) {
  const unknown = words.find((word) => !files.some((file) => file.includes(word)));
  return unknown === undefined ? '' : `no test file has ${JSON.stringify(unknown)} in its name; they are in __test__`;
}

/** Returns the verdict of the runs. @param {Map<string, Ran>} ran @param {string[]} repeated */
function verdict(ran, repeated) {
  const name = (file) => file.replace('.test.mjs', '');
  const failed = [...ran].filter(([, { ended }]) => ended);
  // A file that did not end by itself has no number of failed tests: how it ended is the reason.
  const reasons = failed.map(([file, { ended, counts }]) => (counts.failed > 0 ? name(file) : `${name(file)} (${ended})`));
  const second = repeated.filter((file) => !ran.get(file)?.ended).map(name);
  const first = reasons.length > 0 ? `failed: ${reasons.join(', ')}` : 'passed';
  return second.length > 0 ? `${first}; by a second run: ${second.join(', ')}` : first;
}

/** Whether no file has failed in its last run. @param {{ result: string }} outcome */
export const isPassed = ({ result }) => result.split(';')[0] === 'passed';

/** @returns {Ran} */
function runFile(name, node, file, timeoutMs) {
  const startedAt = performance.now();
  const result = node(['--test', '--test-reporter=spec', path.join('__test__', file)], { timeoutMs });
  const text = `${result.stdout}${result.stderr}`;
  const log = path.join(LOGS, `${name}-${file}.log`);
  writeFileSync(log, text);
  const [counts, skips] = [countsIn(text), skipsIn(text)];
  // The runner does not count a suite that is skipped as a whole.
  counts.skipped = Math.max(counts.skipped, skips.length);
  const ended = endOf(result) || (counts.passed + counts.skipped > 0 ? '' : 'no test ran');
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const end = ended && `, ${ended}, see ${path.relative(inRoot(), log)}`;
  console.log(
    `${ended ? '✖' : '✔'} ${name} ${file}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped, ${seconds} s${end}`,
  );
  for (const skip of skips) console.log(`  skipped: ${skip}`);
  return { ended, counts };
}

/** Returns the files with tests, by their names. */
function testFiles() {
  const files = readdirSync(inRoot('__test__')).filter((name) => name.endsWith('.test.mjs'));
  if (files.length === 0) throw new Error('there is no test in __test__');
  return files.sort();
}
