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
  assert.deepEqual(
    (await Promise.all(runs)).map((result) => result.reason),
    Array(3).fill('aborted'),
  );
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

test('the result carries the reason of the abort', async (t) => {
  const { engine, events } = recordedEngine(t);
  const reason = new Error('the tab was closed');
  const signal = AbortSignal.abort(reason);
  const before = await engine.run(nothing, { signal });
  assert.equal(before.abortReason, reason);

  const controller = new AbortController();
  const run = engine.run(forever, { signal: controller.signal });
  await events.line('ready');
  controller.abort(reason);
  const { id, abortReason } = await run;
  assert.equal(abortReason, reason);
  assert.equal(engine.getResult(id).abortReason, reason, 'later too');
  assert.equal((await engine.waitForCompletion(id)).abortReason, reason);
  assert.equal(events.of(id).at(-1).result.abortReason, reason);

  for (const value of [undefined, null, 7, 'text']) {
    const one = new AbortController();
    one.abort(value);
    const { abortReason } = await engine.run(nothing, { signal: one.signal });
    assert.equal(abortReason, one.signal.reason);
  }
  const late = await engine.run(shell('sleep 5'), { signal: AbortSignal.timeout(20) });
  assert.equal(late.abortReason.name, 'TimeoutError');
  assert.ok(!('abortReason' in (await engine.run(nothing, { signal: new AbortController().signal }))));
  const id2 = await engine.execute(forever, { signal: new AbortController().signal });
  await engine.cancel(id2);
  assert.ok(!('abortReason' in engine.getResult(id2)), 'a cancel is none');
});

test("the steps of a plan carry the reason of their own signal, or of the plan's", async (t) => {
  const { engine, events } = recordedEngine(t);
  const [step, plan] = [new AbortController(), new AbortController()];
  const commands = [shell('echo one; exec sleep 60'), shell('echo two; exec sleep 60')];
  const run = engine.runPlan(
    { description: 'd', strategy: { type: 'parallel' }, commands },
    { signal: plan.signal, steps: { 0: { signal: step.signal } } },
  );
  const ready = await Promise.all([events.line('one'), events.line('two')]);
  step.abort('the step');
  await events.first(({ type, executionId }) => type === 'cancelled' && executionId === ready[0].executionId);
  plan.abort('the plan');
  const { results } = await run;
  assert.deepEqual(
    results.map(({ abortReason }) => abortReason),
    ['the step', 'the plan'],
  );
  assert.equal(engine.getResult(results[1].id).abortReason, 'the plan');
});
