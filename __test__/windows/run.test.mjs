// On Windows, programs, lines for shells and scripts run; their output and their ends are reported.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { newEngine, recordedEngine } from '../helpers/engine.mjs';
import { file, nodeRuns, rejection, scratch, shell } from './helpers.mjs';

test('a program streams its lines and returns its exit code', async (t) => {
  const { engine, events } = recordedEngine(t);
  const code = "console.log('one'); process.stdout.write('two\\r\\nthree'); console.error('oops'); process.exitCode = 7;";
  const result = await engine.run(nodeRuns(code));
  assert.equal(result.status, 'failed');
  assert.equal(result.reason, 'exit');
  assert.equal(result.exitCode, 7);
  assert.equal(result.signal, null);
  assert.equal(result.stdout, 'one\ntwo\r\nthree');
  assert.equal(result.stderr, 'oops\n');
  assert.ok(result.pid > 0);
  assert.ok(result.cpuUserMs + result.cpuSystemMs > 0, 'processor time was counted');
  assert.deepEqual(events.lines(result.id), ['one', 'two', 'three']);
  assert.deepEqual(events.lines(result.id, 'stderr'), ['oops']);
});

test('an exit code above 2^31 is the same as in Node.js', async (t) => {
  const result = await newEngine(t).run(nodeRuns('process.reallyExit(-1073741819)'));
  assert.equal(result.exitCode, 0xc0000005);
  assert.equal(result.status, 'failed');
});

test('the default shell is cmd.exe and reads its line as it is', async (t) => {
  const engine = newEngine(t);
  const result = await engine.run(shell('echo "a & b" c&& exit 3'));
  assert.equal(result.stdout.trimEnd(), '"a & b" c');
  assert.equal(result.exitCode, 3);
  const node = await engine.run(shell(`"${process.execPath}" -p "1 + 1" "x y"`));
  assert.equal(node.stdout, '2\n');
});

test('a script is read by the program that its #! line or its extension names', async (t) => {
  const engine = newEngine(t);
  const folder = scratch(t);
  const env = { PATH: path.dirname(process.execPath) };
  const run = (full, args) => engine.run({ command: { type: 'script', path: full, args }, env });
  const byExtension = await run(file(folder, 'a b.js', 'console.log(process.argv.slice(2).join("|"))'), ['x y', '"q"']);
  assert.equal(byExtension.stdout, 'x y|"q"\n');
  const byLine = await run(file(folder, 'tool', '#!/usr/bin/env -S node --no-warnings', 'console.log(process.execArgv[0])'));
  assert.equal(byLine.stdout, '--no-warnings\n');
  const unknown = await rejection(run(file(folder, 'what.ever', 'x')));
  assert.equal(unknown.code, 'SPAWN_FAILED');
});

test('a batch file gets its arguments as they are, or is not run', async (t) => {
  const engine = newEngine(t);
  const folder = scratch(t);
  const batch = file(folder, 'say it.cmd', '@echo off', 'echo [%~1][%~2]', 'exit /b 4');
  for (const command of [
    { type: 'exec', program: batch, args: ['a b', 'c'] },
    { type: 'script', path: batch, args: ['a b', 'c'] },
  ]) {
    const result = await engine.run({ command });
    assert.equal(result.stdout.trimEnd(), '[a b][c]');
    assert.equal(result.exitCode, 4);
  }
  for (const bad of ['a&echo pwned', '"&echo pwned', '%PATH%', 'a\nb', '^', 'x) else (echo PWNED']) {
    const error = await rejection(engine.run({ command: { type: 'exec', program: batch, args: ['fine', bad] } }));
    assert.deepEqual([error.code, error.errno], ['SPAWN_FAILED', 'EINVAL']);
    assert.match(error.message, /batch file, and argument 1 holds/);
  }
});

test('a batch file whose interpreter is cmd runs, and gets its arguments as without one', async (t) => {
  const engine = newEngine(t);
  const folder = scratch(t);
  const batch = file(folder, 'say it.bat', '@echo off', 'echo [%~1][%~2]', 'exit /b 4');
  for (const interpreter of ['cmd', 'CMD.EXE', path.join(process.env.SystemRoot, 'System32', 'cmd.exe')]) {
    const run = (args) => engine.run({ command: { type: 'script', path: batch, interpreter, args } });
    const { stdout, exitCode } = await run(['a b', 'c']);
    assert.deepEqual([stdout.trimEnd(), exitCode], ['[a b][c]', 4]);
    assert.match((await rejection(run(['fine', 'x) else (echo PWNED']))).message, /argument 1 holds/);
  }
  const text = file(folder, 'note.txt', 'echo hi');
  const error = await rejection(engine.run({ command: { type: 'script', path: text, interpreter: 'cmd' } }));
  assert.deepEqual([error.code, error.errno], ['SPAWN_FAILED', 'EINVAL']);
  assert.match(error.message, /not named \.bat or \.cmd/);
});

test('a name with a dot finds its program, and the extensions are those of the child', async (t) => {
  const engine = newEngine(t);
  const folder = scratch(t);
  copyFileSync(process.execPath, path.join(folder, 'python3.11.exe'));
  copyFileSync(process.execPath, path.join(folder, 'odd.xyz'));
  const version = (program, env) => engine.run({ command: { type: 'exec', program, args: ['--version'] }, env: { PATH: folder, ...env } });
  for (const program of ['python3.11', path.join(folder, 'python3.11')]) {
    assert.equal((await version(program)).stdout.trimEnd(), process.version);
  }
  assert.equal((await rejection(version('odd'))).errno, 'ENOENT');
  assert.equal((await version('odd', { pathext: '.EXE;.XYZ' })).stdout.trimEnd(), process.version);
});

test('a working directory of more than 260 characters is named as the cause', async (t) => {
  const folder = path.join(scratch(t), ...Array.from({ length: 6 }, () => 'd'.repeat(60)));
  mkdirSync(`\\\\?\\${folder}`, { recursive: true });
  const error = await rejection(newEngine(t).run({ ...nodeRuns('0'), workingDir: folder }));
  assert.deepEqual([error.code, error.errno], ['SPAWN_FAILED', 'ENAMETOOLONG'], error.stack);
  assert.match(error.message, /working directory .* more than the 258 characters/);
});

test('programs are found by %PATHEXT%, aws among them', async (t) => {
  const engine = newEngine(t);
  const folder = scratch(t);
  file(folder, 'aws.cmd', '@echo off', 'echo %~1 %~2 %~3 %~4 pager=[%AWS_PAGER%]');
  const result = await engine.run({
    command: { type: 'aws_cli', service: 's3', command: 'ls', region: 'eu-west-1' },
    env: { Path: folder },
  });
  assert.equal(result.stdout.trimEnd(), 's3 ls --region eu-west-1 pager=[]');
  const byPath = process.execPath.replace(/\.exe$/i, '');
  const version = await engine.run({ command: { type: 'exec', program: byPath, args: ['--version'] } });
  assert.equal(version.stdout.trimEnd(), process.version);
});

test('a missing program, directory or interpreter is named', async (t) => {
  const engine = newEngine(t);
  const program = await rejection(engine.run({ command: { type: 'exec', program: 'no-such-program' } }));
  assert.deepEqual([program.code, program.errno], ['SPAWN_FAILED', 'ENOENT']);
  const full = await rejection(engine.run({ command: { type: 'exec', program: 'C:\\no\\such.exe' } }));
  assert.deepEqual([full.code, full.errno], ['SPAWN_FAILED', 'ENOENT']);
  const directory = await rejection(engine.run({ ...shell('cd'), workingDir: 'C:\\no\\such' }));
  assert.equal(directory.code, 'SPAWN_FAILED');
  assert.match(directory.message, /working directory/);
});

test('a command runs in its working directory', async (t) => {
  const folder = scratch(t);
  const result = await newEngine(t).run({ ...nodeRuns('console.log(process.cwd())'), workingDir: folder });
  assert.equal(path.basename(result.stdout.trim()), path.basename(folder));
});

test('standard input is at its end at once, or has the bytes that are given', async (t) => {
  const engine = newEngine(t);
  const digest =
    "const h = require('crypto').createHash('sha256'); process.stdin.on('data', (d) => h.update(d)).on('end', () => console.log(h.digest('hex')))";
  const bytes = randomBytes(1_000_000);
  const hash = (data) => `${createHash('sha256').update(data).digest('hex')}\n`;
  assert.equal((await engine.run(nodeRuns(digest))).stdout, hash(''));
  assert.equal((await engine.run(nodeRuns(digest), { stdin: bytes })).stdout, hash(bytes));
  const unread = await engine.run(nodeRuns('process.exit(5)'), { stdin: bytes });
  assert.equal(unread.exitCode, 5);
});

test('both streams flood, and nothing is lost', async (t) => {
  // 100 lines a write: two megabytes on each stream.
  const code = `
    const { writeSync } = require('fs');
    const lines = (name, from) => Array.from({ length: 100 }, (_, i) => name + ' ' + (from + i) + '.'.repeat(90) + '\\n').join('');
    for (let i = 0; i < 20000; i += 100) { writeSync(1, lines('out', i)); writeSync(2, lines('err', i)); }
  `;
  const result = await newEngine(t).run(nodeRuns(code));
  const lines = (name) => Array.from({ length: 20_000 }, (_, i) => `${name} ${i}${'.'.repeat(90)}\n`).join('');
  assert.equal(result.status, 'completed', result.stderr.slice(0, 1_000));
  assert.ok(result.stdout === lines('out'), 'stdout is exact');
  assert.ok(result.stderr === lines('err'), 'stderr is exact');
});

test('merged output keeps its order', async (t) => {
  const code = "for (let i = 0; i < 500; i++) require('fs').writeSync(1 + (i % 2), `${i}\\n`);";
  const result = await newEngine(t).run(nodeRuns(code), { mergeOutput: true });
  assert.equal(result.stdout, Array.from({ length: 500 }, (_, i) => `${i}\n`).join(''));
  assert.equal(result.stderr, '');
});

test('many at once, and more of them queued', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 8 });
  const results = await Promise.all(Array.from({ length: 40 }, (_, i) => engine.run(shell(`echo ${i}`))));
  results.forEach((result, i) => assert.equal(result.stdout.trimEnd(), String(i)));
});
