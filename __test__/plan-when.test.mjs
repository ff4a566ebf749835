// Steps that run after a failure, or in any case: notices and clean-up.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { toSvg, toTrace } from '../index.js';
import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { refusal } from './helpers/outcomes.mjs';
import { withEnoughTime } from './helpers/pace.mjs';
import { graph, parallel, serial, statuses } from './helpers/plans.mjs';
import { file, folder, forever, nothing, shell, until, untilFile } from './helpers/programs.mjs';
import { notText } from './helpers/values.mjs';

const failing = shell('exit 3');
const after = (when) => ({ steps: Object.fromEntries(Object.entries(when).map(([index, when]) => [index, { when }])) });

test('serial: a step depends on all before it', async (t) => {
  const engine = newEngine(t);
  const steps = [nothing, nothing, nothing, nothing];
  const well = await engine.runPlan(serial(steps), after({ 1: 'failure', 2: 'always', 3: 'success' }));
  assert.deepEqual([well.status, well.success, statuses(well)], ['completed', true, ['completed', 'skipped', 'completed', 'completed']]);
  assert.deepEqual(well.skipped, [{ index: 1, reason: 'no_failure', because: null }]);
  assert.deepEqual(
    well.steps.map(({ when }) => when),
    [undefined, 'failure', 'always', undefined],
  );

  const badly = await engine.runPlan(serial([failing, ...steps.slice(1)]), after({ 1: 'failure', 3: 'always' }));
  assert.deepEqual([badly.status, statuses(badly)], ['failed', ['failed', 'completed', 'skipped', 'completed']]);
  assert.deepEqual(badly.skipped, [{ index: 2, reason: 'stop_on_error', because: 0 }]);

  const on = { ...serial([failing, ...steps.slice(1)]), strategy: { type: 'serial', stopOnError: false } };
  assert.deepEqual(statuses(await engine.runPlan(on, after({ 2: 'failure' }))), ['failed', 'completed', 'completed', 'completed']);
});

test('graph: a step depends on those that it names, and on what these waited for', async (t) => {
  const engine = newEngine(t);
  // 1 is skipped for 0, so 2 runs; 4 has no failure before it.
  const plan = graph({ 1: [0], 2: [1], 3: [1, 5], 4: [5], 6: [2] }, [failing, nothing, nothing, nothing, nothing, nothing, nothing]);
  const result = await engine.runPlan(plan, after({ 2: 'failure', 3: 'always', 4: 'failure' }));
  assert.deepEqual(statuses(result), ['failed', 'skipped', 'completed', 'completed', 'skipped', 'completed', 'completed']);
  assert.deepEqual(result.skipped, [
    { index: 1, reason: 'dependency', because: 0 },
    { index: 4, reason: 'no_failure', because: null },
  ]);
  const alone = await engine.runPlan(parallel([nothing, nothing]), after({ 1: 'failure' }));
  assert.deepEqual([alone.status, statuses(alone)], ['completed', ['completed', 'skipped']]);
});

for (const [name, end, status] of [
  ['cancelPlan', (engine, id) => engine.cancelPlan(id), 'cancelled'],
  ['cancelAll', (engine) => engine.cancelAll(), 'cancelled'],
  ['the deadline', () => {}, 'timeout'],
  ['an abort', (_engine, _id, abort) => abort.abort(), 'cancelled'],
]) {
  test(`after ${name} the steps that run in any case begin, when what they waited for is gone`, async (t) => {
    const { engine, events } = recordedEngine(t);
    const abort = new AbortController();
    const dir = folder(t);
    // The step ends some time after its stop signal.
    const slow = shell('trap "sleep 0.2; : > ended; exit 1" TERM; echo ready; while :; do sleep 0.01; done', { workingDir: dir });
    const cleanUp = shell('test -e ended && echo clean', { workingDir: dir });
    const options = { ...after({ 2: 'always', 3: 'failure', 4: 'success' }), signal: abort.signal };
    const plan = graph({ 1: [0], 2: [1], 3: [0], 4: [2] }, [slow, nothing, cleanUp, nothing, nothing]);
    const result = await withEnoughTime(500, async (deadlineMs) => {
      const id = await engine.executePlan(plan, status === 'timeout' ? { ...options, deadlineMs } : options);
      if (status !== 'timeout') await events.line('ready');
      await end(engine, id, abort);
      const ended = await engine.waitForPlan(id);
      return ended.results[0]?.stdout.startsWith('ready') && ended;
    });
    assert.equal(result.status, status);
    assert.deepEqual(statuses(result), [status, 'skipped', 'completed', 'skipped', 'skipped']);
    assert.equal(result.results[1].stdout, 'clean\n');
  });
}

test('a clean-up that runs already goes on after a cancel, and ends by its own timeout', async (t) => {
  const { engine, events } = recordedEngine(t);
  const dir = folder(t);
  const id = await engine.executePlan(serial([nothing, untilFile(path.join(dir, 'go')), nothing]), after({ 1: 'always' }));
  await events.line('ready');
  const cancelled = engine.cancelPlan(id);
  await events.first((event) => event.type === 'progress' && event.skipped === 1);
  file(dir, 'go');
  await cancelled;
  const result = await engine.waitForPlan(id);
  assert.deepEqual([result.status, statuses(result)], ['cancelled', ['completed', 'completed', 'skipped']]);

  const bounded = await engine.executePlan(serial([forever, { ...forever, timeoutMs: 300 }]), after({ 1: 'always' }));
  await events.first(({ type, planId }) => type === 'started' && planId === bounded);
  await engine.cancelPlan(bounded);
  assert.deepEqual(statuses(await engine.waitForPlan(bounded)), ['cancelled', 'timeout']);
});

test('after a shutdown no clean-up begins, and one that runs is ended, also after a cancel', async (t) => {
  const { engine, events } = recordedEngine(t);
  const waiting = await engine.executePlan(serial([forever, nothing]), after({ 1: 'always' }));
  const cleaning = await engine.executePlan(serial([nothing, forever, nothing]), after({ 1: 'always', 2: 'always' }));
  const plan = (id) => events.first(({ planId, line }) => planId === id && line === 'ready');
  await Promise.all([plan(waiting), plan(cleaning)]);
  const cancelled = engine.cancelPlan(cleaning);
  await until(() => events.of(cleaning).length > 0, 'progress');
  await engine.shutdown();
  await cancelled;
  const first = await engine.waitForPlan(waiting);
  assert.deepEqual([first.status, first.skipped], ['cancelled', [{ index: 1, reason: 'shutdown', because: null }]]);
  const second = await engine.waitForPlan(cleaning);
  assert.deepEqual(statuses(second), ['completed', 'cancelled', 'skipped']);
  assert.deepEqual(second.skipped, [{ index: 2, reason: 'shutdown', because: null }]);
});

test('progress says after which ends the running step was to run', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { planId } = await engine.runPlan(serial([failing, nothing, nothing]), after({ 1: 'failure', 2: 'always' }));
  const shown = events.of(planId).filter(({ currentCommand }) => currentCommand !== null);
  assert.deepEqual(
    shown.map(({ currentWhen }) => currentWhen),
    ['success', 'failure', 'always'],
  );
  assert.equal(events.of(planId).at(-1).currentWhen, null);
});

test('the picture and the trace show it', async (t) => {
  const result = await newEngine(t).runPlan(serial([nothing, nothing, nothing]), after({ 1: 'failure', 2: 'always' }));
  const svg = toSvg(result);
  for (const words of ['1  true (after a failure)', '2  true (in any case)', 'skipped (no_failure)']) assert.ok(svg.includes(words), words);
  const { traceEvents } = JSON.parse(toTrace(result));
  assert.deepEqual(
    traceEvents.filter(({ ph, tid, name }) => ph === 'M' && tid > 0 && name === 'thread_name').map(({ args }) => args.name),
    ['0 true', '1 true (after a failure)', '2 true (in any case)'],
  );
  assert.deepEqual(traceEvents.find(({ ph }) => ph === 'i').args.when, 'failure');
});

test('bad values', async (t) => {
  const engine = newEngine(t);
  for (const value of [...notText, '', 'Always', 'failed'])
    await refusal(() => engine.runPlan(serial([nothing]), after({ 0: value })), 'INVALID_REQUEST', 'options.steps[0].when', value);
  for (const when of [null, undefined]) assert.equal((await engine.runPlan(serial([nothing]), after({ 0: when }))).success, true);
  // The refusal is about a step, not about all.
  await refusal(() => engine.runPlan(serial([nothing]), { when: 'always' }), 'INVALID_REQUEST', 'options.when', 'always');
});
