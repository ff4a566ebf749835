// Code of the caller runs in the asynchronous context of the call that started the execution.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { exec, nothing, shell } from './helpers/programs.mjs';

const store = new AsyncLocalStorage();

test('listeners that were registered elsewhere, of every type and for many executions at once', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 2 });
  const seen = new Map();
  store.run('registration', () => engine.on('event', ({ executionId, type }) => seen.set(`${executionId} ${type}`, store.getStore())));
  const ids = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      store.run(`call ${index}`, () => engine.execute(shell('echo a; exit 1'), { retry: { attempts: 2, on: ['exit'], backoffMs: 1 } })),
    ),
  );
  await Promise.all(ids.map((id) => engine.waitForCompletion(id)));
  ids.forEach((id, index) => {
    for (const type of ['started', 'stdout', 'retry', 'failed']) assert.equal(seen.get(`${id} ${type}`), `call ${index}`, type);
  });
});

test('listeners to the steps of a plan, and to its progress', async (t) => {
  const engine = newEngine(t);
  const seen = new Set();
  engine.on('event', ({ type }) => seen.add(`${type} ${store.getStore()}`));
  await store.run('plan', () => engine.runPlan({ description: 'd', strategy: { type: 'serial' }, commands: [exec('echo', 'a'), nothing] }));
  assert.deepEqual([...seen].sort(), ['completed plan', 'progress plan', 'started plan', 'stdout plan']);
});

test('standard input that is pulled', async (t) => {
  const engine = newEngine(t);
  const seen = [];
  const stdin = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: seen.push(store.getStore()) > 3, value: 'a' }) }) };
  await store.run('call', () => engine.run(exec('cat'), { stdin }));
  assert.deepEqual(seen, ['call', 'call', 'call', 'call']);
});

test('subscribers of the channels', async (t) => {
  const engine = newEngine(t);
  const seen = [];
  const look = () => seen.push(store.getStore());
  for (const name of ['start', 'end']) {
    channel(`escher:execution:${name}`).subscribe(look);
    t.after(() => channel(`escher:execution:${name}`).unsubscribe(look));
  }
  await store.run('call', () => engine.run(nothing));
  assert.deepEqual(seen, ['call', 'call']);
});

test('a loop over a stream keeps the context that it runs in', async (t) => {
  const engine = newEngine(t);
  const stream = store.run('call', () => engine.stream(exec('seq', '3')));
  await store.run('loop', async () => {
    for await (const event of stream) assert.equal(store.getStore(), 'loop', event.type);
    assert.equal(store.getStore(), 'loop');
  });
});
