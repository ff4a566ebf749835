// Ended executions are forgotten by age, by number and by size: by themselves, and never before their end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as elapse } from 'node:timers/promises';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failureNow } from './helpers/outcomes.mjs';
import { shell, until } from './helpers/programs.mjs';

/** An execution that is over at once: its signal had fired before. */
const aborted = (engine, label) =>
  engine.run({ command: { type: 'exec', program: 'true' }, metadata: { label } }, { signal: AbortSignal.abort() });
const scans = (engine) => Number(/^escher_retention_scans_total (\d+)$/m.exec(engine.metricsText())[1]);

test('records that are too old are removed on time, without other wake-ups', async (t) => {
  const engine = newEngine(t, { executionRetentionSecs: 1, cleanupIntervalSecs: 1 });
  const startedAt = performance.now();
  for (let count = 0; count < 5; count += 1) await aborted(engine);
  assert.ok(scans(engine) === 0 || performance.now() - startedAt > 1_000);
  await until(() => engine.listExecutions().length === 0, 'all have left', 10_000);
  assert.ok(performance.now() - startedAt >= 1_000, 'not before their time');
  const done = scans(engine);
  assert.ok(done >= 1 && done <= 3, `${done} scans`);
  await elapse(2_500);
  assert.equal(scans(engine), done, 'nothing is there that could be too old');
  await aborted(engine);
  await until(() => engine.listExecutions().length === 0, 'a later one leaves too', 10_000);
});

test('scans are at least an interval apart', async (t) => {
  const engine = newEngine(t, { executionRetentionSecs: 0, cleanupIntervalSecs: 1 });
  const startedAt = performance.now();
  while (performance.now() - startedAt < 2_200) {
    await aborted(engine);
    await elapse(20);
  }
  const most = 2 + Math.floor((performance.now() - startedAt) / 1_000);
  assert.ok(scans(engine) <= most, `${scans(engine)} scans, at most ${most}`);
});

test('without auto cleanup only cleanup() forgets', async (t) => {
  const engine = newEngine(t, { enableAutoCleanup: false, executionRetentionSecs: 0, maxInMemoryExecutions: 1, maxRetainedOutputBytes: 0 });
  for (let count = 0; count < 5; count += 1) await engine.run(shell('echo kept'));
  assert.equal(engine.listExecutions().length, 5);
  assert.equal(engine.cleanup(), 5);
  assert.equal(engine.listExecutions().length, 0);
  assert.equal(scans(engine), 0);
});

test('one that runs is never forgotten', async (t) => {
  const { engine, events } = recordedEngine(t, { executionRetentionSecs: 0, maxInMemoryExecutions: 0, cleanupIntervalSecs: 1 });
  const id = await engine.execute(shell('echo ready; exec sleep 300'));
  await events.line('ready', id);
  await aborted(engine);
  await elapse(1_200);
  assert.equal(engine.cleanup(), 0);
  assert.equal(engine.getStatus(id), 'running');
  assert.equal(failureNow(() => engine.removeExecution(id), 'NOT_COMPLETED').executionId, id);
  await engine.cancel(id);
  await until(() => engine.listExecutions().length === 0, 'it leaves after its end');
});

test('100 000 records are listed, filtered and forgotten', async (t) => {
  const engine = newEngine(t, { maxInMemoryExecutions: 1_000_000, enableAutoCleanup: false, executionRetentionSecs: 0 });
  for (let batch = 0; batch < 100; batch += 1)
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => aborted(engine, `${batch}-${index}`)));
  assert.equal(engine.listExecutions().length, 100_000);
  assert.deepEqual(engine.listExecutions({ label: '0-0' }).length, 1);
  assert.ok(engine.listExecutions({ limit: 2 }).every(({ label }) => label.startsWith('99-')));
  const kept = /^escher_records (\d+)$/m;
  assert.equal(kept.exec(engine.metricsText())[1], '100000');
  assert.equal(engine.cleanup(), 100_000);
  assert.equal(kept.exec(engine.metricsText())[1], '0');
  assert.equal(engine.cleanup(), 0);
});
