// A cancel ends an execution wherever it stands.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { withoutMeans } from './helpers/members.mjs';
import { allowed } from './helpers/pace.mjs';
import { failure } from './helpers/outcomes.mjs';
import { folder, forever, isAlive, nothing, shell, stubborn, untilFile } from './helpers/programs.mjs';

test('the tree of a running execution is gone when cancel resolves', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('sleep 300 & echo $!; sleep 300 & echo $!; echo ready; wait'));
  await events.line('ready');
  const pids = events.lines(id).slice(0, 2).map(Number);
  assert.ok(pids.every(isAlive));
  assert.equal(await engine.cancel(id), undefined);
  assert.deepEqual(pids.filter(isAlive), []);
  const { status, success, exitCode, signal, reason, killed, pid } = engine.getResult(id);
  assert.deepEqual(
    { status, success, exitCode, signal, reason },
    { status: 'cancelled', success: false, exitCode: null, signal: 'SIGTERM', reason: 'cancelled' },
  );
  assert.deepEqual([...killed.pids].sort(), [pid, ...pids].sort());
  assert.match(killed.mechanism, /SIGTERM/);
});

test('a command that ignores SIGTERM is killed after its grace period', async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: 60_000 });
  const id = await engine.execute(stubborn, { killGraceMs: 100 });
  await events.line('ready');
  const before = performance.now();
  await engine.cancel(id);
  const took = performance.now() - before;
  const { status, signal, killed } = engine.getResult(id);
  assert.deepEqual({ status, signal }, { status: 'cancelled', signal: 'SIGKILL' });
  assert.equal(withoutMeans(killed.mechanism), 'SIGTERM to the group, then SIGKILL to the group');
  assert.ok(took >= 99 && took < allowed(100 + 1_000), `it took ${took} ms`);
});

test('a cancelled execution in the queue never spawns', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const dir = folder(t);
  const first = await engine.execute(untilFile(path.join(dir, 'go')));
  const marker = path.join(dir, 'marker');
  const id = await engine.execute(shell('touch "$MARKER"', { env: { MARKER: marker } }));
  await events.line('ready', first);
  await engine.cancel(id);
  const { status, reason, pid, durationMs, exitCode, killed } = engine.getResult(id);
  assert.deepEqual(
    { status, reason, pid, durationMs, exitCode, killed },
    { status: 'cancelled', reason: 'cancelled', pid: null, durationMs: 0, exitCode: null, killed: undefined },
  );
  assert.deepEqual(events.types(id), ['queued', 'cancelled']);
  await engine.cancel(first);
  await engine.run(nothing);
  assert.ok(!existsSync(marker), 'it never ran');
  assert.equal(engine.getConcurrencyMetrics().currentlyPending, 0);
});

test('an ended one stays as it is', async (t) => {
  const { engine } = recordedEngine(t);
  const result = await engine.run(nothing);
  await engine.cancel(result.id);
  assert.deepEqual(engine.getResult(result.id), result);
});

test('an unknown one is NOT_FOUND', async (t) => {
  const { engine } = recordedEngine(t);
  const id = randomUUID();
  assert.equal((await failure(() => engine.cancel(id), 'NOT_FOUND')).executionId, id);
});

test('many cancels of one execution have one outcome', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(forever);
  await events.line('ready');
  await Promise.all(Array.from({ length: 20 }, () => engine.cancel(id)));
  await engine.cancel(id);
  assert.deepEqual(events.types(id), ['started', 'stdout', 'cancelled']);
});

test('cancelAll ends what runs and what waits, and says how many', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 2 });
  assert.equal(await engine.cancelAll(), 0);
  await engine.run(nothing);
  const ids = [];
  for (let index = 0; index < 5; index += 1) ids.push(await engine.execute(forever));
  await Promise.all(ids.slice(0, 2).map((id) => events.line('ready', id)));
  const pids = ids.slice(0, 2).map((id) => events.of(id).find((event) => event.type === 'started').pid);
  assert.equal(await engine.cancelAll(), 5);
  assert.deepEqual(pids.filter(isAlive), []);
  assert.deepEqual(
    ids.map((id) => engine.getResult(id).reason),
    Array(5).fill('cancelled'),
  );
  assert.deepEqual(
    ids.slice(2).map((id) => engine.getResult(id).pid),
    [null, null, null],
    'what waited never spawned',
  );
  assert.equal((await engine.run(nothing)).status, 'completed', 'the engine continues');
});

test('a cancel resolves although the JavaScript that waits was busy', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(forever);
  await events.line('ready');
  const cancelled = engine.cancel(id);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  await cancelled;
  assert.ok(engine.getResult(id).durationMs < 5_000);
});

test('cancelAll does not count what has ended, although JavaScript has not received its event yet', async (t) => {
  const { engine } = recordedEngine(t);
  const id = await engine.execute(nothing);
  const asleep = new Int32Array(new SharedArrayBuffer(4));
  for (let waits = 0; engine.getStatus(id) !== 'completed' && waits < 100; waits += 1) Atomics.wait(asleep, 0, 0, 50);
  assert.equal(await engine.cancelAll(), 0);
});
