// A child's variables are exactly what policy says.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, file, folder, shell, untilFile } from './helpers/programs.mjs';

const ENV = exec('/usr/bin/env');

/** Returns the variables that a child has, without the tag of the engine. */
async function variables(engine, request = {}, options) {
  const { stdout } = await engine.run({ ...ENV, ...request }, options);
  const pairs = stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
  const all = Object.fromEntries(pairs);
  assert.match(all.ESCHER_EXECUTION_ID, /^([^:]+:)*[0-9a-f-]{36}\.[0-9a-f]{16}$/);
  delete all.ESCHER_EXECUTION_ID;
  return all;
}

/** Sets variables of this process for one test. */
function host(t, values) {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name];
    process.env[name] = value;
    t.after(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}

test('all of the host, and what the request sets on top', async (t) => {
  host(t, { ENGINE_TEST_A: 'host', ENGINE_TEST_B: 'host', ENGINE_TEST_EMPTY: '' });
  const { engine } = recordedEngine(t);
  const seen = await variables(engine, { env: { ENGINE_TEST_B: 'request', ENGINE_TEST_C: 'é=\u{1F600} $HOME', ENGINE_TEST_D: '' } });
  const own = {
    ENGINE_TEST_A: 'host',
    ENGINE_TEST_B: 'request',
    ENGINE_TEST_C: 'é=\u{1F600} $HOME',
    ENGINE_TEST_D: '',
    ENGINE_TEST_EMPTY: '',
  };
  const wanted = { ...process.env, ...own };
  for (const name of Object.keys(wanted)) if (wanted[name].includes('\n')) delete wanted[name];
  for (const [name, value] of Object.entries(wanted)) assert.equal(seen[name], value, name);
});

test('core: what a program needs to start', async (t) => {
  host(t, { ENGINE_TEST_A: 'host', LC_TEST: 'c', PATH: process.env.PATH, HOME: '/home/x', TERM: 'dumb' });
  const { engine } = recordedEngine(t, { inheritEnv: 'core' });
  const seen = await variables(engine);
  assert.equal(seen.ENGINE_TEST_A, undefined);
  assert.deepEqual([seen.LC_TEST, seen.HOME, seen.TERM, seen.PATH], ['c', '/home/x', 'dumb', process.env.PATH]);
  const core = /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_.*|TZ|TMPDIR|TERM)$/;
  assert.deepEqual(
    Object.keys(seen).filter((name) => !core.test(name)),
    [],
  );
});

test('none: only what the request sets', async (t) => {
  host(t, { ENGINE_TEST_A: 'host' });
  const { engine } = recordedEngine(t);
  assert.deepEqual(await variables(engine, { env: { ONLY: '1' } }, { inheritEnv: 'none' }), { ONLY: '1' });
  assert.deepEqual(await variables(engine, {}, { inheritEnv: 'none' }), {});
});

test('envAllow adds, envDeny removes last; engine and options add up', async (t) => {
  host(t, { ENGINE_TEST_A: 'a', ENGINE_TEST_B: 'b', ENGINE_TEST_C: 'c', OTHER_TEST: 'o' });
  const { engine } = recordedEngine(t, { inheritEnv: 'none', envAllow: ['ENGINE_TEST_*'], envDeny: ['*_B'] });
  assert.deepEqual(await variables(engine), { ENGINE_TEST_A: 'a', ENGINE_TEST_C: 'c' });
  assert.deepEqual(await variables(engine, {}, { envAllow: ['OTHER_*'], envDeny: ['*_C'] }), { ENGINE_TEST_A: 'a', OTHER_TEST: 'o' });
  assert.equal((await variables(engine, {}, { inheritEnv: 'all' })).ENGINE_TEST_B, undefined);
});

test('a request may not set what the host denies', async (t) => {
  const { engine } = recordedEngine(t, { envDeny: ['LD_*'] });
  const error = await failure(() => engine.run({ ...ENV, env: { LD_PRELOAD: 'x' } }), 'INVALID_REQUEST');
  assert.equal(error.field, 'env.LD_PRELOAD');
  await failure(() => engine.run({ ...ENV, env: { SECRET: 'x' } }, { envDeny: ['SECRET'] }), 'INVALID_REQUEST');
});

test('the variables are those of the moment of execute, however long it waits', async (t) => {
  host(t, { ENGINE_TEST_A: 'before' });
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const dir = folder(t);
  const first = await engine.execute(untilFile(path.join(dir, 'go')));
  await events.line('ready', first);
  const run = engine.run(shell('echo "$ENGINE_TEST_A,$ENGINE_TEST_NEW"'));
  process.env.ENGINE_TEST_A = 'after';
  process.env.ENGINE_TEST_NEW = 'new';
  t.after(() => delete process.env.ENGINE_TEST_NEW);
  file(dir, 'go');
  assert.equal((await run).stdout, 'before,\n');
  assert.equal((await engine.run(shell('echo "$ENGINE_TEST_A,$ENGINE_TEST_NEW"'))).stdout, 'after,new\n');
});

test('a variable that was deleted is not there', async (t) => {
  host(t, { ENGINE_TEST_A: 'x' });
  const { engine } = recordedEngine(t);
  assert.equal((await variables(engine)).ENGINE_TEST_A, 'x');
  delete process.env.ENGINE_TEST_A;
  assert.equal((await variables(engine)).ENGINE_TEST_A, undefined);
});

test('programs are found on the PATH of the child', async (t) => {
  const dir = folder(t);
  file(dir, 'only-here', '#!/bin/sh\necho found\n', 0o755);
  const { engine } = recordedEngine(t);
  await failure(() => engine.run(exec('only-here')), 'SPAWN_FAILED');
  assert.equal((await engine.run({ ...exec('only-here'), env: { PATH: dir } })).stdout, 'found\n');
});
