// `retry.onOutput` retries only failures whose last output has one of some texts or regular expressions.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { allowed } from './helpers/pace.mjs';
import { exec, folder, nothing, shell } from './helpers/programs.mjs';

/** Returns how many attempts a command makes that fails with some output. */
async function attempts(engine, command, onOutput, more) {
  const { attempt } = await engine.run(shell(command), { retry: { attempts: 3, backoffMs: 0, onOutput, ...more } });
  return attempt;
}

const fails = (text) => `printf '%s\\n' '${text}'; exit 1`;

test('a match makes a failure retryable, and no match makes it final', async (t) => {
  const engine = newEngine(t);
  const text = fails('An error occurred (ThrottlingException): Rate exceeded.');
  for (const [onOutput, wanted] of [
    ['ThrottlingException', 3],
    [['nothing', 'ThrottlingException'], 3],
    [['throttlingexception'], 1],
    [[/throttling\w+/i], 3],
    [/^An error/, 3],
    [/^occurred/, 1],
    [/rate.*exceeded\.$/im, 3],
    [['(ThrottlingException)'], 3],
    [undefined, 3],
    [null, 3],
  ])
    assert.equal(await attempts(engine, text, onOutput), wanted, String(onOutput));
});

test('in either stream, by the flags of JavaScript', async (t) => {
  const engine = newEngine(t);
  assert.equal(await attempts(engine, 'echo quiet; echo slow down >&2; exit 1', 'slow down'), 3);
  const lines = 'printf "first\\r\\nsecond ÉCOLE 😀\\n"; exit 1';
  for (const [expression, wanted] of [
    [/^second/, 1],
    [/^second/m, 3],
    [/first$/m, 3],
    [/first.second/, 1],
    [/first..second/s, 3],
    [/école/iu, 3],
    [/ÉCOLE .$/mu, 3],
    [/\u{1f600}/u, 3],
    [/[\w-]+\s\d/, 1],
    [/{/, 1],
    [/p{L}|[\pi]rst/, 3],
  ])
    assert.equal(await attempts(engine, lines, expression), wanted, String(expression));
});

test('the last 64 KiB count, whatever the result keeps', async (t) => {
  const engine = newEngine(t);
  const early = 'echo early; head -c 70000 /dev/zero | tr "\\0" x; echo; echo late; exit 1';
  assert.equal(await attempts(engine, early, 'late'), 3);
  assert.equal(await attempts(engine, early, 'early'), 1);
  assert.equal(await attempts(engine, early, 'truncated'), 1, 'what the engine says is no output');
  const options = { maxOutputSizeBytes: 0, retry: { attempts: 2, backoffMs: 0, onOutput: 'late' } };
  assert.equal((await engine.run(shell(early), options)).attempt, 2);
});

test('it narrows what `on` names, and a command that never ran has no output', async (t) => {
  const engine = newEngine(t);
  assert.equal(await attempts(engine, fails('busy'), 'busy', { on: [1] }), 3);
  assert.equal(await attempts(engine, fails('busy'), 'busy', { on: [2, 'timeout'] }), 1);
  const error = await failure(() => engine.run(exec('no-such-program'), { retry: { attempts: 2, onOutput: 'x' } }), 'SPAWN_FAILED');
  assert.equal(error.result.attempt, 1);
});

test('each attempt is looked at by itself', async (t) => {
  const engine = newEngine(t);
  const once = path.join(folder(t), 'once');
  const command = `if [ -e '${once}' ]; then echo final; else touch '${once}'; echo busy; fi; exit 1`;
  assert.equal(await attempts(engine, command, 'busy'), 2);
});

test('a plan and its steps have it', async (t) => {
  const engine = newEngine(t);
  const { results } = await engine.runPlan(
    { description: 'two', strategy: { type: 'parallel' }, commands: [shell(fails('busy')), shell(fails('busy'))] },
    { retry: { attempts: 2, backoffMs: 0, onOutput: /busy/ }, steps: { 1: { retry: { attempts: 2, backoffMs: 0, onOutput: [/other/] } } } },
  );
  assert.deepEqual(
    results.map(({ attempt }) => attempt),
    [2, 1],
  );
});

test('a search that takes seconds delays no deadline of another engine, and a cancel does not wait for it', async (t) => {
  const { engine, events } = recordedEngine(t);
  const other = newEngine(t);
  // The expression has some thousand states for each of the last 64 KiB.
  const slow = /(?:a?){1500}(?:a){1500}z/;
  const id = await engine.execute(shell("head -c 70000 /dev/zero | tr '\\0' a; exit 1"), {
    retry: { attempts: 2, backoffMs: 0, onOutput: Array(20).fill(slow) },
  });
  await events.first((event) => event.type === 'started');
  for (let round = 0; round < 3; round++) {
    const { reason, durationMs } = await other.run({ ...exec('sleep', '300'), timeoutMs: 200 });
    assert.equal(reason, 'timeout');
    assert.ok(durationMs < allowed(2_000), `ended after ${durationMs} ms`);
  }
  assert.equal(engine.getStatus(id), 'running', 'the search continues: else this test shows nothing');
  await engine.cancel(id);
  const { status, attempt } = engine.getResult(id);
  assert.deepEqual([status, attempt], ['cancelled', 1]);
});

test('bad patterns', async (t) => {
  const engine = newEngine(t);
  const refused = async (onOutput, field, says) => {
    const error = await failure(() => engine.run(nothing, { retry: { attempts: 2, onOutput } }), 'INVALID_REQUEST');
    assert.equal(error.field, `options.retry.onOutput${field}`, error.message);
    assert.match(error.message, says);
    assert.doesNotMatch(error.message, /hunter2/);
  };
  const around = /look-around.*leave these out/;
  for (const expression of [/hunter2(?=x)/, /hunter2(?!x)/, /(?<=hunter2)x/, /(?<!hunter2)x/, /(hunter2)\1/, /(?<n>hunter2)\k<n>/])
    await refused(['x', expression], '[1]', around);
  await refused(/hunter2(?=x)/, '', around);
  for (const flags of ['g', 'y', 'd', 'v'])
    await refused([new RegExp('hunter2', flags)], '[0]', /flag other than i, m, s and u: leave it out/);
  for (const expression of [/\p{Lu}hunter2/u, /[\P{L}]hunter2/u])
    await refused([expression], '[0]', /class of Unicode .*: list the characters, such as/);
  await refused([/(?:hunter2{500}){500}/], '[0]', /256 KiB/);
  // The time that its translation takes does not grow with the square of its length.
  for (const unit of ['x{', 'x{1', '[', '(', '\\\\'])
    await refused([new RegExp(`${unit}hunter2`.replaceAll(/[[({]/g, '\\$&').repeat(20_000))], '[0]', /16 KiB/);
  await refused([], '', /give at least one/);
  await refused([''], '[0]', /empty/);
  for (const value of [5, true, [['x']], new Date()]) await refused([value], '[0]', /give/);
  for (const value of [5, true]) await refused(value, '', /give a string or a regular expression/);
  await refused(Array(101).fill('x'), '', /100 at most/);
  assert.equal(engine.getStats().total, 0);
});
