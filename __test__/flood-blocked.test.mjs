// A flood against a blocked event loop: nothing is lost, memory is bounded, times are kept.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { blockThread, flood, shell } from './helpers/programs.mjs';

const MIB = 1024 * 1024;
test('a blocked event loop slows the child and loses nothing', async (t) => {
  const { engine, events } = recordedEngine(t);
  const count = 300_000;
  let next = 1;
  const id = await engine.execute(shell(`echo ready; seq ${count}; echo end >&2`));
  await events.line('ready', id);
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  blockThread(2_000);
  const growth = process.memoryUsage.rss() - before;
  assert.ok(growth < 32 * MIB, `memory grew by ${Math.round(growth / MIB)} MiB`);
  assert.equal(engine.getStatus(id), 'running', 'the child is held up: its lines have not been taken');
  const result = await engine.waitForCompletion(id);
  assert.equal(result.status, 'completed');
  const lines = events.lines(id);
  assert.equal(lines.shift(), 'ready');
  for (const line of lines) assert.equal(line, String(next++));
  assert.equal(next - 1, count);
  assert.deepEqual(events.lines(id, 'stderr'), ['end']);
});

test('a flood without end ends at its timeout, in bounded memory', async (t) => {
  const { engine, events } = recordedEngine(t, { maxOutputSizeBytes: MIB });
  const ids = await Promise.all([1, 2, 3].map(() => engine.execute({ ...flood, timeoutMs: 1_000 })));
  await Promise.all(ids.map((id) => events.first((event) => event.executionId === id && event.type === 'started')));
  const before = process.memoryUsage.rss();
  blockThread(2_000);
  const growth = process.memoryUsage.rss() - before;
  assert.ok(growth < 48 * MIB, `memory grew by ${Math.round(growth / MIB)} MiB`);
  for (const result of await Promise.all(ids.map((id) => engine.waitForCompletion(id)))) {
    assert.equal(result.status, 'timeout');
    assert.ok(result.durationMs >= 1_000 && result.durationMs < 1_900, `it took ${result.durationMs} ms`);
    assert.ok(result.stdoutBytes > 0);
  }
});
