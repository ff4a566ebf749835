// Times are kept while JavaScript does not run.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { SLOWNESS, allowed } from './helpers/pace.mjs';
import { blockThread, exec, folder, forever, isAlive, shell } from './helpers/programs.mjs';

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
  const latest = allowed(1_900);
  for (const [result, due] of [
    [timeout, 300],
    [idle, 400],
    [done, 500],
  ]) {
    assert.ok(result.durationMs >= due && result.durationMs < latest, `${result.durationMs} ms, due at ${due}`);
  }
});

test('what waits for a slot starts although the event loop is blocked', async (t) => {
  const { engine } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const dir = folder(t);
  const marks = ['1', '2', '3', '4'].map((name) => path.join(dir, name));
  const ids = await Promise.all(marks.map((mark) => engine.execute(exec('touch', mark))));
  // No callback runs before the last one has begun.
  const missing = () => marks.filter((mark) => !existsSync(mark));
  for (const end = performance.now() + SLOWNESS * 20_000; missing().length > 0 && performance.now() < end; ) blockThread(10);
  assert.deepEqual(missing(), []);
  const results = await Promise.all(ids.map((id) => engine.waitForCompletion(id)));
  assert.ok(results.every((result) => result.success));
});
