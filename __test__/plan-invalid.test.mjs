// An invalid plan is refused with the step and the problem, before anything runs.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { failure, refusal } from './helpers/outcomes.mjs';
import { graph, parallel, serial } from './helpers/plans.mjs';
import { exec, folder, nothing } from './helpers/programs.mjs';
import { notObject, notText, notWhole } from './helpers/values.mjs';

const CODE = 'INVALID_PLAN';

test('cycles, wrong indexes and duplicate ids are refused', async (t) => {
  const engine = newEngine(t);
  const marker = path.join(folder(t), 'ran');
  const steps = new Array(6).fill(exec('touch', marker));
  const id = randomUUID();
  const cases = [
    [graph({ 2: [5], 5: [2] }, steps), 'strategy.dependencies[2]', /2 → 5 → 2/],
    [graph({ 0: [1], 1: [2], 2: [0] }, steps), 'strategy.dependencies[0]', /0 → 1 → 2 → 0/],
    [graph({ 3: [0, 3] }, steps), 'strategy.dependencies[3][1]', /3 → 3/],
    [graph({ 3: [6] }, steps), 'strategy.dependencies[3][0]', /step 3 depends on step 6/],
    [graph({ 6: [] }, steps), 'strategy.dependencies[6]', /no step 6/],
    [graph({ '-1': [0] }, steps), 'strategy.dependencies["-1"]', /not the index/],
    [graph({ 1.5: [0] }, steps), 'strategy.dependencies["1.5"]', /not the index/],
    [graph({ 1: [-1] }, steps), 'strategy.dependencies[1][0]', /whole number/],
    [serial([]), 'commands', /give 1 to/],
    [parallel(steps, 0), 'strategy.maxConcurrency', /1 or more/],
    [serial([nothing, { ...nothing, id }, nothing, { ...nothing, id: id.toUpperCase() }]), 'commands[3].id', /commands\[1\]/],
    [serial([...steps, exec('')]), 'commands[6].command.program', /empty/],
    [
      serial([nothing, nothing, nothing, { command: { type: 'exec', program: 5 } }]),
      'commands[3].command.program',
      /it is a number: give a string/,
    ],
    [serial([nothing, { ...nothing, timeoutMs: 3_600_001 }]), 'commands[1].timeoutMs', /`maxTimeoutMs`/],
    [serial([{ ...nothing, env: { 'A=B': '' } }]), 'commands[0].env["A"]', /=/],
    [serial([{ ...nothing, comand: 5 }]), 'commands[0].comand', /did you mean `command`/],
    [{ ...serial([nothing]), comands: [] }, 'comands', /did you mean `commands`/],
    [{ ...serial([nothing]), strategy: { type: 'parallel', stopOnError: true } }, 'strategy.stopOnError', /unknown field/],
    [{ ...serial([nothing]), strategy: { type: 'sequential' } }, 'strategy.type', /"serial", "parallel" or "dependency_graph"/],
  ];
  for (const [plan, field, words] of cases) {
    const error = await failure(() => engine.runPlan(plan), CODE);
    assert.equal(error.field, field, error.message);
    assert.match(error.message, words);
    assert.ok(error.message.startsWith(`invalid plan: ${field}: `), error.message);
  }
  assert.equal(engine.getStats().total, 0);
  assert.ok(!existsSync(marker));
});

test('a chain of ten thousand steps is checked, and so is a cycle of as many', async (t) => {
  const engine = newEngine(t);
  const commands = new Array(10_000).fill(nothing);
  const dependencies = Object.fromEntries(commands.map((_, index) => [index, [(index + 9_999) % 10_000]]));
  const error = await failure(() => engine.runPlan(graph(dependencies, commands)), CODE);
  assert.match(error.message, /0 → 9999 → 9998 → .* more\) → 0/);
  const { 0: _, ...chain } = dependencies;
  const result = await engine.runPlan(graph(chain, commands), { signal: AbortSignal.abort() });
  assert.equal(result.stats.skipped, 10_000);
});

test('values of wrong types', async (t) => {
  const engine = newEngine(t);
  const run = (plan, options) => () => engine.runPlan(plan, options);
  for (const value of notObject) {
    await refusal(run(value), CODE, 'plan', value);
    await refusal(run(serial([nothing, value])), CODE, 'commands[1]', value);
    await refusal(run({ ...serial([nothing]), strategy: value }), CODE, 'strategy', value);
    await refusal(run(serial([nothing]), { steps: value }), 'INVALID_REQUEST', 'options.steps', value);
    await refusal(run(serial([nothing]), { steps: { 0: value } }), 'INVALID_REQUEST', 'options.steps[0]', value);
  }
  for (const value of [...notText, null]) await refusal(run({ ...serial([nothing]), description: value }), CODE, 'description', value);
  for (const value of notWhole) {
    await refusal(run(parallel([nothing], value)), CODE, 'strategy.maxConcurrency', value);
    await refusal(run(serial([nothing]), { deadlineMs: value }), 'INVALID_REQUEST', 'options.deadlineMs', value);
  }
  for (const [options, field] of [
    [{ steps: { 3: {} } }, 'options.steps[3]'],
    [{ steps: { x: {} } }, 'options.steps.x'],
    [{ steps: { 0: { killGraceMs: -1 } } }, 'options.steps[0].killGraceMs'],
    [{ steps: { 0: { signal: {} } } }, 'options.steps[0].signal'],
    [{ steps: { 0: { deadlineMs: 5 } } }, 'options.steps[0].deadlineMs'],
    [{ steps: { 0: { retry: { attempts: 0 } } } }, 'options.steps[0].retry.attempts'],
    [{ continueOnError: 1 }, 'options.continueOnError'],
    [{ stopOnError: true }, 'options.stopOnError'],
    [{ deadlineMs: 0 }, 'options.deadlineMs'],
  ]) {
    assert.equal((await failure(run(serial([nothing]), options), 'INVALID_REQUEST')).field, field);
  }
  const thrower = {
    get commands() {
      throw new Error('mine');
    },
  };
  assert.equal((await failure(run(thrower), CODE)).field, 'commands');
  assert.equal(engine.getStats().total, 0);
});

test('an id that is known', async (t) => {
  const engine = newEngine(t);
  const [execution, plan] = [randomUUID(), randomUUID()];
  await engine.run({ ...nothing, id: execution });
  assert.equal((await failure(() => engine.runPlan(serial([nothing, { ...nothing, id: execution }])), CODE)).field, 'commands[1].id');
  await engine.runPlan({ ...serial([nothing]), id: plan });
  await failure(() => engine.runPlan({ ...serial([nothing]), id: plan }), 'DUPLICATE_ID');
});
