// On Windows, a program gets its arguments as one text and takes it apart itself.
import assert from 'node:assert/strict';
import test from 'node:test';

import { newEngine } from '../helpers/engine.mjs';
import { nodeRuns } from './helpers.mjs';

const PIECES = ['', ' ', '\t', '"', '""', '\\', '\\\\', '\\"', '%PATH%', '^', '&', '|', '<', '>', '(', ')', '!', "'", 'a', 'ä', '漢', '😀', '\n', '*', '?'];

/** The same numbers in every run. */
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('arguments arrive as they are', async (t) => {
  const engine = newEngine(t);
  const next = numbers(20261121);
  const word = () => Array.from({ length: next(6) }, () => PIECES[next(PIECES.length)]).join('');
  // Many in one process: it is the process that costs.
  for (let round = 0; round < 12; round++) {
    const args = ['--', ...Array.from({ length: 250 }, word)];
    const result = await engine.run(nodeRuns('process.stdout.write(JSON.stringify(process.argv.slice(1)))', ...args));
    assert.equal(result.stderr, '');
    assert.deepEqual(JSON.parse(result.stdout), args.slice(1));
  }
});

test('a command line that no process can have is refused', async (t) => {
  const run = newEngine(t).run(nodeRuns('0', 'a'.repeat(40_000)));
  await assert.rejects(run, { code: 'SPAWN_FAILED', errno: 'E2BIG' });
});
