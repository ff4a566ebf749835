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
