// Every input has a budget: what is too large, or too large when it is copied, is refused with a typed error.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine, timeOut } from './helpers/engine.mjs';
import { host } from './helpers/hosts.mjs';
import { failure, failureNow } from './helpers/outcomes.mjs';
import { exec, file, folder, nothing, until } from './helpers/programs.mjs';

const serial = (...commands) => ({ description: 'd', strategy: { type: 'serial' }, commands });
/** Metadata of so many bytes as JSON. */
const bytes = (count) => ({ a: 'x'.repeat(count - '{"a":""}'.length) });

test('objects that are in many places, in a host with little memory', async () => {
  const { code, stdout, stderr } = await host(
    `
    const engine = new ExecutionEngine();
    const doubled = (wrap) => { let value = 'x'; for (let level = 0; level < 60; level++) value = wrap(value); return value; };
    const objects = doubled((value) => ({ a: value, b: value }));
    const lists = doubled((value) => [value, value]);
    const wide = Array(90_000).fill('x'.repeat(2 ** 20));
    const cycle = {}; cycle.a = cycle.b = cycle;
    const command = { type: 'exec', program: 'true' };
    const plan = (more) => ({ description: 'd', strategy: { type: 'serial' }, commands: [{ command }], ...more });
    const calls = {
      metadata: (value) => engine.run({ command, metadata: { value } }),
      args: (value) => engine.run({ command: { ...command, args: value } }),
      env: (value) => engine.run({ command, env: { value } }),
      options: (value) => engine.run({ command }, { secrets: value }),
      plan: (value) => engine.runPlan(plan({ metadata: { value } })),
      step: (value) => engine.runPlan(plan({ commands: [{ command }, { command, metadata: { value } }] })),
      filter: async (value) => engine.listExecutions({ label: value }),
      config: async (value) => new ExecutionEngine({ envAllow: value }),
      wire: async (value) => ExecutionEngine.parseRequest({ command, metadata: { value } }),
    };
    for (const [what, call] of Object.entries(calls)) {
      for (const value of [objects, lists, wide, cycle]) {
        const before = performance.now();
        const error = await call(value).catch((error) => error);
        const isInTime = performance.now() - before < 5_000;
        if (!['INVALID_REQUEST', 'INVALID_PLAN', 'INVALID_CONFIG'].includes(error.code) || !error.field || !isInTime) console.log(what, error, isInTime);
      }
    }
    console.log((await engine.run({ command })).status);
    const step = await calls.step(objects).catch((error) => error);
    console.log(step.code, step.field);
  `,
    { flags: ['--max-old-space-size=400'], limitMs: 120_000 },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'completed\nINVALID_PLAN commands[1].metadata\n', stderr: '' });
});

test('metadata up to the bound, and a byte more', async (t) => {
  const engine = newEngine(t);
  assert.equal(engine.config.maxMetadataBytes, 65_536);
  assert.deepEqual((await engine.run({ ...nothing, metadata: bytes(65_536) })).metadata, bytes(65_536));
  const refused = async (call, code, field) => {
    const error = await failure(call, code);
    assert.equal(error.field, field);
    assert.match(error.message, /`maxMetadataBytes` \(65536\).*raise/);
    assert.ok(error.message.length < 500, 'the message does not have the metadata');
  };
  await refused(() => engine.run({ ...nothing, metadata: bytes(65_537) }), 'INVALID_REQUEST', 'metadata');
  await refused(() => engine.run({ ...nothing, metadata: { tags: Array(10_000).fill('tag-tag') } }), 'INVALID_REQUEST', 'metadata');
  await refused(() => engine.run({ ...nothing, metadata: { label: 'é'.repeat(33_000) } }), 'INVALID_REQUEST', 'metadata');
  await refused(() => engine.runPlan({ ...serial(nothing), metadata: bytes(65_537) }), 'INVALID_PLAN', 'metadata');
  await refused(() => engine.runPlan(serial(nothing, { ...nothing, metadata: bytes(65_537) })), 'INVALID_PLAN', 'commands[1].metadata');

  const generous = newEngine(t, { maxMetadataBytes: 2 ** 20 });
  assert.equal((await generous.run({ ...nothing, metadata: bytes(2 ** 20) })).metadata.a.length, 2 ** 20 - 8);
  const strict = newEngine(t, { maxMetadataBytes: 0 });
  assert.deepEqual((await strict.run(nothing)).metadata, {});
  await failure(() => strict.run({ ...nothing, metadata: { a: 1 } }), 'INVALID_REQUEST');
});

test('metadata counts for what records keep', async (t) => {
  const engine = newEngine(t, { maxMetadataBytes: 2 ** 20, maxRetainedOutputBytes: 10 * 2 ** 20 });
  for (let round = 0; round < 40; round++) await engine.run({ ...nothing, metadata: bytes(2 ** 20) });
  const kept = engine.listExecutions().length;
  assert.ok(kept >= 8 && kept <= 10, `${kept} records of 1 MiB in 10 MiB`);
  for (let round = 0; round < 12; round++) await engine.run({ ...nothing, metadata: { label: 'x'.repeat(2 ** 20 - 100) } });
  assert.ok(engine.listExecutions().length <= 5, 'a label is kept for listings too');
});

test('errors count for what records keep, and are cut', async (t) => {
  const engine = newEngine(t, { maxRetainedOutputBytes: 50_000 });
  const error = await failure(() => engine.run(exec(`/no/${'such/'.repeat(20_000)}program`)), 'SPAWN_FAILED');
  assert.ok(error.message.length < 5_000, `${error.message.length}`);
  for (let round = 0; round < 40; round++) await engine.run(exec(`/no/${'such/'.repeat(600)}program`)).catch(() => {});
  assert.ok(engine.listExecutions().length < 20, `${engine.listExecutions().length}`);
});

test('a plan counts with its metadata and its description', async (t) => {
  const engine = newEngine(t, { maxMetadataBytes: 2 ** 20, maxRetainedOutputBytes: 4 * 2 ** 20 });
  const ids = [];
  for (let round = 0; round < 8; round++) ids.push((await engine.runPlan({ ...serial(nothing), metadata: bytes(2 ** 20) })).planId);
  await failure(() => engine.waitForPlan(ids[0]), 'NOT_FOUND');
  await engine.waitForPlan(ids[7]);
});

test('a diagnosis is bounded: long command lines', async (t) => {
  const engine = newEngine(t, { killGraceMs: 200 });
  const long = 'x'.repeat(100_000);
  const line = 'for i in 1 2 3 4 5; do sh -c "echo up; sleep 60; :" sh "$LONG" & done; wait';
  const id = await engine.execute({ command: { type: 'shell', command: line }, env: { LONG: long } });
  await until(async () => (await engine.readOutput(id)) === 'up\n'.repeat(5), 'all of them run');
  const { diagnosis } = await timeOut(engine, id);
  assert.ok(diagnosis.processes.length > 5);
  for (const { command } of diagnosis.processes) assert.ok(command.length <= 1_024, `${command.length}`);
  assert.ok(
    diagnosis.processes.some(({ command }) => /^sh -c .*xxx/.test(command)),
    'the beginning is there',
  );
});

test('a diagnosis is bounded: many processes', async (t) => {
  const engine = newEngine(t, { killGraceMs: 200 });
  const line = 'for i in $(seq 300); do sleep 60 & done; echo ready; wait';
  // The command has been silent since it had them all.
  const { diagnosis, stdout, reason } = await engine.run({ command: { type: 'shell', command: line } }, { idleTimeoutMs: 5_000 });
  assert.deepEqual([stdout, reason], ['ready\n', 'idle_timeout']);
  assert.deepEqual([diagnosis.processes.length, diagnosis.moreProcesses], [256, 301 - 256]);
});

test('a secret at the cut of a command line is masked', async (t) => {
  const secret = 'S3cr3t-'.repeat(40);
  const engine = newEngine(t, { killGraceMs: 200, secrets: [secret] });
  for (const before of [500, 650, 700, 760]) {
    const { diagnosis } = await engine.run({
      ...exec('sh', '-c', 'sleep 60; :', 'sh', 'x'.repeat(before) + secret + 'y'.repeat(2_000)),
      timeoutMs: 500,
    });
    assert.ok(!JSON.stringify(diagnosis).includes('S3cr3t-S3cr'), JSON.stringify(diagnosis));
  }
});

test('a request as text: deep, wide and long', () => {
  const request = (metadata) => `{"command":{"type":"exec","program":"true"},"metadata":${metadata}}`;
  const cases = {
    deep: request(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`),
    'deep objects': request('{"a":'.repeat(200_000) + '1' + '}'.repeat(200_000)),
    'not closed': request('['.repeat(500_000)),
    wide: request(`{"a":[${'1,'.repeat(2_000_000)}1]}`),
    keys: `{${Array.from({ length: 1_100_000 }, (_, index) => `"k${index}":1`).join()}}`,
    long: request(`{"a":"${'x'.repeat(65 * 2 ** 20)}"}`),
    empty: '',
    half: '{"command":',
  };
  for (const [what, text] of Object.entries(cases)) {
    const error = failureNow(() => ExecutionEngine.parseRequest(text), 'INVALID_REQUEST');
    assert.ok(error.field && error.message.length < 500, what);
  }
  assert.equal(ExecutionEngine.parseRequest(request(`{"a":"${'x'.repeat(100_000)}"}`)).metadata.a.length, 100_000);
});

test('a configuration in a file: deep, wide and long', (t) => {
  const dir = folder(t);
  const cases = {
    'deep.toml': `a = ${'['.repeat(200_000)}${']'.repeat(200_000)}`,
    'tables.toml': `a = ${'{a='.repeat(100_000)}1${'}'.repeat(100_000)}`,
    'dotted.toml': `${'a.'.repeat(300_000)}a = 1`,
    'headers.toml': `[${'a.'.repeat(300_000)}a]\nb = 1`,
    'arrays.toml': `[[${'a.'.repeat(300_000)}a]]\nb = 1`,
    'execution.toml': `execution.${'a.'.repeat(300_000)}a = 1`,
    'open.toml': '['.repeat(500_000),
    'deep.json': '{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000),
    'open.json': '['.repeat(500_000),
    'execution.json': `{"execution":{"env_deny":${'['.repeat(200_000)}${']'.repeat(200_000)}}}`,
    'long.json': `{"log_dir":"${'x'.repeat(2 ** 20)}"}`,
  };
  for (const [name, text] of Object.entries(cases)) {
    const error = failureNow(() => ExecutionEngine.configFromFile(file(dir, name, text)), 'INVALID_CONFIG');
    assert.ok(error.field, name);
  }
});

test('arguments and variables that no command can have', async (t) => {
  const engine = newEngine(t);
  const env = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`NAME_${index}`, 'x'.repeat(100)]));
  for (const request of [
    { ...nothing, env },
    { ...nothing, env: { LONG: 'x'.repeat(20 * 2 ** 20) } },
    exec('true', ...Array.from({ length: 100_000 }, () => 'x'.repeat(100))),
    exec('true', 'x'.repeat(20 * 2 ** 20)),
  ]) {
    const error = await failure(() => engine.run(request), 'SPAWN_FAILED');
    assert.equal(error.errno, 'E2BIG', error.message);
    assert.ok(error.message.length < 5_000);
  }
  const error = await failure(() => engine.run(exec('true', ...Array(100).fill('x'.repeat(2 ** 20)))), 'INVALID_REQUEST');
  assert.equal(error.field, 'command');
});

test('half of a surrogate pair is refused with its path', async (t) => {
  const engine = newEngine(t);
  const half = 'a\ud800b';
  for (const [request, field] of [
    [exec('echo', 'x', half), 'command.args[1]'],
    [{ ...nothing, env: { A: half } }, 'env.A'],
    [{ ...nothing, env: { [half]: 'a' } }, 'env["a\\ud800b"]'],
    [{ ...nothing, metadata: { deep: [half] } }, 'metadata.deep[0]'],
    [{ ...nothing, workingDir: half }, 'workingDir'],
  ])
    assert.equal((await failure(() => engine.run(request), 'INVALID_REQUEST')).field, field);
  assert.equal((await failure(() => engine.run(exec('cat'), { stdin: half }), 'INVALID_REQUEST')).field, 'options.stdin');
  for (const onOutput of [half, new RegExp(half), [/a/, new RegExp(half)]]) {
    const retry = { attempts: 2, onOutput };
    const field = Array.isArray(onOutput) ? 'retry.onOutput[1]' : 'retry.onOutput';
    assert.equal((await failure(() => engine.run(nothing, { retry }), 'INVALID_REQUEST')).field, `options.${field}`);
    assert.equal(failureNow(() => new ExecutionEngine({ retry }), 'INVALID_CONFIG').field, field);
  }
  assert.equal(failureNow(() => engine.listExecutions({ label: half }), 'INVALID_REQUEST').field, 'filter.label');
  assert.equal((await engine.run(exec('echo', '-n', '\u{1f600}'))).stdout, '\u{1f600}');
});

test('long names, many names and long texts in every call', async (t) => {
  const secrets = Array.from({ length: 20_000 }, (_, index) => `s3cret-number-${index}`);
  const engine = newEngine(t, { secrets });
  const name = 'n'.repeat(10_000_000);
  const many = Object.fromEntries(Array.from({ length: 100_001 }, (_, index) => [`f${index}`, '1']));
  const text = 'x'.repeat(70 * 1024 * 1024);
  const calls = {
    request: (what) => engine.run({ ...nothing, ...what }),
    command: (what) => engine.run({ command: { ...nothing.command, ...what } }),
    options: (what) => engine.run(nothing, what),
    variables: (what) => engine.run({ ...nothing, env: { ...what, '': '1' } }),
    plan: (what) => engine.runPlan({ ...serial(nothing), ...what }),
    filter: async (what) => engine.listExecutions(what),
    config: async (what) => new ExecutionEngine({ secrets, ...what }),
    wire: async (what) => ExecutionEngine.parseRequest({ ...nothing, ...what }),
    'wire as text': async (what) => ExecutionEngine.parseRequest(JSON.stringify({ ...nothing, ...what })),
    cancel: (what) => engine.cancel('4a1c7b36-7a3c-4b4e-9a2e-0d5c7e5f8a10', what),
  };
  for (const [where, call] of Object.entries(calls)) {
    for (const what of [{ [name]: 1 }, { [`a ${name}`]: '1' }, { [Symbol(name)]: 1 }, many]) {
      if (where === 'wire as text' && Object.getOwnPropertySymbols(what).length > 0) continue;
      const error = await call(what).then(
        () => undefined,
        (refusal) => refusal,
      );
      assert.match(error?.code ?? where, /^INVALID_/, where);
      assert.ok(error.message.length < 1_000 && (error.field ?? '').length < 200, `${where}: ${error.message.slice(0, 300)}`);
    }
  }
  for (const call of [() => engine.waitForCompletion(text), () => engine.waitForPlan(text), () => engine.cancelPlan(text)])
    assert.match((await failure(call, 'NOT_FOUND')).message, /a string of length 73400320/);
  assert.equal(failureNow(() => ExecutionEngine.parseRequest(text), 'INVALID_REQUEST').field, 'request');
  await engine.run(nothing);
});

test('a record does not keep a long command', async (t) => {
  const engine = newEngine(t);
  const long = { command: { type: 'shell', command: `: '${'x'.repeat(8 * 1024 * 1024)}'` } };
  for (let round = 0; round < 5; round++) await engine.run(long);
  const before = process.memoryUsage().rss;
  for (let round = 0; round < 40; round++) await engine.run(long);
  const more = (process.memoryUsage().rss - before) / 1024 / 1024;
  assert.equal(engine.listExecutions().length, 45);
  assert.ok(more < 150, `${more} MiB more for 40 commands of 8 MiB`);
});
