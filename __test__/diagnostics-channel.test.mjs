// Every execution is published on `node:diagnostics_channel`, so that tracers can hook in.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, shell } from './helpers/programs.mjs';

/** Returns the messages of the channels, in order, until the test ends. */
function reported(t, ...names) {
  const messages = [];
  for (const name of names.length > 0 ? names : ['start', 'end', 'error']) {
    const listener = (message) => messages.push({ name, message, status: message.status });
    subscribe(`escher:execution:${name}`, listener);
    t.after(() => unsubscribe(`escher:execution:${name}`, listener));
  }
  return messages;
}

test('start and end carry one object', async (t) => {
  const messages = reported(t);
  const engine = newEngine(t);
  const result = await engine.run({ ...exec('echo', 'hello there'), metadata: { label: 'x', source: 's', deep: [1] } });
  assert.deepEqual(
    messages.map(({ name, status }) => [name, status]),
    [
      ['start', undefined],
      ['end', 'completed'],
    ],
  );
  const [{ message: start }, { message: end }] = messages;
  assert.equal(start, end);
  assert.deepEqual({ executionId: end.executionId, command: end.command }, { executionId: result.id, command: "echo 'hello there'" });
  assert.deepEqual(JSON.parse(JSON.stringify(end.metadata)), { label: 'x', source: 's', deep: [1] });
  assert.equal(end.result, result, 'made once, for every reader');
});

test('a command that fails is no error; one that cannot start is', async (t) => {
  const messages = reported(t);
  const engine = newEngine(t);
  await engine.run(shell('exit 3'));
  await failure(() => engine.run(exec('/no/such/program')), 'SPAWN_FAILED');
  await failure(() => engine.run({ command: {} }), 'INVALID_REQUEST');
  assert.deepEqual(
    messages.map(({ name, status }) => [name, status]),
    [
      ['start', undefined],
      ['end', 'failed'],
      ['start', undefined],
      ['error', 'failed'],
      ['end', 'failed'],
    ],
  );
  assert.equal(messages[3].message.error.code, 'SPAWN_FAILED');
  assert.ok(!('error' in messages[1].message));
});

test('every way to run is published: execute, run, stream, and what is aborted before it starts', async (t) => {
  const messages = reported(t, 'end');
  const engine = newEngine(t);
  await engine.waitForCompletion(await engine.execute(exec('true')));
  for await (const event of engine.stream(exec('true'))) void event;
  await engine.run(exec('true'), { signal: AbortSignal.abort() });
  assert.deepEqual(
    messages.map(({ status }) => status),
    ['completed', 'completed', 'cancelled'],
  );
});

test('the start is in the context of the caller', async (t) => {
  const storage = new AsyncLocalStorage();
  const seen = [];
  const listener = () => seen.push(storage.getStore());
  subscribe('escher:execution:start', listener);
  t.after(() => unsubscribe('escher:execution:start', listener));
  const engine = newEngine(t);
  await Promise.all(['a', 'b'].map((name) => storage.run(name, () => engine.run(exec('true')))));
  assert.deepEqual(seen, ['a', 'b']);
});

test('a late subscriber gets the executions that start after it', async (t) => {
  const engine = newEngine(t);
  const id = await engine.execute(shell('sleep 0.2'));
  const messages = reported(t);
  await engine.waitForCompletion(id);
  await engine.run(exec('true'));
  assert.deepEqual(
    messages.map(({ name }) => name),
    ['start', 'end'],
  );
});
