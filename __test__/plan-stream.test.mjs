// A plan as a stream: its events and those of its steps, at the reader's pace.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { newEngine, recordedEngine, wholeLines } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { parallel, serial } from './helpers/plans.mjs';
import { exec, flood, forever, isAlive, nothing, shell, until } from './helpers/programs.mjs';

test('it has every event, in order, and ends with the plan', async (t) => {
  const { engine } = recordedEngine(t);
  const stream = engine.streamPlan(serial([exec('echo', 'a'), exec('echo', 'b')]));
  const id = await stream.id;
  const seen = [];
  for await (const event of stream) seen.push([event.type, event.step]);
  assert.deepEqual(seen, [
    ['progress', undefined],
    ['started', 0],
    ['stdout', 0],
    ['completed', 0],
    ['progress', undefined],
    ['progress', undefined],
    ['started', 1],
    ['stdout', 1],
    ['completed', 1],
    ['progress', undefined],
  ]);
  const result = await stream.result;
  assert.deepEqual([result.planId, result.status], [id, 'completed']);
});

test('a reader that stops ends the plan', async (t) => {
  const engine = newEngine(t);
  const stream = engine.streamPlan(serial([forever, nothing]));
  let pid;
  for await (const event of stream) {
    if (event.type === 'started') pid = event.pid;
    if (event.type === 'stdout') break;
  }
  assert.ok(!isAlive(pid));
  const result = await stream.result;
  assert.deepEqual([result.status, result.stats.cancelled, result.stats.skipped], ['cancelled', 1, 1]);
});

test('it can be left in the middle of a flood', async (t) => {
  const engine = newEngine(t);
  const stream = engine.streamPlan(parallel([flood, flood]));
  let lines = 0;
  for await (const { type } of stream) if (type === 'stdout' && ++lines === 20_000) break;
  assert.deepEqual((await stream.result).stats.cancelled, 2);
});

test('every line of every step comes, in its order, however slow the reader is', async (t) => {
  const engine = newEngine(t);
  const seen = [[], [], []];
  let events = 0;
  for await (const event of engine.streamPlan(parallel(seen.map(() => shell('seq 1 20000'))))) {
    if (event.type === 'stdout') seen[event.step].push(event);
    if (++events % 1000 === 0) await turn();
  }
  const expected = Array.from({ length: 20_000 }, (_, index) => String(index + 1));
  for (const lines of seen) assert.deepEqual(wholeLines(lines), expected);
});

test('what is refused is refused by all of it', async (t) => {
  const engine = newEngine(t);
  const stream = engine.streamPlan(serial([]));
  await failure(() => stream.id, 'INVALID_PLAN');
  await failure(() => stream.result, 'INVALID_PLAN');
  await failure(() => stream[Symbol.asyncIterator]().next(), 'INVALID_PLAN');
  await until(() => engine.getConcurrencyMetrics().currentlyRunning === 0, 'nothing runs');
});
