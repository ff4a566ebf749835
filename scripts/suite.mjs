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
 * @property {string} result `passed`, or what was wrong.
 * @property {string} [system]
 * @property {number} [passed]
 * @property {number} [failed]
 * @property {number} [skipped]
 * @property {string[]} [missing] Why nothing ran.
 */

/**
 * @param {string} name Of the runtime, for the log.
 * @param {(args: string[], options: { timeoutMs: number }) => import('node:child_process').SpawnSyncReturns<string>} node
 * @param {{ timeoutMs: number, only: string[] }} options `timeoutMs`: of one file. `only`: words of which a file's name must have one.
 */
export function runSuite(name, node, { timeoutMs, only }) {
  mkdirSync(LOGS, { recursive: true });
  const total = { passed: 0, failed: 0, skipped: 0 };
  const wrong = [];
  for (const file of testFiles().filter((one) => only.length === 0 || only.some((word) => one.includes(word)))) {
    const startedAt = performance.now();
    const { status, signal, stdout, stderr } = node(['--test', '--test-reporter=spec', path.join('__test__', file)], { timeoutMs });
    const text = `${stdout}${stderr}`;
    const log = path.join(LOGS, `${name}-${file}.log`);
    writeFileSync(log, text);
    const [counts, skips] = [countsIn(text), skipsIn(text)];
    // The runner does not count a suite that is skipped as a whole.
    counts.skipped = Math.max(counts.skipped, skips.length);
    for (const outcome of Object.keys(total)) total[outcome] += counts[outcome];
    const isWell = status === 0 && counts.passed + counts.skipped > 0;
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    const ended = isWell ? '' : `, ${signal ?? `exit code ${status}`}, see ${path.relative(inRoot(), log)}`;
    console.log(
      `${isWell ? '✔' : '✖'} ${name} ${file}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped, ${seconds} s${ended}`,
    );
    for (const skip of skips) console.log(`  skipped: ${skip}`);
    if (!isWell) wrong.push(file.replace('.test.mjs', ''));
  }
  const check = only.length > 0 ? `JavaScript tests of: ${only.join(', ')}` : 'JavaScript tests';
  return { check, ...total, result: wrong.length === 0 ? 'passed' : `failed: ${wrong.join(', ')}` };
}

/** The files with tests, by their names. */
function testFiles() {
  const files = readdirSync(inRoot('__test__')).filter((name) => name.endsWith('.test.mjs'));
  if (files.length === 0) throw new Error('there is no test in __test__');
  return files.sort();
}
