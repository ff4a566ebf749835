// `extendTimeout` moves the deadline of an execution: later, sooner, and never beyond `maxTimeoutMs`.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';

import { newEngine, recordedEngine, timeOut } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { withEnoughTime } from './helpers/pace.mjs';
import { folder, forever, nothing, shell, untilFile } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

/** Asserts that a date is `ms` from now, with a tolerance for a busy machine. */
function assertIsIn(date, ms) {
  assert.ok(date instanceof Date);
  const left = date.getTime() - Date.now();
  assert.ok(left <= ms + 1_000 && left > ms - 5_000, `${left} ms, not ${ms}`);
}

test('a command gets more time', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute({ ...shell('echo ready; sleep 6; echo done'), timeoutMs: 5_000 });
  await events.line('ready', id);
  assertIsIn(await engine.extendTimeout(id, 60_000), 60_000);
  const { status, stdout } = await engine.waitForCompletion(id);
  assert.deepEqual([status, stdout], ['completed', 'ready\ndone\n']);
});

test('or less', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute({ ...forever, timeoutMs: 600_000 });
  await events.line('ready', id);
  await engine.extendTimeout(id, 50);
  const { status, reason, durationMs } = await engine.waitForCompletion(id);
  assert.deepEqual([status, reason], ['timeout', 'timeout']);
  assert.ok(durationMs < 60_000);
});

test('the last call counts', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(forever);
  await events.line('ready', id);
  for (const ms of [500_000, 300_000, 400_000]) assertIsIn(await engine.extendTimeout(id, ms), ms);
  assert.equal((await timeOut(engine, id)).status, 'timeout');
});

test('in all it is at most maxTimeoutMs', async (t) => {
  const { engine, events } = recordedEngine(t, { maxTimeoutMs: 6_000, defaultTimeoutMs: 5_000 });
  const started = once(engine, 'started');
  const id = await engine.execute(forever);
  const [{ timestamp }] = await started;
  await events.line('ready', id);
  const deadline = await engine.extendTimeout(id, 60_000);
  assert.ok(deadline - timestamp <= 6_050, `${deadline - timestamp} ms`);
  assert.equal((await engine.waitForCompletion(id)).status, 'timeout');
});

test('while an execution waits for a slot, it holds for its attempt', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 1, maxTimeoutMs: 100_000, defaultTimeoutMs: 100_000 });
  const gate = `${folder(t)}/gate`;
  const running = await engine.execute(untilFile(gate));
  const queued = await engine.execute({ ...forever, timeoutMs: 90_000 });
  assertIsIn(await engine.extendTimeout(queued, 500_000), 100_000);
  assertIsIn(await engine.extendTimeout(queued, 700), 700);
  await engine.cancel(running);
  assert.equal((await engine.waitForCompletion(queued)).reason, 'timeout');
});

test('the next attempt has its own timeout', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('echo ready; exec sleep 300'), { retry: { attempts: 2, backoffMs: 0 } });
  await events.line('ready', id);
  await engine.extendTimeout(id, 10);
  const second = await events.first((event) => event.type === 'started' && event.executionId === id && event.sequence > 2);
  assert.ok(second);
  await engine.cancel(id);
  assert.deepEqual([engine.getResult(id).status, engine.getResult(id).attempt], ['cancelled', 2]);
});

test('the idle timeout stays as it is', async (t) => {
  const { engine, events } = recordedEngine(t);
  await withEnoughTime(600, async (idleTimeoutMs) => {
    const id = await engine.execute(forever, { idleTimeoutMs });
    const isReady = await Promise.race([events.line('ready', id), engine.waitForCompletion(id).then(() => false)]);
    const extended = isReady && (await engine.extendTimeout(id, 600_000).catch(() => false));
    assert.equal((await engine.waitForCompletion(id)).reason, 'idle_timeout');
    return extended;
  });
});

test('what is to be cancelled has no time left, from the call on', async (t) => {
  const engine = newEngine(t);
  await repeatedly(REPEATS, 4, async () => {
    const id = await engine.execute(forever);
    const cancelled = engine.cancel(id);
    assert.equal((await failure(() => engine.extendTimeout(id, 5_000), 'INVALID_REQUEST')).field, 'id');
    await cancelled;
  });
});

test('bad calls', async (t) => {
  const engine = newEngine(t);
  const { id } = await engine.run(nothing);
  const over = await failure(() => engine.extendTimeout(id, 5_000), 'INVALID_REQUEST');
  assert.equal(over.field, 'id');
  assert.match(over.message, /exited/);
  for (const ms of [0, -1, 1.5, NaN, Infinity, '5', null, undefined, {}, 365 * 24 * 3_600_000 + 1]) {
    const error = await failure(() => engine.extendTimeout(id, ms), 'INVALID_REQUEST');
    assert.equal(error.field, 'ms', error.message);
  }
  await failure(() => engine.extendTimeout('00000000-0000-4000-8000-000000000000', 5), 'NOT_FOUND');
});
