// An AbortSignal ends its execution.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { folder, forever, isAlive, nothing, shell } from './helpers/programs.mjs';

test('one that has fired already: recorded as cancelled, never spawned', async (t) => {
  const { engine, events } = recordedEngine(t);
  const marker = path.join(folder(t), 'marker');
  const id = await engine.execute(shell('touch "$MARKER"', { env: { MARKER: marker } }), { signal: AbortSignal.abort() });
  const { status, reason, pid, exitCode } = await engine.waitForCompletion(id);
  assert.deepEqual({ status, reason, pid, exitCode }, { status: 'cancelled', reason: 'aborted', pid: null, exitCode: null });
  assert.equal(engine.getStatus(id), 'cancelled');
  assert.equal(events.types(id).at(-1), 'cancelled');
  assert.ok(!events.types(id).includes('started'));
  await engine.run(nothing);
  assert.ok(!existsSync(marker), 'it never ran');
});

test('one that has fired already never spawns, a hundred times', async (t) => {
  const { engine, events } = recordedEngine(t);
  const signal = AbortSignal.abort();
  const results = await Promise.all(Array.from({ length: 100 }, () => engine.run(nothing, { signal })));
  for (const result of results) {
    assert.deepEqual([result.reason, result.pid], ['aborted', null]);
    assert.ok(!events.types(result.id).includes('started'));
  }
});

test('one that fires during the run', async (t) => {
  const { engine, events } = recordedEngine(t);
  const controller = new AbortController();
  const run = engine.run(forever, { signal: controller.signal });
  const { executionId } = await events.line('ready');
  const { pid } = events.of(executionId)[0];
  controller.abort(new Error('of no interest'));
  const { status, reason, signal } = await run;
  assert.deepEqual({ status, reason, signal }, { status: 'cancelled', reason: 'aborted', signal: 'SIGTERM' });
  assert.ok(!isAlive(pid));
});

test('one that fires while the execution waits', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const first = await engine.execute(forever);
  const controller = new AbortController();
  const id = await engine.execute(nothing, { signal: controller.signal });
  await events.line('ready', first);
  controller.abort();
  const { reason, pid } = await engine.waitForCompletion(id);
  assert.deepEqual({ reason, pid }, { reason: 'aborted', pid: null });
  await engine.cancel(first);
});

test('one signal ends many, and one that fires late ends nothing', async (t) => {
  const { engine, events } = recordedEngine(t);
  const controller = new AbortController();
  const done = await engine.run(nothing, { signal: controller.signal });
  const runs = [1, 2, 3].map(() => engine.run(forever, { signal: controller.signal }));
  let ready = 0;
  await events.first((event) => event.line === 'ready' && (ready += 1) === 3);
  controller.abort();
  assert.deepEqual((await Promise.all(runs)).map((result) => result.reason), Array(3).fill('aborted'));
  assert.equal(engine.getResult(done.id).status, 'completed');
});

test('no listener stays on the signal', async (t) => {
  const { engine } = recordedEngine(t);
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 30 }, () => engine.run(nothing, { signal })));
  await engine.run({ command: { type: 'exec', program: '/no/such/program' } }, { signal }).catch(() => {});
  await engine.execute({ command: {} }, { signal }).catch(() => {});
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('AbortSignal.timeout works too', async (t) => {
  const { engine } = recordedEngine(t);
  const { status, reason } = await engine.run(forever, { signal: AbortSignal.timeout(50) });
  assert.deepEqual({ status, reason }, { status: 'cancelled', reason: 'aborted' });
});
