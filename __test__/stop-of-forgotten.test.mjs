// A stopped execution may be over, and its record gone, before JavaScript knows of its end.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { nothing } from './helpers/programs.mjs';

/** Blocks this thread until the engine has no command that runs. */
function block(engine) {
  const end = performance.now() + 10_000;
  while (engine.getConcurrencyMetrics().currentlyRunning > 0 && performance.now() < end);
  assert.equal(engine.getConcurrencyMetrics().currentlyRunning, 0);
}

const plan = { description: 'd', strategy: { type: 'serial' }, commands: [nothing] };

test('by an abort signal', async (t) => {
  const engine = newEngine(t, { maxInMemoryExecutions: 0 });
  const controller = new AbortController();
  const runs = Array.from({ length: 10 }, () => engine.run(nothing, { signal: controller.signal }));
  block(engine);
  controller.abort();
  for (const { status } of await Promise.all(runs)) assert.equal(status, 'completed');
});

test('by a cancel', async (t) => {
  const engine = newEngine(t, { maxInMemoryExecutions: 0 });
  const id = await engine.execute(nothing);
  const run = engine.waitForCompletion(id);
  block(engine);
  await engine.cancel(id);
  assert.equal((await run).status, 'completed');
  await assert.rejects(engine.cancel(id), { code: 'NOT_FOUND' });
});

test('by the end of a loop over a stream', async (t) => {
  const engine = newEngine(t, { maxInMemoryExecutions: 0 });
  const stream = engine.stream(nothing);
  block(engine);
  await stream[Symbol.asyncDispose]();
  assert.equal((await stream.result).status, 'completed');
});

test('a plan', async (t) => {
  const engine = newEngine(t, { maxInMemoryExecutions: 0 });
  const stream = engine.streamPlan(plan);
  block(engine);
  await stream[Symbol.asyncDispose]();
  assert.ok(['completed', 'cancelled'].includes((await stream.result).status));
});
