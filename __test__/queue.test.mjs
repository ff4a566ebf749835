// At the limit an execution waits for its turn, or is refused.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { file, folder, nothing, shell, untilFile } from './helpers/programs.mjs';

async function busyEngine(t, config) {
  const dir = folder(t);
  const all = recordedEngine(t, { maxConcurrentExecutions: 1, ...config });
  const first = await all.engine.execute(untilFile(path.join(dir, 'go')));
  await all.events.line('ready', first);
  return { ...all, first, dir, free: () => file(dir, 'go') };
}

test('the queue goes by priority, then by arrival', async (t) => {
  const { engine, free, dir } = await busyEngine(t);
  const order = path.join(dir, 'order');
  const start = (name, priority) => engine.execute(shell(`echo ${name} >> "$ORDER"`, { env: { ORDER: order } }), { priority });
  const ids = [await start('c', 0), await start('d'), await start('a', 7), await start('e', -3), await start('b', 7)];
  free();
  await Promise.all(ids.map((id) => engine.waitForCompletion(id)));
  const { stdout } = await engine.run(shell('cat "$ORDER"', { env: { ORDER: order } }));
  assert.equal(stdout, 'a\nb\nc\nd\ne\n');
});

test('a waiting execution gets `queued`, and its result has the time', async (t) => {
  const { engine, events, free } = await busyEngine(t);
  const id = await engine.execute(nothing);
  const queued = await events.first((event) => event.type === 'queued');
  assert.equal(queued.executionId, id);
  assert.equal(queued.command, 'true');
  await new Promise((resolve) => setTimeout(resolve, 60));
  free();
  const { queuedMs, durationMs } = await engine.waitForCompletion(id);
  assert.deepEqual(events.types(id), ['queued', 'started', 'completed']);
  assert.ok(queuedMs >= 50, `it waited ${queuedMs} ms`);
  assert.ok(durationMs < queuedMs + 5_000);
});

test('the policy reject refuses at the limit', async (t) => {
  const { engine, first, free } = await busyEngine(t, { concurrencyPolicy: 'reject' });
  const error = await failure(() => engine.execute(nothing), 'CONCURRENCY_LIMIT_REACHED');
  assert.match(error.message, /maxConcurrentExecutions/);
  await failure(() => engine.run(nothing), 'CONCURRENCY_LIMIT_REACHED');
  free();
  await engine.waitForCompletion(first);
  assert.equal((await engine.run(nothing)).status, 'completed');
  assert.equal(engine.getStats().total, 2, 'what was refused was not accepted');
});

test('a full queue refuses', async (t) => {
  const { engine, free } = await busyEngine(t, { maxQueuedExecutions: 2 });
  const waiting = [await engine.execute(nothing), await engine.execute(nothing)];
  const error = await failure(() => engine.execute(nothing), 'QUEUE_FULL');
  assert.match(error.message, /maxQueuedExecutions/);
  await engine.cancel(waiting[0]);
  waiting[0] = await engine.execute(nothing);
  free();
  await Promise.all(waiting.map((id) => engine.waitForCompletion(id)));
});

test('a wait beyond queueTimeoutMs ends as a timeout that never ran', async (t) => {
  const { engine, events } = await busyEngine(t, { queueTimeoutMs: 50 });
  const result = await engine.run(nothing);
  const { status, reason, pid, exitCode, durationMs } = result;
  assert.deepEqual(
    { status, reason, pid, exitCode, durationMs },
    { status: 'timeout', reason: 'queue_timeout', pid: null, exitCode: null, durationMs: 0 },
  );
  assert.ok(result.queuedMs >= 49 && result.queuedMs < 2_000, `it waited ${result.queuedMs} ms`);
  assert.deepEqual(events.types(result.id), ['queued', 'timeout']);
});

test('never more run than may, and all of them end', async (t) => {
  const { engine } = recordedEngine(t, { maxConcurrentExecutions: 4 });
  const env = { DIR: folder(t) };
  const counting = shell(': > "$DIR/$$"; ls "$DIR" | wc -l; rm "$DIR/$$"', { env });
  const results = await Promise.all(Array.from({ length: 200 }, () => engine.run(counting)));
  assert.ok(results.every((result) => result.success));
  const most = Math.max(...results.map((result) => Number(result.stdout)));
  assert.ok(most > 1 && most <= 4, `${most} ran at once`);
  assert.equal(new Set(results.map((result) => result.id)).size, 200);
});
