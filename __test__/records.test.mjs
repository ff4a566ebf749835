// The records that the engine has of its executions.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failureNow } from './helpers/outcomes.mjs';
import { exec, file, folder, forever, nothing, shell, untilFile } from './helpers/programs.mjs';

test('a status goes from pending over running to its end', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const dir = folder(t);
  const first = await engine.execute(untilFile(path.join(dir, 'one')));
  const second = await engine.execute(untilFile(path.join(dir, 'two'), 'exit 1'));
  await events.line('ready', first);
  assert.deepEqual([engine.getStatus(first), engine.getStatus(second)], ['running', 'pending']);
  file(dir, 'one');
  await events.line('ready', second);
  assert.deepEqual([engine.getStatus(first), engine.getStatus(second)], ['completed', 'running']);
  file(dir, 'two');
  await engine.waitForCompletion(second);
  assert.equal(engine.getStatus(second), 'failed');
});

test('a result is there at once or not at all', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(forever);
  await events.line('ready');
  const early = failureNow(() => engine.getResult(id), 'NOT_COMPLETED');
  assert.equal(early.executionId, id);
  await engine.cancel(id);
  assert.equal(engine.getResult(id).status, 'cancelled');
  const unknown = randomUUID();
  for (const method of ['getResult', 'getStatus', 'removeExecution']) {
    assert.equal(failureNow(() => engine[method](unknown), 'NOT_FOUND').executionId, unknown);
  }
});

test('a listing is newest first, by status, label and limit', async (t) => {
  const { engine, events } = recordedEngine(t);
  const ids = [];
  for (const [label, code] of [
    ['a', 0],
    ['b', 1],
    ['a', 1],
    ['c', 0],
  ]) {
    ids.unshift((await engine.run(shell(`exit ${code}`, { metadata: { label } }))).id);
  }
  const live = await engine.execute({ ...forever, metadata: { label: 'a' } });
  await events.line('ready', live);
  ids.unshift(live);

  const list = (filter) => engine.listExecutions(filter).map((row) => row.id);
  assert.deepEqual(list(), ids);
  assert.deepEqual(list(null), ids);
  assert.deepEqual(list({ status: null, label: undefined, limit: null }), ids);
  assert.deepEqual(list({ label: 'a' }), [ids[0], ids[2], ids[4]]);
  assert.deepEqual(list({ status: 'failed' }), [ids[2], ids[3]]);
  assert.deepEqual(list({ status: 'running' }), [live]);
  assert.deepEqual(list({ status: 'pending' }), []);
  assert.deepEqual(list({ limit: 2 }), ids.slice(0, 2));
  assert.deepEqual(list({ label: 'a', status: 'failed', limit: 1 }), [ids[2]]);

  const [running, last] = engine.listExecutions();
  assert.deepEqual(Object.keys(running).sort(), ['command', 'createdAt', 'id', 'label', 'pid', 'status']);
  assert.deepEqual([running.pid, last.pid], [events.of(live).find(({ type }) => type === 'started').pid, engine.getResult(last.id).pid]);
  assert.ok(last.createdAt instanceof Date && last.completedAt instanceof Date && last.completedAt >= last.createdAt);
  await engine.cancel(live);
});

test('executions of the same millisecond are listed newest first too', async (t) => {
  const { engine } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const ids = await Promise.all(Array.from({ length: 60 }, () => engine.execute(nothing)));
  assert.deepEqual(
    engine.listExecutions().map((row) => row.id),
    ids.reverse(),
  );
});

test('a listed command has at most 200 characters, and its label is exact', async (t) => {
  const { engine } = recordedEngine(t);
  const label = 'line\nbreak \u001b[31mred\u001b[0m €';
  await engine.run({ ...exec('true', '😀'.repeat(300)), metadata: { label } });
  const [row] = engine.listExecutions({ label });
  assert.equal([...row.command].length, 200);
  assert.equal(row.label, label);
});

test('a removed execution is unknown, and its id is free again', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = randomUUID();
  await engine.execute({ ...forever, id });
  await events.line('ready');
  assert.equal(failureNow(() => engine.removeExecution(id), 'NOT_COMPLETED').executionId, id);
  await engine.cancel(id);
  assert.equal(engine.removeExecution(id), undefined);
  failureNow(() => engine.getStatus(id), 'NOT_FOUND');
  failureNow(() => engine.removeExecution(id), 'NOT_FOUND');
  assert.deepEqual(engine.listExecutions(), []);
});

test('an id that was freed may be used again', async (t) => {
  const engine = newEngine(t);
  const id = randomUUID();
  assert.equal((await engine.run({ ...shell('exit 1'), id })).exitCode, 1);
  engine.removeExecution(id);
  assert.equal((await engine.run({ ...shell('exit 2'), id })).exitCode, 2);
  assert.equal(engine.getResult(id).exitCode, 2);
});

test('only so many ended executions are kept, never fewer for a live one', async (t) => {
  const { engine, events } = recordedEngine(t, { maxInMemoryExecutions: 3 });
  const live = await engine.execute(forever);
  await events.line('ready');
  const ids = [];
  for (let index = 0; index < 6; index += 1) ids.unshift((await engine.run(nothing)).id);
  assert.deepEqual(
    engine.listExecutions().map((row) => row.id),
    [...ids.slice(0, 3), live],
  );
  failureNow(() => engine.getResult(ids[3]), 'NOT_FOUND');
  await engine.cancel(live);
});

test('run gives its result even if nothing is kept', async (t) => {
  const { engine } = recordedEngine(t, { maxInMemoryExecutions: 0 });
  assert.equal((await engine.run(shell('echo gone'))).stdout, 'gone\n');
  assert.deepEqual(engine.listExecutions(), []);
});

test('only so much output is kept', async (t) => {
  const { engine } = recordedEngine(t, { maxRetainedOutputBytes: 2_500 });
  const ids = [];
  for (let index = 0; index < 4; index += 1) ids.unshift((await engine.run(shell('printf "%01000d" 0'))).id);
  assert.deepEqual(
    engine.listExecutions().map((row) => row.id),
    ids.slice(0, 2),
  );
});

test('cleanup takes what retention allows, and says how many', async (t) => {
  const { engine, events } = recordedEngine(t, { executionRetentionSecs: 1, enableAutoCleanup: false });
  const live = await engine.execute(forever);
  await events.line('ready');
  await engine.run(nothing);
  const { completedAt } = await engine.run(nothing);
  await new Promise((resolve) => setTimeout(resolve, 1_100 - (Date.now() - completedAt.getTime())));
  assert.equal(engine.cleanup(), 2);
  assert.deepEqual(
    engine.listExecutions().map((row) => row.id),
    [live],
  );
  await engine.cancel(live);
});
