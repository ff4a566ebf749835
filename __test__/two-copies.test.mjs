// Two copies of the package in one process: each knows the errors of the other, and both run commands.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import * as own from '../index.js';
import { install } from './helpers/installations.mjs';
import { exec } from './helpers/programs.mjs';

/** Makes the package as another installation has it. */
function anotherCopy(t) {
  return createRequire(path.join(install(t).app, 'main.cjs'))('@escher/execution-engine');
}

test('instanceof ExecutionError holds for the errors of each copy in each copy', async (t) => {
  const other = anotherCopy(t);
  assert.notEqual(other.ExecutionError, own.ExecutionError);
  for (const [thrower, tester] of [
    [own, other],
    [other, own],
    [own, own],
  ]) {
    const engine = new thrower.ExecutionEngine();
    t.after(() => engine.shutdown());
    const rejected = await engine.run({ command: { type: 'exec', program: '/no/such' } }).catch((error) => error);
    assert.equal(rejected.code, 'SPAWN_FAILED');
    assert.throws(() => engine.getStatus('none'), tester.ExecutionError);
    for (const error of [rejected, new thrower.ExecutionError('INTERNAL', 'text')]) assert.ok(error instanceof tester.ExecutionError);
  }
});

test('both copies run commands at once', async (t) => {
  const engines = [own, anotherCopy(t)].map(({ ExecutionEngine }) => new ExecutionEngine());
  t.after(() => Promise.all(engines.map((engine) => engine.shutdown())));
  const results = await Promise.all(engines.map((engine, index) => engine.run(exec('echo', String(index)))));
  assert.deepEqual(
    results.map(({ stdout }) => stdout),
    ['0\n', '1\n'],
  );
});

test('what is no error of the package is none, whatever it looks like', (t) => {
  const { ExecutionError } = own;
  const values = [
    undefined,
    null,
    1,
    'ExecutionError',
    {},
    Object.create(null),
    () => {},
    new Error('text'),
    { name: 'ExecutionError', code: 'INTERNAL' },
  ];
  for (const value of values) assert.equal(value instanceof ExecutionError, false, String(typeof value));
  class Special extends ExecutionError {}
  const plain = new ExecutionError('INTERNAL', 'text');
  assert.ok(new Special('INTERNAL', 'text') instanceof ExecutionError && new Special('INTERNAL', 'text') instanceof Special);
  assert.equal(plain instanceof Special, false);
  assert.deepEqual(Object.keys(plain), ['code']);
  const { ExecutionError: Other } = anotherCopy(t);
  assert.equal(new Other('INTERNAL', 'text') instanceof Special, false);
});
