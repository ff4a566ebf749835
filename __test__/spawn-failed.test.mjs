// Spawn errors distinguish program, directory and interpreter.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, file, folder, nothing, shell, untilFile } from './helpers/programs.mjs';

async function spawnFailure(engine, request, errno, ...words) {
  const error = await failure(() => engine.run(request), 'SPAWN_FAILED');
  assert.equal(error.errno, errno, error.message);
  for (const word of words) assert.ok(error.message.includes(word), `"${error.message}" says ${word}`);
  const { status, success, reason, exitCode, signal, pid, durationMs, stdout, error: info } = error.result;
  assert.deepEqual(
    { status, success, reason, exitCode, signal, pid, durationMs, stdout },
    {
      status: 'failed',
      success: false,
      reason: 'spawn_failed',
      exitCode: null,
      signal: null,
      pid: null,
      durationMs: 0,
      stdout: '',
    },
  );
  assert.deepEqual(info, { code: 'SPAWN_FAILED', message: error.message, errno });
  assert.equal(engine.getStatus(error.executionId), 'failed');
  return error;
}

test('a missing program is named', async (t) => {
  const { engine } = recordedEngine(t);
  await spawnFailure(engine, exec('/no/such/program'), 'ENOENT', 'program', '/no/such/program');
  await spawnFailure(engine, exec('no-such-program-on-the-path'), 'ENOENT', 'program', 'no-such-program-on-the-path', 'PATH');
  await spawnFailure(engine, { command: { type: 'shell', command: 'echo', shell: '/no/shell' } }, 'ENOENT', '/no/shell');
});

test('a missing working directory, or a file as one, is named', async (t) => {
  const { engine } = recordedEngine(t);
  const dir = folder(t);
  await spawnFailure(engine, { ...nothing, workingDir: '/no/such/folder' }, 'ENOENT', 'directory', '/no/such/folder');
  await spawnFailure(engine, { ...nothing, workingDir: file(dir, 'a-file') }, 'ENOTDIR', 'directory', 'a-file');
});

test('a missing interpreter is named', async (t) => {
  const { engine } = recordedEngine(t);
  const dir = folder(t);
  const script = (name, text) => ({ command: { type: 'script', path: file(dir, name, text, 0o755) } });
  await spawnFailure(engine, script('nope', '#!/nope\n'), 'ENOENT', 'interpreter', '/nope');
  await spawnFailure(engine, script('crlf', '#!/bin/sh\r\necho\r\n'), 'ENOENT', 'interpreter', 'carriage return');
  await spawnFailure(engine, exec(file(dir, 'as-program', '#!/nope\n', 0o755)), 'ENOENT', 'interpreter', '/nope');
  const named = { command: { type: 'script', path: file(dir, 'plain', ''), interpreter: 'no-such-interpreter' } };
  await spawnFailure(engine, named, 'ENOENT', 'interpreter', 'no-such-interpreter');
});

test('a script that is not there', async (t) => {
  const { engine } = recordedEngine(t);
  await spawnFailure(engine, { command: { type: 'script', path: '/no/such/script.sh' } }, 'ENOENT', 'script', '/no/such/script.sh');
});

test('a file that may not be executed, a folder, neither binary nor script', async (t) => {
  const { engine } = recordedEngine(t);
  const dir = folder(t);
  await spawnFailure(engine, exec(file(dir, 'plain', 'text')), 'EACCES', 'plain');
  await spawnFailure(engine, exec(dir), 'EACCES', 'directory');
  await spawnFailure(engine, exec(file(dir, 'text', 'no line with #!\n', 0o755)), 'ENOEXEC', 'text');
});

test('a directory that the host may not enter is named, whether it is that of the command or one on the way to the program', {
  skip: process.getuid?.() !== 0 ? 'it needs root, which can become another user' : false,
}, (t) => {
  const closed = folder(t);
  chmodSync(closed, 0o700);
  const program = file(closed, 'program', '#!/bin/sh\n', 0o755);
  const source = `process.initgroups?.(65534, 65534); process.setgid(65534); process.setuid(65534);
    const { ExecutionEngine } = require(${JSON.stringify(path.resolve('index.js'))});
    const engine = new ExecutionEngine();
    const run = (command, more) => engine.run({ command, ...more }).catch(({ errno, message }) => console.log(errno, message));
    (async () => {
      await run({ type: 'exec', program: 'true' }, { workingDir: ${JSON.stringify(closed)} });
      await run({ type: 'shell', command: 'true' }, { workingDir: ${JSON.stringify(closed)} });
      await run({ type: 'exec', program: ${JSON.stringify(program)} });
    })();`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', source], { encoding: 'utf8', cwd: '/' });
  const [directory, ofShell, onTheWay] = stdout.split('\n');
  // If another user cannot read the addon's folder, there is no host.
  assert.match(directory, /^EACCES working directory .* may not be entered/, stderr);
  assert.match(ofShell, /^EACCES working directory .* may not be entered/);
  assert.match(onTheWay, /^EACCES program .* cannot be reached: .* search/);
});

test('arguments that are too large', async (t) => {
  const { engine } = recordedEngine(t);
  await spawnFailure(engine, exec('true', 'x'.repeat(4 * 1024 * 1024)), 'E2BIG', 'too large');
});

test('a directory that went away while the execution waited', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const dir = folder(t);
  const gone = path.join(dir, 'gone');
  mkdirSync(gone);
  const first = await engine.execute(untilFile(path.join(dir, 'go')));
  await events.line('ready', first);
  const failed = spawnFailure(engine, { ...nothing, workingDir: gone }, 'ENOENT', 'directory', gone);
  await events.first((event) => event.type === 'queued');
  rmdirSync(gone);
  file(dir, 'go');
  await failed;
});

test('execute accepts it all the same: the failure is its result', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(exec('/no/such/program'));
  const error = await failure(() => engine.waitForCompletion(id), 'SPAWN_FAILED');
  assert.equal(error.executionId, id);
  assert.deepEqual(events.types(id), ['failed']);
  assert.equal(engine.getConcurrencyMetrics().currentlyRunning, 0);
});

test('a shell that does not find a command is a plain failure', async (t) => {
  const { engine } = recordedEngine(t);
  const { status, exitCode, stderr } = await engine.run(shell('no-such-command-at-all'));
  assert.deepEqual([status, exitCode], ['failed', 127]);
  assert.match(stderr, /no-such-command-at-all/);
});
