// A secret that becomes known while commands run is masked from then on.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { inspect } from 'node:util';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, folder, nothing, shell } from './helpers/programs.mjs';

const TOKEN = 'ghs_3x4mple-t0ken';
/** Prints the token, and once more when it reads a line. */
const prints = (token = TOKEN) => shell('echo "token $T"; read -r x; echo "again $T"; echo "$T" >&2', { env: { T: token } });
/** The order of the two streams varies. */
const sorted = (log) => log.trim().split('\n').sort();

async function printed(engine, request, options) {
  let go;
  const gate = new Promise((resolve) => (go = resolve));
  const stdin = (async function* () {
    await gate;
    yield 'go\n';
  })();
  const seen = new Promise((resolve) => engine.once('stdout', resolve));
  const id = await engine.execute(request, { ...options, stdin });
  await seen;
  return { id, go };
}

test('masked in what a running execution prints after it, and in its whole result', async (t) => {
  const config = { logDir: folder(t) };
  const { engine, events } = recordedEngine(t, config);
  const { id, go } = await printed(engine, prints());
  engine.addSecret(TOKEN);
  go();
  const result = await engine.waitForCompletion(id);
  assert.equal(result.stdout, 'token ***\nagain ***\n');
  assert.equal(result.stderr, '***\n');
  assert.deepEqual(events.lines(id), [`token ${TOKEN}`, 'again ***']);
  assert.deepEqual(sorted(readFileSync(result.logPath, 'utf8')), ['***', 'again ***', `token ${TOKEN}`]);
  assert.deepEqual(sorted(await engine.readLogs(id)), ['***', 'again ***', 'token ***']);
});

test('masked in what is returned later of an execution that has ended', async (t) => {
  const engine = newEngine(t, { logDir: folder(t) });
  const { id, stdout } = await engine.run(exec('echo', TOKEN));
  engine.addSecret(stdout.trim());
  const seen = [engine.getResult(id), engine.listExecutions(), await engine.readLogs(id)];
  assert.ok(!inspect(seen, { depth: 9 }).includes(TOKEN), inspect(seen, { depth: 9 }));
  assert.equal(engine.getResult(id).stdout, '***\n');
  assert.equal((await engine.run(exec('echo', TOKEN))).stdout, '***\n');
  const error = await failure(() => engine.run(exec(`/nowhere/${TOKEN}`)), 'SPAWN_FAILED');
  assert.ok(!inspect([error, error.result], { showHidden: true, depth: 9 }).includes(TOKEN));
});

test('commands of many executions are in the first listing after it, and in that of a configured secret', async (t) => {
  const count = 1_500;
  const engine = newEngine(t, { secrets: [TOKEN], maxInMemoryExecutions: 2 * count });
  const plain = 'x'.repeat(80);
  await Promise.all(Array.from({ length: count }, (_, index) => engine.run(exec('true', plain, index % 2 ? TOKEN : 'later-secret'))));
  const commands = (text) => engine.listExecutions().filter(({ command }) => command === `true ${plain} ${text}`).length;
  assert.equal(commands('***'), count / 2);
  engine.addSecret('later-secret');
  assert.equal(commands('***'), count);
});

test('with an execution, masked there alone', async (t) => {
  const { engine } = recordedEngine(t);
  const [one, other] = [await printed(engine, prints()), await printed(engine, prints())];
  engine.addSecret(TOKEN, { executionId: one.id });
  one.go();
  other.go();
  assert.equal((await engine.waitForCompletion(one.id)).stdout, 'token ***\nagain ***\n');
  assert.equal((await engine.waitForCompletion(other.id)).stdout, `token ${TOKEN}\nagain ${TOKEN}\n`);
});

test('added to the secrets that an execution has', async (t) => {
  const engine = newEngine(t, { secrets: ['engine-s3cret'] });
  const { id, go } = await printed(engine, prints(`${TOKEN} engine-s3cret option-s3cret`), { secrets: ['option-s3cret'] });
  engine.addSecret(TOKEN);
  engine.addSecret(TOKEN);
  go();
  assert.equal((await engine.waitForCompletion(id)).stdout, 'token *** *** ***\nagain *** *** ***\n');
});

test('what is no secret is refused, and not shown', async (t) => {
  const engine = newEngine(t);
  for (const value of ['12345', '', 1234567, null, undefined, { toString: () => TOKEN }]) {
    const error = await failure(async () => engine.addSecret(value), 'INVALID_REQUEST');
    assert.equal(error.field, 'value');
    assert.ok(!error.message.includes('12345'), error.message);
  }
  await failure(async () => engine.addSecret(TOKEN, { executionId: '7b0e0a3c-9f6e-4b0e-8a55-0f9b8f1d2c3e' }), 'NOT_FOUND');
  const error = await failure(async () => engine.addSecret(TOKEN, { id: TOKEN }), 'INVALID_REQUEST');
  assert.equal(error.field, 'id');
  assert.ok(!error.message.includes(TOKEN), error.message);
  await failure(async () => engine.addSecret('x'.repeat(17 * 1024 * 1024)), 'INVALID_REQUEST');
  await engine.run(nothing);
});

const MUCH = 10 * 1024 * 1024;
/** Prints 10 MiB with the token at both ends; the shell does not have it in its command. */
const much = (token = TOKEN) =>
  exec(process.execPath, '-e', `process.stdout.write(process.argv[1] + 'x'.repeat(${MUCH - 100}) + process.argv[1])`, token);

/** Returns what `getResult` gives, or nothing while the result is being masked. */
function resultNow(engine, id) {
  try {
    return engine.getResult(id);
  } catch (error) {
    assert.equal(error.code, 'NOT_COMPLETED');
    assert.match(error.message, /is being masked.*wait for its completion/);
    assert.equal(error.executionId, id);
  }
}

/** Returns what `getResult` gives once it gives something. */
async function resultOf(engine, id) {
  for (;;) {
    const found = resultNow(engine, id);
    if (found) return found;
    await new Promise(setImmediate);
  }
}

test('masked in much output that was kept, by a thread of the engine', async (t) => {
  const engine = newEngine(t, { maxOutputSizeBytes: 2 * MUCH });
  // The result is not masked on this thread: it is there later, and nothing shows the secret meanwhile. When this thread does not run for a
  // while after the call, the result is there already; then another secret shows it.
  let wasBeingMasked = false;
  for (let tries = 1; !wasBeingMasked && tries < 10; tries++) {
    const secret = `${TOKEN}-${tries}`;
    const { id } = await engine.run(much(secret));
    engine.addSecret(secret);
    const found = resultNow(engine, id);
    wasBeingMasked = found === undefined;
    const results = [found ?? (await engine.waitForCompletion(id)), await resultOf(engine, id), engine.getResult(id)];
    for (const { stdout } of results) {
      assert.equal(stdout.length, MUCH - 100 + 6);
      assert.ok(stdout.startsWith('***x') && stdout.endsWith('x***'));
    }
    assert.match(engine.listExecutions()[0].command, /\*\*\*$/);
  }
  assert.ok(wasBeingMasked, 'it is masked while this thread continues');
});

test('much output becomes readable by itself, without a secret in it too', async (t) => {
  const engine = newEngine(t, { maxOutputSizeBytes: 2 * MUCH });
  const { id } = await engine.run(much('public'));
  for (let index = 0; index < 20; index++) engine.addSecret(`${TOKEN}-${index}`);
  const { stdout } = await resultOf(engine, id);
  assert.ok(stdout.endsWith('xpublic'));
});

test('masked in the results of plans that are over', async (t) => {
  const engine = newEngine(t, { maxOutputSizeBytes: 2 * MUCH });
  for (const request of [exec('echo', TOKEN), much()]) {
    const { planId } = await engine.runPlan({ description: 'one', strategy: { type: 'serial' }, commands: [request] });
    engine.addSecret(TOKEN);
    const plan = await engine.waitForPlan(planId);
    assert.ok(!inspect(plan, { depth: 9, maxStringLength: 3 * MUCH }).includes(TOKEN));
    assert.match(plan.results[0].stdout, /^\*\*\*/);
    assert.ok((await engine.waitForPlan(planId)).results[0].stdout.startsWith('***'));
  }
});

test('masked in an end that comes to this thread after the call', async (t) => {
  for (const size of [0, 4_096, 2 * 65_536]) {
    const engine = newEngine(t);
    const script = `process.stdout.write(process.argv[1] + 'x'.repeat(${size})); process.stderr.write(process.argv[1])`;
    const done = once();
    const plan = engine.runPlan({
      description: 'one',
      strategy: { type: 'serial' },
      commands: [exec(process.execPath, '-e', script, TOKEN)],
    });
    const running = engine.run(exec(process.execPath, '-e', script, TOKEN));
    engine.on('completed', (event) => done.give(event));
    // Both have ended when this thread continues.
    while (engine.getStats().total < 2 || engine.getStats().completed < 2);
    engine.addSecret(TOKEN);
    for (const result of [await running, (await plan).results[0], (await done.given).result]) {
      assert.equal(result.stdout, `***${'x'.repeat(size)}`);
      assert.equal(result.stderr, '***');
    }
  }
});

function once() {
  let give;
  return { given: new Promise((resolve) => (give = resolve)), give };
}

test('masked in the error of an attempt before the last', async (t) => {
  const engine = newEngine(t);
  const options = { retry: { attempts: 2, backoffMs: 1, on: ['spawn'] } };
  const { result } = await failure(() => engine.run(exec(`/nowhere/${TOKEN}`), options), 'SPAWN_FAILED');
  assert.ok(inspect(result, { depth: 9 }).includes(TOKEN));
  engine.addSecret(TOKEN);
  assert.ok(!inspect(engine.getResult(result.id), { depth: 9 }).includes(TOKEN));
});

test('a listed command does not end in a part of a secret', async (t) => {
  const engine = newEngine(t);
  // Cut in the middle of the token.
  await engine.run(exec('true', 'x'.repeat(185), TOKEN.repeat(20)));
  engine.listExecutions();
  engine.addSecret(TOKEN);
  assert.ok(!engine.listExecutions()[0].command.includes(TOKEN.slice(0, 3)), engine.listExecutions()[0].command);
});

test('masked in what is read of the output, while it runs and afterwards', async (t) => {
  const engine = newEngine(t);
  const { id, go } = await printed(engine, prints());
  engine.addSecret(TOKEN);
  assert.equal(String(await engine.readOutput(id)), 'token ***\n');
  go();
  await engine.waitForCompletion(id);
  assert.equal(String(await engine.readOutput(id)), 'token ***\nagain ***\n');
  engine.addSecret('again ***');
  assert.equal(String(await engine.readOutput(id)), 'token ***\n***\n');
});
