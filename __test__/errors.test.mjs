// ExecutionError is a class one can rely on.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import util from 'node:util';

import { ExecutionError } from '../index.js';
import { recordedEngine } from './helpers/engine.mjs';
import { failure, failureNow } from './helpers/outcomes.mjs';
import { exec, forever, nothing } from './helpers/programs.mjs';

test('it is an Error with a name, a code and a message', async (t) => {
  const { engine } = recordedEngine(t);
  const error = failureNow(() => engine.getStatus(randomUUID()), 'NOT_FOUND');
  assert.ok(error instanceof Error && error instanceof ExecutionError);
  assert.equal(error.constructor, ExecutionError);
  assert.equal(error.name, 'ExecutionError');
  assert.equal(Object.prototype.toString.call(error), '[object Error]');
  assert.ok(util.types.isNativeError(error));
  assert.equal(String(error), `ExecutionError: ${error.message}`);
  assert.ok(error.stack.startsWith(`ExecutionError: ${error.message}\n`), error.stack);
  assert.match(util.inspect(error), /code: 'NOT_FOUND'/);
});

test('what does not apply is absent', async (t) => {
  const { engine } = recordedEngine(t);
  const invalid = await failure(() => engine.execute({ command: { type: 'exec' } }), 'INVALID_REQUEST');
  assert.equal(invalid.field, 'command.program');
  for (const name of ['executionId', 'errno', 'result']) assert.equal(invalid[name], undefined, name);
  const unknown = failureNow(() => engine.getStatus(randomUUID()), 'NOT_FOUND');
  for (const name of ['field', 'errno', 'result']) assert.equal(unknown[name], undefined, name);
});

test('a failed spawn has all of them: id, errno and result', async (t) => {
  const { engine } = recordedEngine(t);
  const error = await failure(() => engine.run(exec('/no/such/program')), 'SPAWN_FAILED');
  assert.equal(error.errno, 'ENOENT');
  assert.equal(error.result.id, error.executionId);
  assert.equal(error.result.status, 'failed');
  assert.deepEqual(error.result.error, { code: 'SPAWN_FAILED', message: error.message, errno: 'ENOENT' });
  assert.deepEqual(engine.getResult(error.executionId), error.result);
  const again = await failure(() => engine.waitForCompletion(error.executionId), 'SPAWN_FAILED');
  assert.deepEqual(again.result, error.result);
});

test('a duplicate id is known while its execution is', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = randomUUID();
  await engine.execute({ ...forever, id });
  await events.line('ready');
  const error = await failure(() => engine.execute({ ...nothing, id }), 'DUPLICATE_ID');
  assert.equal(error.executionId, id);
  assert.equal(engine.getStatus(id), 'running', 'the first is untouched');
  await engine.cancel(id);
  await failure(() => engine.run({ ...nothing, id: id.toUpperCase() }), 'DUPLICATE_ID');
  assert.equal(engine.getStats().total, 1);
});

test('of two calls at once with one id, one is accepted', async (t) => {
  const { engine } = recordedEngine(t);
  for (let round = 0; round < 20; round += 1) {
    const id = randomUUID();
    const calls = await Promise.allSettled([1, 2, 3].map(() => engine.run({ ...nothing, id })));
    assert.equal(calls.filter((call) => call.status === 'fulfilled').length, 1);
    for (const { reason } of calls.filter((call) => call.status === 'rejected')) assert.equal(reason.code, 'DUPLICATE_ID');
  }
});

test('errors of methods that return promises never throw at once', async (t) => {
  const { engine } = recordedEngine(t);
  for (const name of ['execute', 'run', 'waitForCompletion', 'cancel']) {
    let promise;
    assert.doesNotThrow(() => {
      promise = engine[name]();
    }, name);
    assert.ok(promise instanceof Promise, name);
    await assert.rejects(promise, ExecutionError, name);
  }
});
