// An execution ends when its command does, whatever became of its pipes.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { exec, isAlive, shell } from './helpers/programs.mjs';

test('a command that closes its output early is waited for', async (t) => {
  const { engine } = recordedEngine(t);
  const { exitCode, durationMs, leaked } = await engine.run(shell('exec 1>&- 2>&-; sleep 0.3; exit 7'));
  assert.deepEqual({ exitCode, leaked }, { exitCode: 7, leaked: false });
  assert.ok(durationMs >= 300);
});

test('a grandchild that holds the pipe does not hold the result', async (t) => {
  const { engine } = recordedEngine(t, { drainTimeoutMs: 100 });
  const result = await engine.run(shell('echo hi; sleep 300 & echo $!; exit 5'));
  assert.deepEqual([result.status, result.exitCode, result.leaked], ['failed', 5, true]);
  const [hi, pid] = result.stdout.split('\n');
  assert.equal(hi, 'hi');
  assert.ok(result.durationMs < 2_000);
  assert.ok(isAlive(Number(pid)), 'what a command leaves behind keeps running');
  process.kill(Number(pid));
});

test("leftovers: 'kill' ends what a command leaves behind, also what holds no pipe", async (t) => {
  const { engine } = recordedEngine(t, { drainTimeoutMs: 100 });
  const line = 'sleep 300 & echo $!; sleep 300 > /dev/null 2>&1 & echo $!; exit 5';
  const killed = await engine.run(shell(line), { leftovers: 'kill' });
  assert.equal(killed.exitCode, 5, 'the outcome is that of the command');
  assert.deepEqual(killed.stdout.split('\n').slice(0, -1).map(Number).filter(isAlive), []);
  const left = (await engine.run(shell(line), { leftovers: 'leave' })).stdout.split('\n').slice(0, -1).map(Number);
  assert.deepEqual(left.map(isAlive), [true, true]);
  for (const pid of left) process.kill(pid);
});

test('a leftover that keeps writing emits nothing after the terminal event', async (t) => {
  const { engine, events } = recordedEngine(t, { drainTimeoutMs: 100 });
  const result = await engine.run(shell('(while :; do echo more; sleep 0.01; done) & echo pid $!; exit 0'));
  const pid = Number(result.stdout.match(/^pid (\d+)$/m)[1]);
  t.after(() => process.kill(pid));
  assert.deepEqual([result.status, result.leaked], ['completed', true]);
  const count = events.of(result.id).length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(events.of(result.id).length, count);
});

test('standard input is at its end at once, or what was given', async (t) => {
  const { engine } = recordedEngine(t);
  assert.equal((await engine.run(exec('cat'))).stdout, '');
  assert.equal((await engine.run(exec('cat'), { stdin: 'text é\n' })).stdout, 'text é\n');
  assert.equal((await engine.run(exec('cat'), { stdin: '' })).stdout, '');
  assert.equal((await engine.run(exec('cat'), { stdin: Buffer.from('bytes') })).stdout, 'bytes');
  const part = new Uint8Array(Buffer.from('-window-')).subarray(1, 7);
  assert.equal((await engine.run(exec('cat'), { stdin: part })).stdout, 'window');
});

test('input is taken when it is given: a later change of the bytes is not seen', async (t) => {
  const { engine } = recordedEngine(t);
  const stdin = Buffer.from('before');
  const run = engine.run(exec('cat'), { stdin });
  stdin.write('after!');
  assert.equal((await run).stdout, 'before');
});

test('much input and much output do not block each other', async (t) => {
  const { engine } = recordedEngine(t, { maxOutputSizeBytes: 16 * 1024 * 1024 });
  const stdin = 'line of input\n'.repeat(300_000);
  const { stdout } = await engine.run(exec('cat'), { stdin });
  assert.ok(stdout === stdin);
});

test('a command that does not read its input is not harmed', async (t) => {
  const { engine } = recordedEngine(t);
  const { status } = await engine.run(shell('exec true'), { stdin: 'x'.repeat(1_000_000) });
  assert.equal(status, 'completed');
});
