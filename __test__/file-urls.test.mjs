// Paths may be file URLs, and text is whole.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failure, failureNow } from './helpers/outcomes.mjs';
import { exec, file, folder } from './helpers/programs.mjs';

const HALF = 'a\ud800b';

test('every path of a request may be a file URL', async (t) => {
  const dir = folder(t);
  const odd = path.join(dir, 'a b%20ü.sh');
  file(dir, 'a b%20ü.sh', '#!/bin/sh\npwd\n', 0o755);
  const engine = newEngine(t);
  const workingDir = pathToFileURL(dir);
  const outputLogPath = pathToFileURL(path.join(dir, 'out.log'));
  const commands = [
    { type: 'exec', program: pathToFileURL(odd) },
    { type: 'script', path: pathToFileURL(odd) },
    { type: 'script', path: pathToFileURL(odd), interpreter: pathToFileURL('/bin/sh') },
    { type: 'shell', command: 'pwd', shell: pathToFileURL('/bin/sh') },
  ];
  for (const command of commands) assert.equal((await engine.run({ command, workingDir, outputLogPath })).stdout, `${dir}\n`);
  const plan = await engine.runPlan({
    description: 'all',
    strategy: { type: 'serial' },
    commands: commands.map((command) => ({ command, workingDir })),
  });
  assert.deepEqual(
    plan.results.map((result) => result.stdout),
    commands.map(() => `${dir}\n`),
  );
  assert.equal(readFileSync(path.join(dir, 'out.log'), 'utf8'), `${dir}\n`.repeat(4));
});

test('a URL that names no file is refused with its field', async (t) => {
  const engine = newEngine(t);
  const secret = 'hunter2-in-a-url';
  const wrong = [
    `https://host/${secret}`,
    `file://host/${secret}`,
    `file:///a%2F${secret}`,
    `file:///%ff${secret}`,
    `file:///a%00${secret}`,
    `data:,${secret}`,
  ];
  for (const url of wrong.map((text) => new URL(text))) {
    const places = {
      workingDir: { ...exec('true'), workingDir: url },
      outputLogPath: { ...exec('true'), outputLogPath: url },
      'command.program': exec(url),
      'command.path': { command: { type: 'script', path: url } },
    };
    for (const [field, request] of Object.entries(places)) {
      const error = await failure(() => engine.run(request), 'INVALID_REQUEST');
      assert.equal(error.field, field);
      assert.match(error.message, /: (give|remove) /);
      assert.ok(!error.message.includes(secret), error.message);
    }
    if (!url.href.includes('%00')) assert.equal(failureNow(() => ExecutionEngine.configFromFile(url), 'INVALID_CONFIG').field, 'path');
  }
  const place = { ...exec('true', new URL('file:///tmp')) };
  assert.equal((await failure(() => engine.run(place), 'INVALID_REQUEST')).field, 'command.args[0]');
});

test('half of a surrogate pair is refused with its field', async (t) => {
  const engine = newEngine(t);
  const cases = [
    [exec(HALF), 'command.program'],
    [exec('echo', 'a', HALF), 'command.args[1]'],
    [{ command: { type: 'shell', command: HALF } }, 'command.command'],
    [{ ...exec('true'), workingDir: HALF }, 'workingDir'],
    [{ ...exec('true'), env: { A: HALF } }, 'env.A'],
    [{ ...exec('true'), env: { [HALF]: 'a' } }, 'env["a\\ud800b"]'],
    [{ ...exec('true'), metadata: { deep: [{ label: HALF }] } }, 'metadata.deep[0].label'],
  ];
  for (const [request, field] of cases) {
    const error = await failure(() => engine.run(request), 'INVALID_REQUEST');
    assert.equal(error.field, field);
    assert.match(error.message, /half of a surrogate pair/);
  }
  assert.equal((await failure(() => engine.run(exec('cat'), { stdin: HALF }), 'INVALID_REQUEST')).field, 'options.stdin');
  assert.equal(
    (await failure(() => engine.run(exec('cat'), { secrets: [`secret${HALF}`] }), 'INVALID_REQUEST')).field,
    'options.secrets[0]',
  );
  assert.equal(failureNow(() => new ExecutionEngine({ logDir: `/tmp/${HALF}` }), 'INVALID_CONFIG').field, 'logDir');
  assert.equal(failureNow(() => ExecutionEngine.configFromFile(HALF), 'INVALID_CONFIG').field, 'path');
  const wire = { command: { type: 'exec', program: 'echo', args: ['a', HALF] } };
  for (const form of [wire, JSON.stringify(wire)])
    assert.equal(failureNow(() => ExecutionEngine.parseRequest(form), 'INVALID_REQUEST').field, 'command.args[1]');
  const whole = JSON.stringify(wire).replace('\\ud800', '\\ud83d\\ude00');
  assert.deepEqual(ExecutionEngine.parseRequest(whole).command.args, ['a', 'a\u{1F600}b']);
  for (const wire of [
    { command: { type: 'exec', program: HALF } },
    JSON.stringify({ command: { type: 'exec', program: HALF } }),
    `{"command": "${HALF}"}`,
  ]) {
    failureNow(() => ExecutionEngine.parseRequest(wire), 'INVALID_REQUEST');
  }
  assert.equal((await engine.run(exec('printf', '%s', '\u{1F600}\\ud800'))).stdout, '\u{1F600}\\ud800', 'a whole pair, and a backslash');
  assert.equal(
    (await engine.run(vm.runInNewContext('({ command: { type: "exec", program: "echo", args: ["\u{1F600}"] } })'))).stdout,
    '\u{1F600}\n',
  );
});
