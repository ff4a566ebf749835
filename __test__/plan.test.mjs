// Several commands as one: serial, parallel, a graph.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { withEnoughTime } from './helpers/pace.mjs';
import { graph, labelled, parallel, serial, statuses } from './helpers/plans.mjs';
import { exec, folder, forever, isAlive, nothing, shell, until, untilFile } from './helpers/programs.mjs';
import { root } from './helpers/snippets.mjs';

test('a plan gives the result of each step, and what it says of itself', async (t) => {
  const { engine } = recordedEngine(t);
  const plan = {
    ...serial([labelled('one', exec('echo', '1')), exec('echo', 'two words')]),
    id: randomUUID(),
    metadata: { label: 'x', deep: { a_b: [1] } },
  };
  const result = await engine.runPlan(plan);
  assert.equal(result.planId, plan.id);
  assert.deepEqual([result.status, result.success, result.description, result.metadata], ['completed', true, 'a test', plan.metadata]);
  assert.deepEqual(
    result.results.map(({ stdout }) => stdout),
    ['1\n', 'two words\n'],
  );
  assert.deepEqual(result.stats, { total: 2, completed: 2, failed: 0, cancelled: 0, timeout: 0, skipped: 0, retries: 0 });
  assert.deepEqual(result.steps[1], { index: 1, id: result.results[1].id, name: "echo 'two words'", status: 'completed', dependsOn: [0] });
  assert.equal(result.steps[0].name, 'one');
  assert.ok(result.totalDurationMs > 0 && result.startedAt instanceof Date && result.completedAt >= result.startedAt);
  assert.deepEqual(engine.getResult(result.results[0].id), result.results[0], 'steps are executions');
  assert.equal(engine.listExecutions({ label: 'one' }).length, 1);
});

test('executePlan gives the id, and any number of callers may wait for it, before and after the end', async (t) => {
  const engine = newEngine(t);
  const id = await engine.executePlan(parallel([nothing, nothing]));
  const [one, two] = await Promise.all([engine.waitForPlan(id), engine.waitForPlan(id.toUpperCase())]);
  assert.equal(one.status, 'completed');
  assert.deepEqual(two, one);
  assert.deepEqual(await engine.waitForPlan(id), one);
});

test('what a failure does', async (t) => {
  const engine = newEngine(t);
  const steps = [nothing, shell('exit 3'), nothing];
  const stopped = await engine.runPlan(serial(steps));
  assert.deepEqual([stopped.status, stopped.skipped], ['failed', [{ index: 2, reason: 'stop_on_error', because: 1 }]]);
  assert.equal(stopped.results.length, 2);
  await failure(() => engine.waitForCompletion(stopped.steps[2].id), 'NOT_FOUND');

  const all = await engine.runPlan({ ...serial(steps), strategy: { type: 'serial', stopOnError: false } });
  assert.deepEqual(statuses(all), ['completed', 'failed', 'completed']);

  const branch = await engine.runPlan(graph({ 2: [1], 3: [2, 0] }, [...steps, nothing, exec('/no/such/program')]));
  assert.deepEqual(statuses(branch), ['completed', 'failed', 'skipped', 'skipped', 'failed']);
  assert.deepEqual(
    branch.skipped.map(({ reason, because }) => [reason, because]),
    [
      ['dependency', 1],
      ['dependency', 1],
    ],
  );
  assert.equal(branch.results.at(-1).error.code, 'SPAWN_FAILED');

  const on = await engine.runPlan(graph({ 2: [1] }, steps), { continueOnError: true });
  assert.deepEqual([on.status, statuses(on)], ['failed', ['completed', 'failed', 'completed']]);
});

test('progress, and every event of a step says whose it is', async (t) => {
  const { engine, events } = recordedEngine(t);
  const seen = [];
  engine.on('event', (event) => seen.push(event));
  const result = await engine.runPlan(serial([exec('echo', 'hi'), shell('exit 1'), nothing]));
  const progress = events.of(result.planId);
  assert.deepEqual(
    progress.map(({ completed, failed, skipped, total, currentCommand, status }) => [
      completed,
      failed,
      skipped,
      total,
      currentCommand,
      status,
    ]),
    [
      [0, 0, 0, 3, 'echo hi', 'running'],
      [1, 0, 0, 3, null, 'running'],
      [1, 0, 0, 3, 'exit 1', 'running'],
      [3, 1, 1, 3, null, 'failed'],
    ],
  );
  assert.ok(progress.every(({ type, planId }) => type === 'progress' && planId === result.planId));
  assert.deepEqual(progress.at(-1).result, result);
  assert.equal(progress[0].result, undefined);
  for (const event of seen.filter(({ type }) => type !== 'progress')) {
    assert.equal(event.planId, result.planId);
    assert.equal(result.steps[event.step].id, event.executionId);
  }
  assert.deepEqual(events.types(result.steps[0].id), ['started', 'stdout', 'completed']);
});

test('a listener to progress alone gets it', async (t) => {
  const engine = newEngine(t);
  const received = [];
  engine.on('progress', ({ completed, total }) => received.push(`${completed}/${total}`));
  await engine.runPlan(serial([nothing, nothing]));
  assert.deepEqual(received, ['0/2', '1/2', '1/2', '2/2']);
});

test('cancelPlan ends what runs with its tree and skips the rest', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.executePlan(graph({ 1: [0] }, [forever, nothing]));
  const { executionId } = await events.line('ready');
  const { pid } = await events.first(({ type }) => type === 'started');
  await engine.cancelPlan(id);
  assert.ok(!isAlive(pid));
  const result = await engine.waitForPlan(id);
  assert.deepEqual([result.status, result.skipped], ['cancelled', [{ index: 1, reason: 'cancelled', because: null }]]);
  assert.equal(engine.getResult(executionId).reason, 'cancelled');
  await engine.cancelPlan(id);
  await failure(() => engine.cancelPlan(randomUUID()), 'NOT_FOUND');
  await failure(() => engine.waitForPlan(randomUUID()), 'NOT_FOUND');
  await failure(() => engine.waitForPlan('x'), 'NOT_FOUND');
  assert.equal((await failure(() => engine.waitForPlan(5), 'INVALID_REQUEST')).field, 'id');
});

test('a deadline and abort signals, of the plan and of a step', async (t) => {
  const { engine, events } = recordedEngine(t);
  // A plan whose deadline comes before its first step has started has no result of that.
  const late = await withEnoughTime(200, async (deadlineMs) => {
    const plan = await engine.runPlan(graph({ 1: [0] }, [forever, nothing]), { deadlineMs });
    assert.equal(plan.status, 'timeout');
    return plan.results.length > 0 && plan;
  });
  assert.deepEqual([late.status, late.skipped[0].reason, late.results[0].status], ['timeout', 'deadline', 'timeout']);

  const whole = new AbortController();
  const aborted = engine.runPlan(graph({ 1: [0] }, [labelled('whole', forever), nothing]), { signal: whole.signal });
  await events.first(({ type, executionId }) => type === 'stdout' && engine.listExecutions({ label: 'whole' })[0]?.id === executionId);
  whole.abort();
  assert.deepEqual(
    [(await aborted).status, (await aborted).skipped[0].reason, (await aborted).results[0].reason],
    ['cancelled', 'aborted', 'aborted'],
  );

  const never = await engine.runPlan(serial([nothing]), { signal: AbortSignal.abort() });
  assert.deepEqual([never.status, statuses(never)], ['cancelled', ['skipped']]);

  const one = new AbortController();
  const running = engine.runPlan(parallel([labelled('one', forever), nothing, nothing]), {
    steps: { 0: { signal: one.signal }, 2: { signal: AbortSignal.abort() } },
  });
  await events.first(({ type, executionId }) => type === 'stdout' && engine.listExecutions({ label: 'one' })[0]?.id === executionId);
  one.abort();
  assert.deepEqual(statuses(await running), ['cancelled', 'completed', 'cancelled']);
});

test("steps share the slots of the engine, under the plan's own limit", async (t) => {
  const dir = folder(t);
  const engine = newEngine(t, { maxConcurrentExecutions: 4 });
  const file = path.join(dir, 'go');
  const id = await engine.executePlan(parallel(new Array(10).fill(untilFile(file)), 2));
  await until(() => engine.getConcurrencyMetrics().currentlyRunning === 2, 'two steps run');
  assert.equal(engine.getConcurrencyMetrics().availableSlots, 2);
  writeFileSync(file, '');
  assert.equal((await engine.waitForPlan(id)).stats.completed, 10);
});

test('cancelAll and shutdown end plans too', async (t) => {
  const dir = folder(t);
  const { engine, events } = recordedEngine(t);
  const marker = path.join(dir, 'ran');
  const plans = await Promise.all([1, 2].map(() => engine.executePlan(serial([forever, exec('touch', marker)]))));
  for (const id of plans) await events.first(({ type, planId }) => type === 'stdout' && planId === id);
  assert.equal(await engine.cancelAll(), 2);
  for (const id of plans) assert.equal((await engine.waitForPlan(id)).status, 'cancelled');
  const last = engine.runPlan(serial([forever, exec('touch', marker)]));
  await events.first(({ type, step, planId }) => type === 'started' && step === 0 && !plans.includes(planId));
  await engine.shutdown();
  assert.deepEqual((await last).skipped, [{ index: 1, reason: 'shutdown', because: null }]);
  await failure(() => engine.executePlan(serial([nothing])), 'ENGINE_SHUT_DOWN');
  assert.ok(!existsSync(marker));
});

test('a plan keeps Node alive, between its steps and in a pause too', () => {
  const source = `
    const { ExecutionEngine } = require(${JSON.stringify(path.join(root, 'index.js'))});
    const engine = new ExecutionEngine();
    const step = (command) => ({ command: { type: 'shell', command } });
    const plan = { description: 'd', strategy: { type: 'serial', stopOnError: false }, commands: [step('exit 1'), step('echo last')] };
    engine.on('stdout', ({ line }) => console.log(line));
    engine.executePlan(plan, { steps: { 0: { retry: { attempts: 2, backoffMs: 300 } } } });
  `;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', source], { encoding: 'utf8', timeout: 30_000 });
  assert.deepEqual([status, stdout, stderr], [0, 'last\n', '']);
});

test('a plan of a thousand steps', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 8 });
  const chain = Object.fromEntries(Array.from({ length: 199 }, (_, index) => [index + 1, [index]]));
  assert.equal((await engine.runPlan(graph(chain, new Array(200).fill(nothing)))).stats.completed, 200);
  assert.equal((await engine.runPlan(parallel(new Array(1000).fill(nothing)))).stats.completed, 1000);
  assert.equal(engine.getConcurrencyMetrics().availableSlots, 8);
});
