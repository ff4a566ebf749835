// Totals, and how busy the engine is.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, file, folder, forever, shell, untilFile } from './helpers/programs.mjs';

/** Returns the totals without the times. */
function counts(engine) {
  const { spawnLatencyMs, queueTimeMs, durationMs, ...rest } = engine.getStats();
  assert.ok(spawnLatencyMs && queueTimeMs && durationMs);
  return rest;
}

test('totals count each outcome, the bytes and the lines', async (t) => {
  const { engine, events } = recordedEngine(t);
  const none = {
    total: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
    timeout: 0,
    stdoutBytes: 0,
    stderrBytes: 0,
    lines: 0,
    backoffs: 0,
    waitingForGroups: 0,
    truncated: 0,
    logLostBytes: 0,
    overflowLostBytes: 0,
  };
  assert.deepEqual(counts(engine), none);
  await engine.run(shell('printf "a\\nb\\n"; echo err >&2'));
  await engine.run(shell('exit 1'));
  await failure(() => engine.run(exec('/no/such/program')), 'SPAWN_FAILED');
  await engine.run(shell('exec sleep 300', { timeoutMs: 20 }));
  const id = await engine.execute(forever);
  await events.line('ready', id);
  assert.equal(engine.getStats().total, 5);
  await engine.cancel(id);
  const lines = engine.getStats().lines;
  assert.deepEqual(counts(engine), {
    total: 5,
    completed: 1,
    failed: 2,
    cancelled: 1,
    timeout: 1,
    stdoutBytes: 10,
    stderrBytes: 4,
    lines,
    backoffs: 0,
    waitingForGroups: 0,
    truncated: 0,
    logLostBytes: 0,
    overflowLostBytes: 0,
  });
  assert.equal(lines, 4);
  await engine.run(shell('true'));
  for (const { id: known } of engine.listExecutions()) engine.removeExecution(known);
  assert.equal(engine.getStats().total, 6, 'a removed record still counts');
});

test('the metrics count running and waiting executions', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 2 });
  const metrics = (currentlyRunning, currentlyPending) => ({
    maxConcurrent: 2,
    currentlyRunning,
    currentlyPending,
    availableSlots: 2 - currentlyRunning,
  });
  const dir = folder(t);
  assert.deepEqual(engine.getConcurrencyMetrics(), metrics(0, 0));
  const runs = [];
  for (const name of ['a', 'b', 'c']) runs.push(await engine.execute(untilFile(path.join(dir, name))));
  await Promise.all(runs.slice(0, 2).map((id) => events.line('ready', id)));
  assert.deepEqual(engine.getConcurrencyMetrics(), metrics(2, 1));
  file(dir, 'a');
  await events.line('ready', runs[2]);
  assert.deepEqual(engine.getConcurrencyMetrics(), metrics(2, 0));
  for (const name of ['b', 'c']) file(dir, name);
  await Promise.all(runs.map((id) => engine.waitForCompletion(id)));
  assert.deepEqual(engine.getConcurrencyMetrics(), metrics(0, 0));
});
