// Output beyond its cap: all of it in a file, or the end of the execution.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { folder, isAlive, nodeProgram, shell, until } from './helpers/programs.mjs';

const MARK = /\n\[\.\.\. output truncated: (\d+) of (\d+) bytes omitted \.\.\.\]\n/;
const spilling = (t, more) => ({ oversizedOutputStrategy: 'streamToFile', overflowDir: folder(t), minFreeDiskBytes: 0, ...more });
const sha = (bytes) => createHash('sha256').update(bytes).digest('hex');

test('the file holds the whole stream, from the first byte on; kept and omitted add up', async (t) => {
  const engine = newEngine(t, spilling(t, { maxOutputSizeBytes: 1_000 }));
  for (const [length, spills] of [
    [999, false],
    [1_000, false],
    [1_001, true],
    [300_000, true],
  ]) {
    const program = `
      const [{ createHash, randomBytes }, { writeSync }] = [require('crypto'), require('fs')];
      const bytes = randomBytes(${length});
      const piece = ${length} < 4096 ? ${length} : 777;
      for (let at = 0; at < ${length}; ) at += writeSync(1, bytes.subarray(at, at + piece));
      writeSync(2, createHash('sha256').update(bytes).digest('hex'));`;
    const result = await engine.run(nodeProgram(program));
    assert.equal(result.stdoutTruncated, spills, String(length));
    assert.deepEqual([result.stdoutBytes, result.overflowLostBytes], [length, 0]);
    assert.equal(result.stdoutOverflowFile !== undefined, spills);
    assert.equal(result.stderrOverflowFile, undefined);
    if (spills) assert.equal(sha(readFileSync(result.stdoutOverflowFile)), result.stderr);
  }
});

test('it is for this user only, and goes with the record', async (t) => {
  const config = spilling(t, { maxOutputSizeBytes: 10 });
  const engine = newEngine(t, config);
  const { id, stdoutOverflowFile, stderrOverflowFile } = await engine.run(shell('seq 1000; seq 2000 >&2'));
  for (const [name, count] of [
    [stdoutOverflowFile, 1_000],
    [stderrOverflowFile, 2_000],
  ]) {
    assert.equal(readFileSync(name, 'utf8'), execFileSync('seq', [String(count)], { encoding: 'utf8' }));
    assert.equal(statSync(name).mode & 0o777, 0o600);
    assert.equal(statSync(path.dirname(name)).mode & 0o777, 0o700);
  }
  engine.removeExecution(id);
  assert.ok(!existsSync(stdoutOverflowFile) && !existsSync(stderrOverflowFile));
});

test('a file has a bound, and the child never waits because of it', async (t) => {
  const { engine, events } = recordedEngine(t, spilling(t, { maxOutputSizeBytes: 10, maxOverflowFileBytes: 100_000 }));
  const { id, stdoutOverflowFile, stdoutBytes, overflowLostBytes, status } = await engine.run(shell('seq 100000'));
  const expected = execFileSync('seq', ['100000'], { encoding: 'utf8' });
  assert.equal(status, 'completed');
  assert.equal(readFileSync(stdoutOverflowFile, 'utf8'), expected.slice(0, 100_000), 'it is a prefix of the stream');
  assert.deepEqual([stdoutBytes, overflowLostBytes], [expected.length, expected.length - 100_000]);
  assert.match(events.of(id).find((event) => event.type === 'degraded').message, /maxOverflowFileBytes|max_overflow_file_bytes/);
});

test('all files of an engine together have a bound, and removed ones make room', async (t) => {
  const engine = newEngine(t, spilling(t, { maxOutputSizeBytes: 10, maxOverflowTotalBytes: 50_000 }));
  const run = () => engine.run(shell('seq 10000'));
  const results = await Promise.all([run(), run(), run()]);
  const sizes = results.map((result) => (result.stdoutOverflowFile ? statSync(result.stdoutOverflowFile).size : 0));
  assert.equal(
    sizes.reduce((sum, size) => sum + size),
    50_000,
  );
  results.forEach((result, index) => assert.equal(sizes[index] + result.overflowLostBytes, result.stdoutBytes));
  for (const { id } of results) engine.removeExecution(id);
  assert.equal((await run()).overflowLostBytes, 0);
});

test('the disk keeps what minFreeDiskBytes asks for', async (t) => {
  const engine = newEngine(t, spilling(t, { maxOutputSizeBytes: 10, minFreeDiskBytes: Number.MAX_SAFE_INTEGER }));
  const { status, stdoutBytes, overflowLostBytes } = await engine.run(shell('seq 1000'));
  assert.deepEqual([status, overflowLostBytes], ['completed', stdoutBytes]);
});

test('what a dead host has left is removed at the next start, what a living one has is not', async (t) => {
  const config = spilling(t, { maxOutputSizeBytes: 10 });
  const living = newEngine(t, config);
  const { stdoutOverflowFile } = await living.run(shell('seq 1000'));
  const dead = path.join(config.overflowDir, 'host-00000000-0000-4000-8000-000000000000');
  mkdirSync(dead, { mode: 0o700 });
  writeFileSync(path.join(dead, 'lock'), 'escher-execution-engine overflow 00000000-0000-4000-8000-000000000000\n');
  writeFileSync(path.join(dead, '00000000-0000-4000-8000-000000000001-0.stdout'), 'left');
  const other = path.join(config.overflowDir, 'not-ours');
  mkdirSync(other);
  newEngine(t, config);
  await until(() => !existsSync(dead), 'the folder of the dead host is removed');
  assert.ok(existsSync(stdoutOverflowFile) && existsSync(other));
});

test('a host that ends leaves the disk as it was', async (t) => {
  const overflowDir = folder(t);
  const source = `
    const { ExecutionEngine } = require(${JSON.stringify(path.resolve('index.js'))});
    const engine = new ExecutionEngine({ oversizedOutputStrategy: 'streamToFile', overflowDir: ${JSON.stringify(overflowDir)}, minFreeDiskBytes: 0, maxOutputSizeBytes: 10 });
    engine.run({ command: { type: 'shell', command: 'seq 1000' } }).then((result) => { process.stdout.write(result.stdoutOverflowFile); process.kill(process.pid, 'SIGKILL'); });
  `;
  let left = '';
  try {
    execFileSync(process.execPath, ['-e', source], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  } catch (error) {
    left = error.stdout;
  }
  assert.ok(existsSync(left), 'a killed host cannot tidy up');
  newEngine(t, { oversizedOutputStrategy: 'streamToFile', overflowDir });
  await until(() => readdirSync(overflowDir).every((name) => !name.startsWith('host-')), 'the next one does');
});

test('failExecution ends the tree and rejects, with what there was', async (t) => {
  const { engine, events } = recordedEngine(t, { oversizedOutputStrategy: 'failExecution', maxOutputSizeBytes: 1_000 });
  const error = await failure(() => engine.run(shell('sleep 300 & echo $!; exec yes')), 'OUTPUT_SIZE_EXCEEDED');
  const { result } = error;
  assert.deepEqual(
    [result.status, result.success, result.reason, result.error.code],
    ['failed', false, 'output_limit', 'OUTPUT_SIZE_EXCEEDED'],
  );
  assert.match(error.message, /stdout.*maxOutputSizeBytes.*1000/);
  assert.ok(MARK.test(result.stdout));
  assert.ok(!isAlive(Number(result.stdout.split('\n')[0])), 'the whole tree is gone');
  assert.ok(result.killed.pids.length > 0);
  assert.equal(events.types(result.id).at(-1), 'failed');
});

test('failExecution: a command that is over too soon to be ended fails all the same', async (t) => {
  const engine = newEngine(t, { oversizedOutputStrategy: 'failExecution', maxOutputSizeBytes: 10 });
  for (const [line, stream] of [
    ['printf 12345678901', 'stdout'],
    ['printf 12345678901 >&2', 'stderr'],
  ]) {
    const error = await failure(() => engine.run(shell(line)), 'OUTPUT_SIZE_EXCEEDED');
    assert.ok(error.message.startsWith(stream), error.message);
  }
  assert.equal((await engine.run(shell('printf 1234567890; printf 1234567890 >&2'))).status, 'completed');
});

test('failExecution: what a leftover writes while it is ended counts too, and a cancel stays a cancel', async (t) => {
  const engine = newEngine(t, { oversizedOutputStrategy: 'failExecution', maxOutputSizeBytes: 10, drainTimeoutMs: 50 });
  const ready = path.join(folder(t), 'ready');
  const last = `trap 'printf 12345678901; exit' TERM; echo go; : > '${ready}'; while :; do sleep 0.02; done`;
  const error = await failure(
    () => engine.run(shell(`(${last}) & while [ ! -e '${ready}' ]; do sleep 0.01; done`), { leftovers: 'kill' }),
    'OUTPUT_SIZE_EXCEEDED',
  );
  assert.deepEqual([error.result.reason, error.result.exitCode], ['output_limit', 0]);
  const untilLine = new Promise((resolve) => engine.once('stdout', resolve));
  const id = await engine.execute(shell(last));
  await untilLine;
  await engine.cancel(id);
  assert.deepEqual([engine.getResult(id).status, engine.getResult(id).reason], ['cancelled', 'cancelled']);
});

test('overflow that cannot be written costs the command nothing', async (t) => {
  const blocked = path.join(folder(t), 'file');
  writeFileSync(blocked, '');
  const engine = new ExecutionEngine(spilling(t, { maxOutputSizeBytes: 10, overflowDir: path.join(blocked, 'x') }));
  t.after(() => engine.shutdown());
  const { status, stdoutBytes, stdoutOverflowFile, overflowLostBytes } = await engine.run(shell('seq 1000'));
  assert.deepEqual([status, stdoutOverflowFile, overflowLostBytes], ['completed', undefined, stdoutBytes]);
});
