// Times are kept while JavaScript does not run.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { blockThread, forever, isAlive, nothing, shell } from './helpers/programs.mjs';

test('timeouts, idle times and ends are on time although the event loop is blocked', async (t) => {
  const { engine, events } = recordedEngine(t);
  const ids = await Promise.all([
    engine.execute({ ...forever, timeoutMs: 300 }),
    engine.execute(forever, { idleTimeoutMs: 400 }),
    engine.execute(shell('echo ready; exec sleep 0.5')),
  ]);
  const started = await Promise.all(ids.map((id) => events.first((event) => event.executionId === id && event.type === 'started')));
  const pids = started.map((event) => event.pid);
  blockThread(10_000);
  assert.deepEqual(pids.filter(isAlive), [], 'they were gone before JavaScript ran again');
  const [timeout, idle, done] = await Promise.all(ids.map((id) => engine.waitForCompletion(id)));
  assert.deepEqual([timeout.reason, idle.reason, done.reason], ['timeout', 'idle_timeout', 'exit']);
  for (const [result, due] of [
    [timeout, 300],
    [idle, 400],
    [done, 500],
  ]) {
    assert.ok(result.durationMs >= due && result.durationMs < 1_900, `${result.durationMs} ms, due at ${due}`);
  }
});

test('what waits for a slot starts although the event loop is blocked', async (t) => {
  const { engine } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const ids = await Promise.all([1, 2, 3, 4].map(() => engine.execute(nothing)));
  blockThread(1_000);
  const results = await Promise.all(ids.map((id) => engine.waitForCompletion(id)));
  assert.ok(
    results.every((result) => result.success && result.queuedMs < 900),
    JSON.stringify(results.map((result) => result.queuedMs)),
  );
});
