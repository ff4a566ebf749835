// docs/platforms.md: what ran on which system, and when. It is made of docs/platforms.json, which the runs write.
//
//   node scripts/platforms-page.mjs      writes the page anew
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { readArguments } from './arguments.mjs';
import { main } from './packages.mjs';
import { inRoot } from './toolchains.mjs';

const RESULTS = inRoot('docs', 'platforms.json');
export const PAGE = inRoot('docs', 'platforms.md');

/**
 * @typedef {object} Row
 * @property {string} target
 * @property {string} check
 * @property {string} system
 * @property {string} date
 * @property {string} version
 * @property {number} [passed]
 * @property {number} [failed]
 * @property {number} [skipped]
 * @property {string} result
 */

/** @returns {Row[]} */
export function results() {
  return JSON.parse(readFileSync(RESULTS, 'utf8'));
}

/** Returns the text of the page. @param {Row[]} rows */
export function page(rows) {
  const cells = rows.map(({ target, check, system = '', passed, failed, skipped, result, date, version }) => {
    const counts = passed === undefined ? '' : `${passed} passed, ${failed} failed, ${skipped} skipped`;
    return `| ${[target, check, system, counts, result, date, version].join(' | ')} |`;
  });
  return `# Platforms

What ran on which system, and when. This page is generated: \`npm run test:cross\` (other systems), \`npm run test:runtimes\` (Node.js, Bun,
Deno), \`npm run test:consumers\` (what installs, bundles and loads the packages), \`npm run test:types\` (compilers) and
\`npm run release:check\` run the checks. With \`-- --record\` each writes its results into \`platforms.json\`, and
\`node scripts/platforms-page.mjs\` makes the page of it.

| Target | Check | Where | Tests | Result | Date | Version |
| --- | --- | --- | --- | --- | --- | --- |
${cells.join('\n')}

A test is skipped where the system lacks what it is about, such as a program that busybox does not have; the run prints each with its reason.
A file that fails is run once more, after the others: "by a second run" names those that passed then.
Each release also runs a smoke test of the package of each target, on that system.
`;
}

/** Puts outcomes into the results. */
export function record(outcomes) {
  const date = new Date().toISOString().slice(0, 10);
  const ran = outcomes
    .filter(({ missing }) => !missing)
    .map(({ target, check, system, passed, failed, skipped, result }) => ({
      target,
      check,
      system,
      date,
      version: main.version,
      passed,
      failed,
      skipped,
      result,
    }));
  writeFileSync(RESULTS, `${JSON.stringify(merged(results(), ran), undefined, 2)}\n`);
  write();
}

/**
 * Merges the rows with new ones. A new row takes the place of the one of the same check, and a run of all tests that of runs of some.
 *
 * @param {Row[]} rows
 * @param {Row[]} ran
 */
export function merged(rows, ran) {
  const whole = ({ check }) => check.replace(/ of: .*?(?=(, Node\.js \d+)?$)/, '');
  const isReplaced = (row) => ran.some(({ target, check }) => target === row.target && [row.check, whole(row)].includes(check));
  return [...rows.filter((row) => !isReplaced(row)), ...ran].sort(
    (one, other) => one.target.localeCompare(other.target) || one.check.localeCompare(other.check),
  );
}

function write() {
  writeFileSync(PAGE, page(results()));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  readArguments({});
  write();
}
