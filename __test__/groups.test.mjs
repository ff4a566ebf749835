// At most so many executions of a group run at once; those that wait for a group hold up nothing else.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure, failureNow, refusal } from './helpers/outcomes.mjs';
import { graph, parallel, serial, statuses } from './helpers/plans.mjs';
import { file, folder, forever, nothing, shell, until, untilFile } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';
import { notObject, notTexts, notWhole } from './helpers/values.mjs';

/** Returns an engine in which one execution holds the group `g` until `free()`. */
async function heldGroup(t, config, groups = ['g']) {
  const dir = folder(t);
  const all = recordedEngine(t, config);
  const first = await all.engine.execute(untilFile(path.join(dir, 'go')), { groups });
  await all.events.line('ready', first);
  return { ...all, first, dir, free: () => file(dir, 'go') };
}

test('at most so many of a group run at once, and the groups of a glob have a limit each', async (t) => {
  const dir = folder(t);
  const engine = newEngine(t, { groupLimits: { 'deploy:*': 2, 'deploy:p*': 3 } });
  // Each command writes how many of its group run beside it.
  const counting = (group) =>
    shell(': > "$DIR/$G.$$"; ls "$DIR" | grep -c "^$G\\."; sleep 0.01; rm "$DIR/$G.$$"', { env: { DIR: dir, G: group } });
  const names = ['deploy:test', 'deploy:prod', 'single'];
  const all = names.flatMap((group) =>
    Array.from({ length: 20 }, () => ({ group, run: engine.run(counting(group), { groups: [group] }) })),
  );
  const most = Object.fromEntries(names.map((name) => [name, 0]));
  for (const { group, run } of all) most[group] = Math.max(most[group], Number((await run).stdout));
  assert.ok(most['deploy:test'] <= 2 && most['deploy:prod'] <= 3 && most.single === 1, JSON.stringify(most));
});

test('what waits for a group holds no slot, and is shown', async (t) => {
  const { engine, events, first, free } = await heldGroup(t, { maxConcurrentExecutions: 2 });
  const waiting = await engine.execute(nothing, { groups: ['b', 'g', 'a'] });
  const queued = await events.first(({ executionId, type }) => executionId === waiting && type === 'queued');
  assert.equal(queued.group, 'g');
  assert.deepEqual(engine.getConcurrencyMetrics(), {
    maxConcurrent: 2,
    currentlyRunning: 1,
    currentlyPending: 1,
    availableSlots: 1,
  });
  assert.equal(engine.getStats().waitingForGroups, 1);
  assert.match(engine.metricsText(), /^escher_executions_waiting_for_groups 1$/m);
  assert.equal((await engine.run(nothing)).status, 'completed');
  assert.equal(engine.getStatus(waiting), 'pending');
  const slotOnly = await engine.execute(forever);
  const last = await engine.execute(nothing);
  assert.equal((await events.first(({ executionId, type }) => executionId === last && type === 'queued')).group, null);
  await engine.cancel(slotOnly);
  free();
  await Promise.all([first, waiting, last].map((id) => engine.waitForCompletion(id)));
  assert.deepEqual(events.types(waiting), ['queued', 'started', 'completed']);
});

test('within a group: by priority, then by arrival; an execution in several groups is not overtaken', async (t) => {
  const { engine, dir, free } = await heldGroup(t);
  const order = path.join(dir, 'order');
  const say = (name, options) => engine.run(shell(`echo ${name} >> "$ORDER"`, { env: { ORDER: order } }), options);
  const all = [
    say('both', { groups: ['h', 'g'] }),
    say('h', { groups: ['h'] }),
    say('late', { groups: ['g'], priority: -1 }),
    say('g', { groups: ['g'] }),
    say('first', { groups: ['g'], priority: 1 }),
  ];
  assert.equal((await say('free', { groups: ['other'] })).status, 'completed');
  free();
  await Promise.all(all);
  const lines = readFileSync(order, 'utf8').trim().split('\n');
  assert.deepEqual(
    lines.filter((line) => line !== 'h'),
    ['free', 'first', 'both', 'g', 'late'],
  );
  assert.ok(lines.indexOf('h') > lines.indexOf('both'), lines.join());
});

test('a wait for a group ends by a cancel, an abort, queueTimeoutMs or a shutdown, and never spawns', async (t) => {
  const { engine, events } = await heldGroup(t);
  const waiting = (options) => engine.execute(nothing, { groups: ['g'], ...options });
  const aborting = new AbortController();
  const [cancelled, aborted] = [await waiting(), await waiting({ signal: aborting.signal })];
  await engine.cancel(cancelled);
  aborting.abort();
  const reasons = [];
  const { engine: impatient } = await heldGroup(t, { queueTimeoutMs: 300 });
  const late = await impatient.execute(nothing, { groups: ['g'] });
  for (const [of, id] of [
    [engine, cancelled],
    [engine, aborted],
    [impatient, late],
  ]) {
    const { reason, pid } = await of.waitForCompletion(id);
    reasons.push(reason);
    assert.equal(pid, null);
  }
  for (const one of [engine, impatient]) assert.equal(one.getConcurrencyMetrics().currentlyPending, 0);
  assert.deepEqual(reasons, ['cancelled', 'aborted', 'queue_timeout']);
  const last = await waiting();
  await engine.shutdown();
  assert.equal(engine.getResult(last).reason, 'shutdown');
  assert.deepEqual(events.types(last), ['queued', 'cancelled']);
});

test('the bound of the queue counts what waits for groups; the policy reject refuses it', async (t) => {
  const { engine } = await heldGroup(t, { maxQueuedExecutions: 1 });
  const waiting = await engine.execute(nothing, { groups: ['g'] });
  await failure(() => engine.execute(nothing, { groups: ['g'] }), 'QUEUE_FULL');
  assert.equal((await engine.run(nothing, { groups: ['h'] })).status, 'completed');
  await engine.cancel(waiting);

  const rejecting = await heldGroup(t, { concurrencyPolicy: 'reject' });
  const error = await failure(() => rejecting.engine.execute(nothing, { groups: ['a', 'g'] }), 'CONCURRENCY_LIMIT_REACHED');
  assert.equal(error.field, 'options.groups[1]');
  assert.match(error.message, /groupLimits/);
  assert.equal((await rejecting.engine.run(nothing, { groups: ['a'] })).status, 'completed');
});

test('a pause before another attempt holds no place', async (t) => {
  const { engine, events } = recordedEngine(t);
  const failing = await engine.execute(shell('exit 1'), { groups: ['g'], retry: { attempts: 2, backoffMs: 60_000, maxBackoffMs: 60_000 } });
  await events.first(({ type }) => type === 'retry');
  assert.equal((await engine.run(nothing, { groups: ['g'] })).status, 'completed');
  await engine.cancel(failing);
  // The next attempt waits for its place, and finds the file that another one has made there meanwhile.
  const dir = folder(t);
  const [marker, go] = ['marker', 'go'].map((name) => path.join(dir, name));
  const env = { FILE: marker };
  const retry = { attempts: 1000, backoffMs: 1 };
  const retried = await engine.execute(shell('[ -e "$FILE" ] || exit 1', { env }), { groups: ['g'], retry });
  const holder = await engine.execute(untilFile(go, `: > ${marker}`), { groups: ['g'], priority: 1 });
  await events.line('ready', holder);
  const attempts = await until(() => engine.getStats().waitingForGroups === 1 && events.of(retried).length, 'it waits');
  file(dir, 'go');
  await engine.waitForCompletion(holder);
  const { status, attempt } = await engine.waitForCompletion(retried);
  assert.deepEqual([status, attempt], ['completed', events.of(retried).filter(({ type }) => type === 'retry').length + 1]);
  assert.ok(events.of(retried).length >= attempts);
});

test('a plan waits for groups without a slot, and its other steps go on', async (t) => {
  const { engine, free, events } = await heldGroup(t, { maxConcurrentExecutions: 2 });
  const steps = { 0: { groups: ['g'] }, 1: { groups: ['g', 'h'] }, 3: { groups: ['i'] } };
  for (const plan of [parallel(Array(5).fill(nothing), 1), graph({ 4: [2] }, Array(5).fill(nothing))]) {
    const id = await engine.executePlan(plan, { steps });
    await events.first((event) => event.planId === id && event.type === 'progress' && event.completed === 3);
    // The event comes before the slot of its step is free.
    const waits = () => engine.getConcurrencyMetrics().currentlyRunning === 1 && engine.getStats().waitingForGroups === 2;
    await until(waits, 'two sets of groups wait, without a slot');
    await engine.cancelPlan(id);
    const { skipped } = await engine.waitForPlan(id);
    assert.deepEqual(
      skipped.map(({ index, reason }) => [index, reason]),
      [
        [0, 'cancelled'],
        [1, 'cancelled'],
      ],
    );
  }
  const whole = engine.runPlan(serial([nothing, nothing, nothing]), { groups: ['g'] });
  free();
  assert.deepEqual(statuses(await whole), ['completed', 'completed', 'completed']);
  assert.equal(engine.getConcurrencyMetrics().availableSlots, 2);
});

test('queueTimeoutMs ends the step of a plan that waits for a group', async (t) => {
  const { engine } = await heldGroup(t, { queueTimeoutMs: 100 });
  const result = await engine.runPlan(parallel([nothing, nothing]), { steps: { 0: { groups: ['g'] } } });
  assert.deepEqual(
    result.results.map(({ reason }) => reason),
    ['queue_timeout', 'exit'],
  );
});

test('the limits hold while executions come, are cancelled, fail and are retried', async () => {
  await repeatedly(REPEATS, 2, async (round) => {
    const dir = folder({ after: (end) => ends.push(end) });
    const engine = new ExecutionEngine({ maxConcurrentExecutions: 4, groupLimits: { two: 2 } });
    // A folder can be made once: each place of a group is one.
    const place = (group) => `mkdir "$DIR/${group}" || { echo "${group} is full"; exit 9; }`;
    const line = (groups) => `${groups.map(place).join('; ')}; rmdir ${groups.map((group) => `"$DIR/${group}"`).join(' ')}; exit $CODE`;
    const kinds = [['a'], ['b'], ['a', 'b'], ['b', 'c', 'a'], []];
    const running = Array.from({ length: 24 }, async (_, index) => {
      const groups = kinds[(index + round) % kinds.length];
      const command = groups.length > 0 ? line(groups) : 'exit $CODE';
      const code = index % 6 === 0 ? 1 : 0;
      const id = await engine.execute(shell(command, { env: { DIR: dir, CODE: String(code) } }), {
        groups,
        priority: index % 3,
        retry: { attempts: 2, backoffMs: 1, on: [1] },
        // A command that is ended would leave its folders.
        killGraceMs: 60_000,
        stopSignal: 'SIGUSR1',
      });
      if (index % 8 === 7 && engine.getStatus(id) === 'pending') await engine.cancel(id).catch(() => {});
      return engine.waitForCompletion(id);
    });
    const results = await Promise.all(running);
    for (const result of results) {
      if (result.status === 'cancelled') continue;
      assert.doesNotMatch(result.stdout, /is full/, JSON.stringify(readdirSync(dir)));
    }
    const { currentlyRunning, currentlyPending } = engine.getConcurrencyMetrics();
    assert.deepEqual([currentlyRunning, currentlyPending, engine.getStats().waitingForGroups], [0, 0, 0]);
    await engine.shutdown();
  });
  for (const end of ends) end();
});
const ends = [];

test('names of groups are checked', async (t) => {
  const engine = newEngine(t);
  const refusedAt = (groups, field, value) => refusal(() => engine.run(nothing, { groups }), 'INVALID_REQUEST', field, value);
  for (const value of notTexts.filter((value) => !Array.isArray(value))) await refusedAt(value, 'options.groups', value);
  for (const value of [1, true, {}]) await refusedAt(['a', value], 'options.groups[1]', value);
  for (const value of ['', 'é'.repeat(129), 'a\0b']) {
    const error = await failure(() => engine.run(nothing, { groups: ['a', value] }), 'INVALID_REQUEST');
    assert.equal(error.field, 'options.groups[1]');
    assert.match(error.message, /give a name/);
  }
  const many = Array.from({ length: 65 }, (_, index) => `g${index}`);
  assert.match((await failure(() => engine.run(nothing, { groups: many }), 'INVALID_REQUEST')).message, /options\.groups: it has 65 names/);
  assert.equal((await engine.run(nothing, { groups: [...many.slice(1), 'é'.repeat(128)].slice(-64) })).status, 'completed');
  const error = await failure(() => engine.runPlan(serial([nothing]), { steps: { 0: { groups: [''] } } }), 'INVALID_REQUEST');
  assert.equal(error.field, 'options.steps[0].groups[0]');
  assert.match(
    (await failure(() => engine.run({ ...nothing, groups: ['a'] }), 'INVALID_REQUEST')).message,
    /unknown field/,
    'a request has no groups',
  );
});

test('groupLimits is checked, and comes from variables and files too', async (t) => {
  const refused = (groupLimits) => failureNow(() => new ExecutionEngine({ groupLimits }), 'INVALID_CONFIG');
  for (const value of notObject.filter((value) => value !== null && value !== undefined)) assert.equal(refused(value).field, 'groupLimits');
  for (const value of [...notWhole, 0, 2 ** 32]) {
    const error = refused({ 'my_group:*': value });
    assert.equal(error.field, 'groupLimits["my_group:*"]', error.message);
    assert.match(error.message, /: give /);
  }
  for (const glob of ['[', '{a', '']) assert.equal(refused({ [glob]: 1 }).field, `groupLimits["${glob}"]`);
  assert.match(refused(Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`g${index}`, 1]))).message, /1000 at most/);
  const groupLimits = { 'a_b:*': 2, c: 1 };
  assert.deepEqual(newEngine(t, { groupLimits: { ...groupLimits, none: null } }).config.groupLimits, groupLimits);
  assert.deepEqual(ExecutionEngine.configFromEnv({ EXEC_GROUP_LIMITS: JSON.stringify(groupLimits) }), { groupLimits });
  const dir = folder(t);
  const toml = file(dir, 'a.toml', '[execution.group_limits]\n"a_b:*" = 2\nc = 1\n');
  assert.deepEqual(ExecutionEngine.configFromFile(toml), { groupLimits });
  const error = failureNow(() => ExecutionEngine.configFromEnv({ EXEC_GROUP_LIMITS: 'a=1' }), 'INVALID_CONFIG');
  assert.equal(error.field, 'EXEC_GROUP_LIMITS');
});

test('engines share no groups, and a secret in a name is masked', async (t) => {
  const { events, engine } = await heldGroup(t, { secrets: ['hunter22'] }, ['for-hunter22']);
  assert.equal((await newEngine(t).run(nothing, { groups: ['for-hunter22'] })).status, 'completed');
  const id = await engine.execute(nothing, { groups: ['for-hunter22'] });
  const { group } = await events.first(({ executionId, type }) => executionId === id && type === 'queued');
  assert.equal(group, 'for-***');
  await until(() => engine.getStats().waitingForGroups === 1, 'it waits');
});
