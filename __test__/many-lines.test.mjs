// Many lines on both streams are exact and complete.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { numbers, shell } from './helpers/programs.mjs';

test('a hundred thousand numbered lines', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id, stdout } = await engine.run(shell('seq 100000'));
  const wanted = numbers(100_000);
  assert.equal(stdout, `${wanted.join('\n')}\n`);
  assert.deepEqual(events.lines(id), wanted);
  assert.equal(engine.getStats().lines, 100_000);
});

test('both streams flood: no deadlock, and the order within each is exact', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id, status, stdoutBytes, stderrBytes } = await engine.run(shell('seq 50000 & seq 50000 >&2; wait'));
  assert.equal(status, 'completed');
  assert.equal(stdoutBytes, stderrBytes);
  const wanted = numbers(50_000);
  assert.deepEqual(events.lines(id, 'stdout'), wanted);
  assert.deepEqual(events.lines(id, 'stderr'), wanted);
});

test('standard error alone floods: standard output is not in its way', async (t) => {
  const { engine } = recordedEngine(t);
  const { stderr, stdout } = await engine.run(shell('seq 50000 >&2; echo end'));
  assert.equal(stderr.length, 288_894);
  assert.equal(stdout, 'end\n');
});
