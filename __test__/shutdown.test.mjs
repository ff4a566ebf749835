// After a shutdown nothing runs and nothing starts.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { allowed } from './helpers/pace.mjs';
import { failure } from './helpers/outcomes.mjs';
import { file, folder, forever, isAlive, nothing, shell, stubborn, untilFile } from './helpers/programs.mjs';

test('what runs and what waits ends as cancelled, reason shutdown; waiters resolve', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const ids = [await engine.execute(forever), await engine.execute(nothing)];
  await events.line('ready');
  const { pid } = events.of(ids[0])[0];
  const waiters = ids.map((id) => engine.waitForCompletion(id));
  assert.equal(await engine.shutdown(), undefined);
  assert.ok(!isAlive(pid));
  const results = await Promise.all(waiters);
  assert.deepEqual(
    results.map(({ status, reason }) => [status, reason]),
    Array(2).fill(['cancelled', 'shutdown']),
  );
  assert.equal(results[1].pid, null);
});

test('afterwards new work is refused, and what was is still there', async (t) => {
  const { engine } = recordedEngine(t);
  const { id } = await engine.run(shell('echo kept'));
  await engine.shutdown();
  for (const call of ['execute', 'run']) await failure(() => engine[call](nothing), 'ENGINE_SHUT_DOWN');
  const stream = engine.stream(nothing);
  await failure(() => stream.result, 'ENGINE_SHUT_DOWN');
  await failure(() => stream.id, 'ENGINE_SHUT_DOWN');
  await failure(() => stream[Symbol.asyncIterator]().next(), 'ENGINE_SHUT_DOWN');
  assert.equal(engine.getResult(id).stdout, 'kept\n');
  assert.equal(engine.getStatus(id), 'completed');
  assert.equal(engine.listExecutions().length, 1);
  await engine.cancel(id);
  await engine.shutdown();
});

test('new work is refused as soon as shutdown was called', async (t) => {
  const { engine, events } = recordedEngine(t);
  await engine.execute(stubborn, { killGraceMs: 100 });
  await events.line('ready');
  const over = engine.shutdown();
  await failure(() => engine.execute(nothing), 'ENGINE_SHUT_DOWN');
  await over;
});

test('a grace lets work finish by itself', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const dir = folder(t);
  const ids = [await engine.execute(untilFile(path.join(dir, 'go'), 'exit 5')), await engine.execute(shell('exit 6'))];
  await events.line('ready');
  const over = engine.shutdown({ graceMs: 20_000 });
  file(dir, 'go');
  await over;
  assert.deepEqual(
    ids.map((id) => engine.getResult(id).exitCode),
    [5, 6],
  );
});

test('a grace is not longer than it says', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(forever);
  await events.line('ready');
  const before = performance.now();
  await engine.shutdown({ graceMs: 200 });
  const took = performance.now() - before;
  assert.ok(took >= 195 && took < allowed(200 + 1_000), `it took ${took} ms`);
  assert.equal(engine.getResult(id).reason, 'shutdown');
});

test('several shutdowns resolve together', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(forever);
  await events.line('ready');
  await Promise.all([engine.shutdown({ graceMs: 10_000 }), engine.shutdown(), engine.shutdown(null)]);
  assert.equal(engine.getResult(id).reason, 'shutdown');
});

test('await using: the end of a scope is a shutdown', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(forever);
  await events.line('ready');
  assert.equal(await engine[Symbol.asyncDispose](), undefined);
  assert.equal(engine.getResult(id).reason, 'shutdown');
  await failure(() => engine.execute(nothing), 'ENGINE_SHUT_DOWN');
});

test('a bad grace is refused, and the engine goes on', async (t) => {
  const { engine } = recordedEngine(t);
  for (const graceMs of [-1, NaN, Infinity, 1.5, '1', true, 1n, {}, [], () => {}, Symbol('s'), 2 ** 53]) {
    const error = await failure(() => engine.shutdown({ graceMs }), 'INVALID_REQUEST');
    assert.match(error.field, /^(options\.)?graceMs$/);
    assert.match(error.message, /graceMs/);
  }
  assert.equal((await engine.run(nothing)).status, 'completed');
});

test('an option that shutdown does not know is refused, not ignored', async (t) => {
  const { engine } = recordedEngine(t);
  const error = await failure(() => engine.shutdown({ grace: 1_000 }), 'INVALID_REQUEST');
  assert.match(error.message, /did you mean `graceMs`/);
  for (const options of [5, 'soon', true, [], () => {}]) await failure(() => engine.shutdown(options), 'INVALID_REQUEST');
  assert.equal((await engine.run(nothing)).status, 'completed', 'the engine continues');
});

test('its grace period does not count a time in which the machine slept', async () => {
  const { withinMs } = createRequire(import.meta.url)('../lib/keep-alive.js');
  const startedAt = performance.now();
  // The machine sleeps for 300 ms after the first look.
  let looks = 0;
  const clockMs = () => performance.now() - (looks++ > 0 ? 300 : 0);
  await withinMs(new Promise(() => {}), 100, clockMs);
  assert.ok(performance.now() - startedAt >= 400, `${performance.now() - startedAt} ms`);
  await withinMs(Promise.resolve(), 60_000, () => performance.now());
});
