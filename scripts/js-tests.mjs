// The files of `__test__`, by what they need of the machine.
import { readdirSync } from 'node:fs';
import path from 'node:path';

/**
 * Tests that measure time or memory closely, or that take all processors, processes or descriptors. One processor stays free for the
 * children that they start. All other tests wait for most of their time, so as many files run at a time as there are processors.
 */
const DEMANDING = [
  'bench',
  'big-output',
  'blocked-loop',
  'budgets',
  'exhaustion',
  'flood-blocked',
  'guardian-attacked',
  'guardian-grace',
  'guardian-kill',
  'guardian-not-replaced',
  'guardian-useless',
  'hidden-members',
  'hostile-input',
  'hung-disk',
  'lines-uncut',
  'many-lines',
  'many-trees',
  'mixed-faults',
  'process-table',
  'respawning-tree',
  'secrets-many',
  'soak',
  'stopped-host',
  'stream-pace',
  'too-few-threads',
];

/**
 * Returns the paths of all files with tests, by name: patterns need Node.js 21.
 *
 * @param {string} root The folder of the project.
 * @returns {{ demanding: string[], others: string[] }}
 */
export function jsTestFiles(root) {
  const names = readdirSync(path.join(root, '__test__'))
    .filter((name) => name.endsWith('.test.mjs'))
    .map((name) => name.replace('.test.mjs', ''))
    .sort();
  const unknown = DEMANDING.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`scripts/js-tests.mjs names tests that are not in __test__: ${unknown.join(', ')}`);
  const files = (wanted) => wanted.map((name) => path.join('__test__', `${name}.test.mjs`));
  return { demanding: files(DEMANDING), others: files(names.filter((name) => !DEMANDING.includes(name))) };
}
