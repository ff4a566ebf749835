// A cancel that races the end of its execution leaves one outcome.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { recordedEngine } from './helpers/engine.mjs';
import { nothing } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

/** 1 000 in CI's run. */
const CANCELS = 5 * REPEATS;

test('cancels at 0 to 3 ms', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 8, maxInMemoryExecutions: 2 * CANCELS });
  const outcomes = new Map();
  const one = async (index) => {
    const id = await engine.execute(nothing);
    const delay = index % 4;
    if (delay > 0) await sleep(delay);
    const [result] = await Promise.all([engine.waitForCompletion(id), engine.cancel(id)]);
    const { status, reason, exitCode, signal, pid } = result;
    if (status === 'completed') assert.deepEqual({ reason, exitCode, signal }, { reason: 'exit', exitCode: 0, signal: null });
    else assert.deepEqual({ status, reason }, { status: 'cancelled', reason: 'cancelled' });
    assert.deepEqual(engine.getResult(id), result);
    const types = events.types(id);
    assert.equal(types.at(-1), status);
    assert.equal(types.includes('started'), pid !== null, 'what has a pid was started');
    outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
  };
  await repeatedly(CANCELS, 50, one);
  assert.equal(
    [...outcomes.values()].reduce((sum, count) => sum + count),
    CANCELS,
  );
  assert.deepEqual(engine.getConcurrencyMetrics(), {
    maxConcurrent: 8,
    currentlyRunning: 0,
    currentlyPending: 0,
    waitingForGroups: 0,
    availableSlots: 8,
  });
});
