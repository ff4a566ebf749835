// `hostEnv` is what a child inherits from, in the place of `process.env`.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, shell } from './helpers/programs.mjs';

const PATH = process.env.PATH;
const variables = async (engine, options, more) => {
  const { stdout } = await engine.run({ ...exec('/usr/bin/env'), ...more }, options);
  const lines = stdout.split('\n').filter((line) => line && !/^(ESCHER_EXECUTION_ID|PWD|SHLVL|_)=/.test(line));
  return lines.sort();
};

test('only its variables are inherited, and the request adds to them', async (t) => {
  const engine = newEngine(t);
  process.env.ONLY_OF_THE_PROCESS = 'x';
  t.after(() => delete process.env.ONLY_OF_THE_PROCESS);
  const hostEnv = { PATH, A: '1', EMPTY: '', GONE: undefined, NULL: null, 'odd name.': 'a=b' };
  assert.deepEqual(await variables(engine, { hostEnv }), ['A=1', 'EMPTY=', `PATH=${PATH}`, 'odd name.=a=b'].sort());
  assert.deepEqual(
    await variables(engine, { hostEnv }, { env: { A: '2', B: '3' } }),
    ['A=2', 'B=3', 'EMPTY=', `PATH=${PATH}`, 'odd name.=a=b'].sort(),
  );
  assert.deepEqual(await variables(engine, { hostEnv: {} }), []);
});

test('the policy filters it as it does process.env', async (t) => {
  const engine = newEngine(t, { inheritEnv: 'core', envAllow: ['MY_*'], envDeny: ['*_TOKEN'] });
  const hostEnv = { PATH, HOME: '/h', MY_A: '1', MY_TOKEN: '2', OTHER: '3' };
  assert.deepEqual(await variables(engine, { hostEnv }), ['HOME=/h', 'MY_A=1', `PATH=${PATH}`].sort());
});

test('programs are looked up on its PATH, and its secrets are masked', async (t) => {
  const engine = newEngine(t);
  const error = await failure(() => engine.run(exec('env'), { hostEnv: { PATH: '/nowhere' } }), 'SPAWN_FAILED');
  assert.equal(error.errno, 'ENOENT');
  const { stdout } = await engine.run(shell('echo $API_TOKEN'), { hostEnv: { PATH, API_TOKEN: 'very-secret' }, maskEnvSecrets: true });
  assert.equal(stdout, '***\n');
});

test('it is taken at the call, and a plan and its steps have one', async (t) => {
  const engine = newEngine(t);
  const hostEnv = { PATH, A: 'before' };
  const running = engine.run(shell('echo $A'), { hostEnv });
  hostEnv.A = 'after';
  assert.equal((await running).stdout, 'before\n');
  const { results } = await engine.runPlan(
    { description: 'two', strategy: { type: 'serial' }, commands: [shell('echo $A'), shell('echo $A')] },
    { hostEnv, steps: { 1: { hostEnv: { PATH, A: 'of the step' } } } },
  );
  assert.deepEqual(
    results.map(({ stdout }) => stdout),
    ['after\n', 'of the step\n'],
  );
});

test('bad variables', async (t) => {
  const engine = newEngine(t);
  for (const [hostEnv, field] of [
    ['PATH=/bin', 'options.hostEnv'],
    [['PATH=/bin'], 'options.hostEnv'],
    [5, 'options.hostEnv'],
    [{ A: 5 }, 'options.hostEnv.A'],
    [{ A: ['x'] }, 'options.hostEnv.A'],
    [{ A: 'with\0NUL' }, 'options.hostEnv.A'],
    [{ '': 'x' }, 'options.hostEnv[""]'],
    [{ 'A=secret-value': 'x' }, 'options.hostEnv.A'],
  ]) {
    const error = await failure(() => engine.run(exec('true'), { hostEnv }), 'INVALID_REQUEST');
    assert.equal(error.field, field, error.message);
    assert.doesNotMatch(error.message, /secret-value/);
  }
  const half = await failure(() => engine.run(exec('true'), { hostEnv: { A: '\ud800' } }), 'INVALID_REQUEST');
  assert.equal(half.field, 'options.hostEnv.A');
});
