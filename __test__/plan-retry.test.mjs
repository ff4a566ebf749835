// A command that is run again: each attempt is seen, the result is that of the last one.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { flaky, runs, serial, statuses } from './helpers/plans.mjs';
import { folder, nothing, shell, until } from './helpers/programs.mjs';

const soon = { backoffMs: 5, maxBackoffMs: 10 };
const patient = { attempts: 3, backoffMs: 3_600_000, maxBackoffMs: 3_600_000 };

test('a flaky command completes in the end', async (t) => {
  const { engine, events } = recordedEngine(t);
  const counter = path.join(folder(t), 'runs');
  const result = await engine.run(flaky(counter, 2, 7), { retry: { attempts: 5, ...soon } });
  assert.deepEqual([result.status, result.attempt, result.stdout], ['completed', 3, 'attempt 3\n']);
  assert.deepEqual(
    result.retries.map(({ attempt, status, exitCode, reason }) => [attempt, status, exitCode, reason]),
    [
      [1, 'failed', 7, 'exit'],
      [2, 'failed', 7, 'exit'],
    ],
  );
  assert.ok(
    result.retries.every(
      ({ startedAt, durationMs, queuedMs, delayMs }) => startedAt instanceof Date && durationMs > 0 && queuedMs >= 0 && delayMs >= 0,
    ),
  );
  assert.deepEqual(events.types(result.id), ['started', 'stdout', 'retry', 'started', 'stdout', 'retry', 'started', 'stdout', 'completed']);
  const [first] = events.of(result.id).filter(({ type }) => type === 'retry');
  assert.deepEqual([first.attempt, first.attempts, first.result.attempt, first.result.stdout], [1, 5, 1, 'attempt 1\n']);
  assert.ok(first.delayMs <= 5);
  assert.deepEqual(engine.getResult(result.id), result);
  assert.equal((await engine.run(nothing, { retry: { attempts: 2 } })).retries, undefined);
});

test('only what was asked for is retried', async (t) => {
  const { engine } = recordedEngine(t);
  const attempts = async (request, on) => (await engine.run(request, { retry: { attempts: 2, on, ...soon } })).attempt;
  assert.equal(await attempts(shell('exit 3'), [3]), 2);
  assert.equal(await attempts(shell('exit 3'), [4, 'signal', 'timeout', 'spawn']), 1);
  assert.equal(await attempts(shell('kill -9 $$'), ['signal']), 2);
  assert.equal(await attempts({ ...shell('exec sleep 60'), timeoutMs: 50 }, ['timeout']), 2);
  assert.equal(await attempts(shell('exit 3'), undefined), 2);
});

test('a listener to retry alone gets it', async (t) => {
  const { engine } = recordedEngine(t);
  const received = [];
  engine.on('retry', ({ attempt }) => received.push(attempt));
  await engine.run(shell('exit 1'), { retry: { attempts: 3, ...soon } });
  assert.deepEqual(received, [1, 2]);
});

test('a cancel reaches the pause', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('echo before; exit 5'), { retry: patient });
  await events.first(({ type }) => type === 'retry');
  await until(() => engine.getConcurrencyMetrics().currentlyRunning === 0, 'the slot is free during the pause');
  await engine.cancel(id);
  const result = await engine.waitForCompletion(id);
  assert.deepEqual(
    [result.status, result.reason, result.attempt, result.exitCode, result.stdout],
    ['cancelled', 'cancelled', 1, 5, 'before\n'],
  );
});

test('steps have their own retries, and none after the plan was cancelled', async (t) => {
  const { engine, events } = recordedEngine(t);
  const counters = ['a', 'b'].map((name) => path.join(folder(t), name));
  const both = await engine.runPlan(serial(counters.map((counter) => flaky(counter, 2))), {
    continueOnError: true,
    retry: { attempts: 2, ...soon },
    steps: { 1: { retry: { attempts: 3, ...soon } } },
  });
  assert.deepEqual([statuses(both), both.stats.retries], [['failed', 'completed'], 3]);
  const [retried] = events.of(both.steps[1].id).filter(({ type }) => type === 'retry');
  assert.deepEqual([retried.planId, retried.step], [both.planId, 1]);

  const counter = path.join(folder(t), 'c');
  const id = await engine.executePlan(serial([flaky(counter, 99), nothing]), { retry: patient });
  await events.first(({ type, planId }) => type === 'retry' && planId === id);
  await engine.cancelPlan(id);
  const result = await engine.waitForPlan(id);
  assert.deepEqual([result.status, statuses(result), runs(counter)], ['cancelled', ['cancelled', 'skipped'], 1]);
});

test('a stream goes on over the attempts', async (t) => {
  const { engine } = recordedEngine(t);
  const counter = path.join(folder(t), 'runs');
  const types = [];
  for await (const event of engine.stream(flaky(counter, 1), { retry: { attempts: 2, ...soon } })) types.push(event.type);
  assert.deepEqual(types, ['started', 'stdout', 'retry', 'started', 'stdout', 'completed']);
});
