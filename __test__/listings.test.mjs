// A listing has executions by status, label, source and time, the newest first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as elapse } from 'node:timers/promises';

import { newEngine } from './helpers/engine.mjs';
import { failureNow, refusal } from './helpers/outcomes.mjs';
import { exec, shell } from './helpers/programs.mjs';
import { nameOf, notText } from './helpers/values.mjs';

const labels = (rows) => rows.map(({ label }) => label);

test('filters add up', async (t) => {
  const engine = newEngine(t);
  const run = (label, source, request = exec('true')) =>
    engine.run({ ...request, metadata: { label, source, conversationId: `c-${label}` } });
  await run('a', 'x');
  await run('b', 'y', shell('exit 3'));
  const between = new Date();
  await elapse(5);
  await run('c', 'x', shell('kill -9 $$'));
  await engine.run(exec('true'));
  const list = (filter) => labels(engine.listExecutions(filter));
  assert.deepEqual(list(), [undefined, 'c', 'b', 'a']);
  assert.deepEqual(list({ source: 'x' }), ['c', 'a']);
  assert.deepEqual(list({ source: 'x', status: 'completed' }), ['a']);
  assert.deepEqual(list({ source: 'unknown' }), []);
  assert.deepEqual(list({ source: 'x', limit: 1 }), ['c']);
  for (const since of [between, between.toISOString(), between.getTime()])
    assert.deepEqual(list({ since }), [undefined, 'c'], String(since));
  assert.deepEqual(list({ since: new Date(Date.now() + 1_000) }), []);
  assert.equal(list({ since: '2000-01-01' }).length, 4);
  assert.equal(list({ since: '2000-01-01T00:00:00+02:00', label: null, source: undefined }).length, 4);
  const [, killed, failed, completed] = engine.listExecutions();
  assert.deepEqual([killed.exitCode, failed.exitCode, completed.exitCode], [null, 3, 0]);
  assert.deepEqual([completed.source, completed.conversationId], ['x', 'c-a']);
  assert.ok(completed.durationMs > 0 && completed.completedAt >= completed.createdAt);
});

test('one that runs has no end yet', async (t) => {
  const engine = newEngine(t);
  await engine.execute(exec('sleep', '300'));
  const [row] = engine.listExecutions();
  for (const field of ['completedAt', 'exitCode', 'durationMs', 'source', 'label']) assert.ok(!(field in row), field);
});

test('since', async (t) => {
  const engine = newEngine(t);
  const list = (since) => () => engine.listExecutions({ since });
  for (const value of notText.filter((it) => typeof it !== 'number' && !(it instanceof Date))) {
    await t.test(nameOf(value), () => refusal(list(value), 'INVALID_REQUEST', 'filter.since', value));
  }
  for (const value of [NaN, Infinity, 1e300, new Date(NaN), 'yesterday', '']) {
    await t.test(nameOf(value), () => assert.equal(failureNow(list(value), 'INVALID_REQUEST').field, 'filter.since'));
  }
  const throwing = {
    get since() {
      throw new Error('boom');
    },
  };
  assert.equal(failureNow(() => engine.listExecutions(throwing), 'INVALID_REQUEST').cause.message, 'boom');
});
