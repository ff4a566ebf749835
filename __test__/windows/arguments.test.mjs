// On Windows, a program gets its arguments as one text and takes it apart itself.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { newEngine } from '../helpers/engine.mjs';
import { nodeRuns, scratch } from './helpers.mjs';

const PIECES = [
  '',
  ' ',
  '\t',
  '"',
  '""',
  '\\',
  '\\\\',
  '\\"',
  '%PATH%',
  '^',
  '&',
  '|',
  '<',
  '>',
  '(',
  ')',
  '!',
  "'",
  'a',
  'ä',
  '漢',
  '😀',
  '\n',
  '*',
  '?',
];

/** Returns random numbers that are the same in every run. */
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
  // Many arguments are checked in one process, since the process is what costs time.
  for (let round = 0; round < 12; round++) {
    const args = ['--', ...Array.from({ length: 250 }, word)];
    const result = await engine.run(nodeRuns('process.stdout.write(JSON.stringify(process.argv.slice(1)))', ...args));
    assert.equal(result.stderr, '');
    assert.deepEqual(JSON.parse(result.stdout), args.slice(1));
  }
});

/** The texts that `cmd.exe` is known to interpret somewhere, and some that only look like them. */
const FOR_BATCH = [
  '(',
  ')',
  '%',
  '^',
  '&',
  '|',
  '<',
  '>',
  '"',
  '!',
  '\n',
  '\r',
  '\t',
  '%~1',
  '%CD%',
  ' else ',
  ' echo PWNED',
  'x',
  ' ',
  '@',
  ';',
  ',',
  '=',
  "'",
  '`',
  '~',
  '*',
  '/?',
  '＂',
  '％',
  '＆',
  'ä',
  '^&',
  ' rem ',
];

test('an argument of a batch file is passed on as it is, or refused: it never becomes code', async (t) => {
  const engine = newEngine(t);
  const batch = path.join(scratch(t), 'print.cmd');
  // The argument without its quotes, in a block: what it holds is read as a part of the line.
  writeFileSync(batch, ['@echo off', 'if 1==0 (echo a %~1)', 'if 1==1 (echo [%~1]) else (echo PWNED)', 'echo {%~1}', ''].join('\r\n'));
  const next = numbers(20261128);
  const words = [
    'x) else (echo PWNED',
    'x) & echo PWNED & (',
    ...Array.from({ length: 150 }, () => Array.from({ length: 1 + next(5) }, () => FOR_BATCH[next(FOR_BATCH.length)]).join('')),
  ];
  let passed = 0;
  for (const word of words) {
    try {
      const { stdout } = await engine.run({ command: { type: 'exec', program: batch, args: [word] } }, { encoding: 'buffer' });
      // Only characters of every code page are compared by their bytes.
      if (/^[\x20-\x7e]*$/.test(word))
        assert.deepEqual(
          stdout
            .toString('latin1')
            .split('\r\n')
            .map((line) => line.trim()),
          [`[${word}]`, `{${word}}`, ''],
          JSON.stringify(word),
        );
      assert.equal(stdout.toString('latin1').split('\r\n').length, 3, JSON.stringify(word));
      passed++;
    } catch (error) {
      if (error.code !== 'SPAWN_FAILED') throw error;
      assert.equal(error.errno, 'EINVAL');
      assert.match(word, /[()%^&|<>"!\n\r\t]/, 'it is refused for a reason');
    }
  }
  assert.ok(passed >= 10, `${passed} were passed on`);
});

test('a command line that no process can have is refused', async (t) => {
  const run = newEngine(t).run(nodeRuns('0', 'a'.repeat(40_000)));
  await assert.rejects(run, { code: 'SPAWN_FAILED', errno: 'E2BIG' });
});
