// A step takes the output of an earlier step as a variable.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { toSvg, toTrace } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { graph, parallel, serial, statuses } from './helpers/plans.mjs';
import { nodeProgram, nothing, shell } from './helpers/programs.mjs';

const print = (env) => shell('printf %s "$VERSION"', { env });

test('the trimmed output of an earlier step, by its index or its id, which the step then depends on', async (t) => {
  const engine = newEngine(t);
  const id = randomUUID();
  const version = { ...shell('sleep 0.1; printf "\\n 1.2  3\\n\\n"; echo other >&2'), id };
  for (const [plan, dependsOn] of [
    [serial([version, print({ VERSION: { from: 0 } })]), [0]],
    [parallel([version, print({ VERSION: { from: id } })]), [0]],
    [graph({ 1: [2] }, [version, print({ VERSION: { from: 0 }, B: 'b' }), nothing]), [0, 2]],
  ]) {
    plan.commands[0] = { ...version, id: dependsOn && plan.strategy.type === 'parallel' ? id : undefined };
    const result = await engine.runPlan(plan);
    assert.equal(result.status, 'completed');
    assert.equal(result.results[1].stdout, '1.2  3');
    assert.deepEqual([result.steps[1].dependsOn, result.steps[1].inputs], [dependsOn, [{ name: 'VERSION', from: 0 }]]);
    assert.equal(result.steps[0].inputs, undefined);
  }
});

test('a step is skipped when the step whose output it takes fails, in a parallel plan too', async (t) => {
  const engine = newEngine(t);
  const steps = [shell('echo x; exit 1'), print({ VERSION: { from: 0 } }), nothing];
  const result = await engine.runPlan(parallel(steps));
  assert.deepEqual(statuses(result), ['failed', 'skipped', 'completed']);
  assert.deepEqual(result.skipped, [{ index: 1, reason: 'dependency', because: 0 }]);
  const on = await engine.runPlan(parallel(steps), { steps: { 1: { when: 'always' } } });
  assert.equal(on.results[1].stdout, 'x', 'what it wrote is there all the same');
});

test('output that cannot be a variable fails the step, with the reason and without the value', async (t) => {
  const engine = newEngine(t, { secrets: ['hunter22'], maxOutputSizeBytes: 300_000 });
  const longest = 'x'.repeat(128 * 1024);
  const cases = [
    [nodeProgram('process.stdout.write("a\\0b")'), /holds NUL/],
    [nodeProgram(`process.stdout.write("${'x'.repeat(100)}".repeat(1311))`), /longer than 128 KiB/],
    [nodeProgram(`process.stdout.write("x".repeat(300_001))`), /was truncated/],
    [nodeProgram('process.stdout.write(Buffer.from([0xff, 0x41]))'), /not UTF-8/],
    [shell('echo a hunter22'), /secret/],
    [shell('printf hunter22 | base64'), /secret/],
    [{ command: { type: 'exec', program: '/no/such/program' } }, /never ran/],
  ];
  assert.ok(longest.length < 131_100);
  for (const [step, reason] of cases) {
    const options = { continueOnError: true, retry: { attempts: 3, backoffMs: 1 } };
    const result = await engine.runPlan(serial([step, print({ VERSION: { from: 0 } })]), options);
    const failed = result.results[1];
    assert.deepEqual(
      [failed.status, failed.error?.code, failed.pid, failed.attempt],
      ['failed', 'INVALID_REQUEST', null, 1],
      String(reason),
    );
    assert.match(failed.error.message, reason);
    assert.match(failed.error.message, /^invalid request: env\.VERSION: the output of step 0 .*: (write|encode|pass|let)/);
    assert.doesNotMatch(failed.error.message, /hunter22|\*\*\*|xxx/);
    const error = await failure(() => engine.waitForCompletion(failed.id), 'INVALID_REQUEST');
    assert.equal(error.field, 'env.VERSION');
  }
  const secret = await engine.runPlan(serial([shell('echo hunter22 > /dev/null; echo fine'), print({ VERSION: { from: 0 } })]));
  assert.equal(secret.results[1].stdout, 'fine');
});

test('a variable that is secret by its name is masked in the step that takes it', async (t) => {
  const engine = newEngine(t, { maskEnvSecrets: true });
  const { results } = await engine.runPlan(
    serial([shell('echo topsecret-value'), shell('echo "$API_KEY"', { env: { API_KEY: { from: 0 } } })]),
  );
  assert.equal(results[1].stdout, '***\n');
});

test('what names no step is refused', async (t) => {
  const engine = newEngine(t);
  const refused = async (plan, field, words) => {
    const error = await failure(() => engine.runPlan(plan), 'INVALID_PLAN');
    assert.deepEqual([error.field, words.test(error.message)], [field, true], error.message);
  };
  const taking = (from) => print({ VERSION: { from } });
  for (const from of [2, 99]) await refused(serial([nothing, taking(from)]), 'commands[1].env.VERSION.from', /0 to 1/);
  await refused(serial([nothing, taking(randomUUID())]), 'commands[1].env.VERSION.from', /no such step/);
  await refused(serial([nothing, taking(1)]), 'commands[1].env.VERSION.from', /own output/);
  await refused(serial([taking(1), nothing]), 'commands[0].env.VERSION.from', /earlier step/);
  for (const from of [-1, 0.5, 'x', true, [], {}])
    await refused(serial([nothing, taking(from)]), 'commands[1].env.VERSION.from', /: (give|leave)/);
  await refused(serial([nothing, print({ VERSION: {} })]), 'commands[1].env.VERSION', /an object: give a string/);
  await refused(serial([nothing, print({ VERSION: { from: 0, of: 1 } })]), 'commands[1].env.VERSION.of', /unknown field/);
  await refused(parallel([taking(1), taking(0)]), 'commands[0].env', /0 → 1 → 0/);
  await refused(serial([nothing, print({ 'A=B': { from: 0 } })]), 'commands[1].env["A"]', /holds `=`/);
  const alone = await failure(() => engine.run(print({ VERSION: { from: 0 } })), 'INVALID_REQUEST');
  assert.equal(alone.field, 'env.VERSION');
  assert.match(alone.message, /run both as a plan/);
});

test('the picture and the trace show it', async (t) => {
  const result = await newEngine(t).runPlan(serial([shell('echo 1'), print({ VERSION: { from: 0 } })]));
  assert.ok(toSvg(result).includes('VERSION from step 0'));
  const { traceEvents } = JSON.parse(toTrace(result));
  const step = traceEvents.find(({ ph, tid, args }) => ph === 'X' && tid === 2 && args.inputs);
  assert.deepEqual(step.args.inputs, [{ name: 'VERSION', from: 0 }]);
});
