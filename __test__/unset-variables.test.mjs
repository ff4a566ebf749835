// A variable may be removed, and variables may be inherited by the object that holds them, as for child_process.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import vm from 'node:vm';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, shell } from './helpers/programs.mjs';

const NAME = 'ENGINE_TEST_INHERITED';

/** Prints the variable, with success if there is one. Not every system has `printenv`. */
const print = `test -n "\${${NAME}+x}" && echo "$${NAME}"`;

/** Returns the variable as a child has it: its value, or `unset`. */
async function seen(engine, env, options) {
  const { stdout } = await engine.run({ ...exec('env'), env }, options);
  return new RegExp(`^${NAME}=(.*)$`, 'm').exec(stdout)?.[1] ?? 'unset';
}

test('undefined and null remove what would be inherited', async (t) => {
  process.env[NAME] = 'host';
  t.after(() => delete process.env[NAME]);
  const engine = newEngine(t);
  assert.equal(await seen(engine, {}), 'host');
  for (const nothing of [undefined, null]) {
    assert.equal(await seen(engine, { [NAME]: nothing }), 'unset');
    assert.equal(await seen(engine, { [NAME]: nothing, OTHER: 'x'.repeat(100_000) }), 'unset', 'also when it does not cross as JSON');
    assert.equal(await seen(engine, { [NAME]: nothing }, { envAllow: [NAME] }), 'unset');
    assert.equal(await seen(engine, { [NAME]: nothing }, { inheritEnv: 'none' }), 'unset');
    assert.equal(await seen(engine, { [NAME]: nothing }, { envDeny: [NAME] }), 'unset');
    const commands = [shell(print, { env: { [NAME]: nothing } }), shell(print)];
    const { results } = await engine.runPlan({ description: 'two', strategy: { type: 'parallel' }, commands });
    assert.deepEqual(
      results.map((result) => result.stdout),
      ['', 'host\n'],
    );
  }
  const pager = { command: { type: 'exec', program: 'env' }, env: { PATH: null, HOME: null } };
  assert.doesNotMatch((await engine.run({ ...pager, command: { ...pager.command, program: '/usr/bin/env' } })).stdout, /^(PATH|HOME)=/m);
  const wire = ExecutionEngine.parseRequest({
    command: { type: 'shell', command: print },
    env: { [NAME]: null, A: 'b' },
  });
  assert.deepEqual(wire.env, { [NAME]: null, A: 'b' });
  assert.equal((await engine.run(wire)).exitCode, 1, 'it comes back from the wire form');
});

test('names are checked also when they are removed', async (t) => {
  const engine = newEngine(t);
  for (const [name, field] of [
    ['', 'env[""]'],
    ['A=B', 'env["A"]'],
    ['ESCHER_EXECUTION_ID', 'env.ESCHER_EXECUTION_ID'],
  ]) {
    assert.equal((await failure(() => engine.run({ ...exec('true'), env: { [name]: null } }), 'INVALID_REQUEST')).field, field);
  }
});

test('inherited properties count, and those of Object.prototype do not', async (t) => {
  const engine = newEngine(t);
  const base = { [NAME]: 'base', ENGINE_TEST_OTHER: 'other' };
  assert.equal(await seen(engine, Object.create(base)), 'base');
  assert.equal(await seen(engine, Object.create(base, { [NAME]: { value: 'own', enumerable: true } })), 'own');
  assert.equal(await seen(engine, Object.create(base, { [NAME]: { value: undefined, enumerable: true } })), 'unset');
  class Variables {
    constructor() {
      this[NAME] = 'instance';
    }

    method() {}
  }
  assert.equal(await seen(engine, new Variables()), 'instance');
  assert.equal(await seen(engine, vm.runInNewContext(`Object.create({ ${NAME}: 'realm' })`)), 'realm');
  const { results } = await engine.runPlan({
    description: 'one',
    strategy: { type: 'serial' },
    commands: [shell(print, { env: Object.create(base) })],
  });
  assert.equal(results[0].stdout, 'base\n');
  Object.prototype[NAME] = 'polluted';
  t.after(() => delete Object.prototype[NAME]);
  assert.equal(await seen(engine, {}), 'unset');
});
