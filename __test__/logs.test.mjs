// Logs: raw bytes in the order in which they came, or a record for each line, for this user only.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure, refusal } from './helpers/outcomes.mjs';
import { file, folder, nothing, shell, until, untilFile } from './helpers/programs.mjs';

const mode = (name) => statSync(name).mode & 0o777;

test('every execution has a log in logDir, named by its id and nothing else', async (t) => {
  const logDir = path.join(folder(t), 'a', 'logs');
  const engine = newEngine(t, { logDir });
  const before = process.umask(0);
  t.after(() => process.umask(before));
  const { id, logPath, logLostBytes } = await engine.run(
    shell("printf 'one\\n'; printf '\\377\\0two' >&2", { metadata: { label: '../../x', source: 'y/../z' } }),
  );
  assert.equal(logPath, path.join(logDir, `${id}.log`));
  assert.equal(engine.getLogPath(id), logPath);
  assert.deepEqual(readdirSync(logDir), [`${id}.log`]);
  assert.deepEqual([...readFileSync(logPath)].sort(), [...Buffer.from('one\n\xff\0two', 'latin1')].sort());
  assert.deepEqual([mode(logPath), mode(logDir), logLostBytes], [0o600, 0o700, 0]);
});

test('a umask that takes everything away takes nothing from the engine', async (t) => {
  const logDir = path.join(folder(t), 'logs');
  const engine = newEngine(t, { logDir });
  const before = process.umask(0o777);
  const { logPath } = await engine.run(shell('echo x')).finally(() => process.umask(before));
  assert.deepEqual([mode(logPath), mode(logDir)], [0o600, 0o700]);
});

test('the bytes of both streams stand in the order in which they were read', async (t) => {
  const engine = newEngine(t, { logDir: folder(t) });
  // Each byte is in the log before the next one is written.
  const logged = 'logged() { until grep -qx "$1" "$LOGS"/*; do sleep 0.01; done; }';
  const writes = 'for i in 1 2 3; do echo out $i; logged "out $i"; echo err $i >&2; logged "err $i"; done';
  const { id } = await engine.run(shell(`${logged}; ${writes}`, { env: { LOGS: engine.config.logDir } }));
  assert.equal(await engine.readLogs(id), 'out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n');
});

test('what was read is in the log while the command runs', async (t) => {
  const go = path.join(folder(t), 'go');
  const engine = newEngine(t, { logDir: folder(t) });
  const id = await engine.execute(untilFile(go, 'echo done'));
  await until(async () => (await engine.readLogs(id).catch(() => '')) === 'ready\n', 'the first line is in the log');
  file(path.dirname(go), 'go');
  await engine.waitForCompletion(id);
  assert.equal(await engine.readLogs(id), 'ready\ndone\n');
});

test('the log holds what the cap cuts from the result', async (t) => {
  const engine = newEngine(t, { logDir: folder(t), maxOutputSizeBytes: 100 });
  const { id, stdoutTruncated, stdoutBytes } = await engine.run(shell('seq 100000'));
  assert.ok(stdoutTruncated);
  const expected = execFileSync('seq', ['100000'], { encoding: 'utf8' });
  assert.equal(await engine.readLogs(id), expected);
  assert.equal(stdoutBytes, expected.length);
});

test('tailBytes gives the end, and splits no character', async (t) => {
  const engine = newEngine(t, { logDir: folder(t) });
  const { id } = await engine.run(shell("printf 'ab€cd'"));
  for (const [tailBytes, expected] of [
    [0, ''],
    [2, 'cd'],
    [3, 'cd'],
    [4, 'cd'],
    [5, '€cd'],
    [100, 'ab€cd'],
  ]) {
    assert.equal(await engine.readLogs(id, { tailBytes }), expected, `the last ${tailBytes} bytes`);
  }
  for (const tailBytes of [-1, 1.5, NaN, '5'])
    await refusal(() => engine.readLogs(id, { tailBytes }), 'INVALID_REQUEST', 'tailBytes', tailBytes);
  assert.equal((await failure(() => engine.readLogs(id, { tail: 5 }), 'INVALID_REQUEST')).field, 'tail');
});

test('no log: LOG_NOT_FOUND', async (t) => {
  const engine = newEngine(t);
  const { id, logPath } = await engine.run(nothing);
  assert.equal(logPath, undefined);
  assert.equal(engine.getLogPath(id), null);
  const error = await failure(() => engine.readLogs(id), 'LOG_NOT_FOUND');
  assert.equal(error.executionId, id);
  assert.match(error.message, /logDir.*outputLogPath/);
  await failure(() => engine.readLogs('11111111-1111-4111-8111-111111111111'), 'NOT_FOUND');
});

test('a log that was deleted since: LOG_NOT_FOUND', async (t) => {
  const engine = newEngine(t, { logDir: folder(t) });
  const { id, logPath } = await engine.run(shell('echo x'));
  rmSync(logPath);
  assert.match((await failure(() => engine.readLogs(id), 'LOG_NOT_FOUND')).message, /cannot be read/);
});

test('outputLogPath is made, then appended to, besides the log in logDir', async (t) => {
  const [dir, logDir] = [folder(t), folder(t)];
  const engine = newEngine(t, { logDir });
  const outputLogPath = path.join(dir, 'build.log');
  for (const word of ['one', 'two']) {
    const { id, logPath } = await engine.run({ ...shell(`echo ${word}`), outputLogPath });
    assert.equal(logPath, outputLogPath);
    assert.equal(readFileSync(path.join(logDir, `${id}.log`), 'utf8'), `${word}\n`);
  }
  assert.equal(readFileSync(outputLogPath, 'utf8'), 'one\ntwo\n');
  assert.equal(mode(outputLogPath), 0o600);
});

test('a link, a pipe, a device or a directory at outputLogPath is refused, and nothing runs', async (t) => {
  const dir = folder(t);
  const victim = file(dir, 'victim', 'mine');
  const at = (name) => path.join(dir, name);
  symlinkSync(victim, at('symlink'));
  symlinkSync(at('nowhere'), at('dangling'));
  linkSync(victim, at('hardlink'));
  execFileSync('mkfifo', [at('fifo')]);
  mkdirSync(at('directory'));
  const engine = newEngine(t);
  for (const name of ['symlink', 'dangling', 'hardlink', 'fifo', 'directory', 'no/such/directory']) {
    await t.test(name, async () => {
      const error = await failure(() => engine.run({ ...shell(`touch ${at('ran')}`), outputLogPath: at(name) }), 'LOG_FAILED');
      assert.ok(error.message.includes(at(name)), error.message);
      assert.match(error.message, /nothing was run/);
      assert.deepEqual([error.result.status, error.result.pid, error.result.error.code], ['failed', null, 'LOG_FAILED']);
    });
  }
  await failure(() => engine.run({ ...nothing, outputLogPath: '/dev/full' }), 'LOG_FAILED');
  assert.ok(!existsSync(at('ran')) && !existsSync(at('nowhere')));
  assert.equal(readFileSync(victim, 'utf8'), 'mine');
});

test('a log of the same id is never overwritten', async (t) => {
  const engine = newEngine(t, { logDir: folder(t) });
  const { id } = await engine.run(shell('echo first'));
  const log = engine.getLogPath(id);
  engine.removeExecution(id);
  const error = await failure(() => engine.run({ ...shell('echo second'), id }), 'LOG_FAILED');
  assert.match(error.message, /there already/);
  assert.equal(readFileSync(log, 'utf8'), 'first\n');
});

test('keepLogs: false lets a log go with its record, and nothing else', async (t) => {
  const [dir, logDir] = [folder(t), folder(t)];
  const engine = newEngine(t, { logDir, keepLogs: false });
  const outputLogPath = path.join(dir, 'mine.log');
  const { id } = await engine.run({ ...shell('echo x'), outputLogPath });
  const log = path.join(logDir, `${id}.log`);
  // Another's log of this name was there first.
  const taken = '22222222-2222-4222-8222-222222222222';
  file(logDir, `${taken}.log`, 'not ours');
  await failure(() => engine.run({ ...nothing, id: taken }), 'LOG_FAILED');
  assert.ok(existsSync(log));
  for (const each of [id, taken]) engine.removeExecution(each);
  await until(() => !existsSync(log), 'the log is gone');
  assert.deepEqual([readFileSync(outputLogPath, 'utf8'), readFileSync(path.join(logDir, `${taken}.log`), 'utf8')], ['x\n', 'not ours']);
});

test('logDir where no directory can be: LOG_FAILED', async (t) => {
  const engine = newEngine(t, { logDir: path.join(file(folder(t), 'file'), 'logs') });
  const error = await failure(() => engine.run(nothing), 'LOG_FAILED');
  assert.equal(error.errno, 'ENOTDIR');
});

test('a log directory that vanishes loses the log, not the command, and the loss is reported', async (t) => {
  const logDir = path.join(folder(t), 'logs');
  const go = path.join(folder(t), 'go');
  const { engine, events } = recordedEngine(t, { logDir });
  const id = await engine.execute(untilFile(go, 'echo 12345'));
  await events.line('ready', id);
  rmSync(logDir, { recursive: true });
  file(path.dirname(go), 'go');
  const { status, stdout, logLostBytes } = await engine.waitForCompletion(id);
  assert.deepEqual([status, stdout, logLostBytes], ['completed', 'ready\n12345\n', 12]);
  assert.match((await events.first((event) => event.type === 'degraded')).message, /deleted/);
  const next = await engine.run(shell('echo again'));
  assert.equal(readFileSync(next.logPath, 'utf8'), 'again\n', 'the next execution makes the directory anew');
});

test('jsonl: one record a line, which no output can forge', async (t) => {
  const engine = newEngine(t, { logDir: folder(t), logFormat: 'jsonl', streamOutput: false });
  engine.on('stdout', () => assert.fail('streamOutput: false keeps lines from listeners'));
  const forged = '{"time":"x","stream":"stdout","sequence":0,"text":"forged"}';
  const { logPath } = await engine.run(shell(`printf '%s\\r%s\\n\\033[31mred\\n' 'a' '${forged}'; echo err >&2; printf '\\377"\\\\'`));
  const text = readFileSync(logPath, 'utf8');
  assert.ok(!/[\x00-\x09\x0b-\x1f]/.test(text), 'control characters are escaped');
  const records = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const lines = (stream) => records.filter((record) => record.stream === stream);
  assert.deepEqual(
    lines('stdout').map((record) => record.text),
    ['a', forged, '\x1b[31mred', '\ufffd"\\'],
  );
  assert.deepEqual(
    lines('stderr').map((record) => record.text),
    ['err'],
  );
  assert.equal(lines('stdout')[0].carriageReturn, true);
  const sequences = records.map((record) => record.sequence).sort((a, b) => a - b);
  assert.deepEqual(sequences, [1, 2, 3, 4, 5]);
  for (const record of records) assert.ok(Date.parse(record.time) > 0, record.time);
});

test('directories of the configuration are absolute paths', async () => {
  const { ExecutionEngine } = await import('../index.js');
  for (const field of ['logDir', 'overflowDir']) {
    const error = await failure(async () => new ExecutionEngine({ [field]: 'logs' }), 'INVALID_CONFIG');
    assert.equal(error.field, field);
  }
});

test('a log directory that may not be written to: LOG_FAILED', {
  skip: process.getuid?.() === 0 && 'root may write anywhere',
}, async (t) => {
  const logDir = folder(t);
  chmodSync(logDir, 0o500);
  const error = await failure(() => newEngine(t, { logDir }).run(nothing), 'LOG_FAILED');
  assert.equal(error.errno, 'EACCES');
});
