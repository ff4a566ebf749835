// `signal` sends a signal to the command itself, and ends nothing by that.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { file, folder, isAlive, nothing, shell, until, untilFile } from './helpers/programs.mjs';

const skip = process.platform === 'win32' && 'there are no such signals';
const linux = { skip: process.platform !== 'linux' && 'reads /proc' };

test('the command handles it, goes on, and completes', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  const go = path.join(folder(t), 'go');
  const id = await engine.execute(
    shell(`trap 'echo one' USR1; trap 'echo two' USR2; echo ready; while [ ! -e "$GO" ]; do sleep 0.02; done; echo over`, {
      env: { GO: go },
    }),
  );
  await events.line('ready');
  assert.equal(await engine.signal(id, 'SIGUSR1'), true);
  await events.line('one');
  assert.equal(await engine.signal(id, 'SIGUSR2'), true);
  await events.line('two');
  assert.equal(engine.getStatus(id), 'running');
  file(path.dirname(go), 'go');
  const { status, stdout, killed, reason } = await engine.waitForCompletion(id);
  assert.deepEqual([status, stdout, killed, reason], ['completed', 'ready\none\ntwo\nover\n', undefined, 'exit']);
});

test('SIGSTOP stops the command, SIGCONT lets it go on', linux, async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('echo ready; while :; do sleep 0.02; done'));
  const { executionId } = await events.line('ready');
  const { pid } = events.of(executionId).find(({ type }) => type === 'started');
  const state = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1][0];
  assert.equal(await engine.signal(id, 'SIGSTOP'), true);
  await until(() => state() === 'T', 'it is stopped');
  assert.equal(engine.getStatus(id), 'running');
  assert.equal(await engine.signal(id, 'SIGCONT'), true);
  await until(() => state() !== 'T', 'it continues');
  await engine.signal(id, 'SIGSTOP');
  await until(() => state() === 'T', 'it is stopped');
  await engine.cancel(id);
  assert.equal(engine.getResult(id).signal, 'SIGTERM', 'a stopped command is ended as any other');
});

test('the children of the command do not get it', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(
    shell(`trap 'echo command; exit 4' USR1; sh -c 'trap "echo child" USR1; echo ready; while :; do sleep 0.02; done' & wait`),
    { leftovers: 'kill' },
  );
  await events.line('ready');
  await engine.signal(id, 'SIGUSR1');
  const { exitCode, stdout } = await engine.waitForCompletion(id);
  assert.deepEqual([exitCode, stdout], [4, 'ready\ncommand\n']);
});

test('one that the command does not survive is not an end by the engine', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  for (const name of ['SIGKILL', 'SIGTERM', 'SIGINT']) {
    const id = await engine.execute(shell('echo ready; exec sleep 300'));
    await events.line('ready', id);
    assert.equal(await engine.signal(id, name), true);
    const { status, reason, signal, killed } = await engine.waitForCompletion(id);
    assert.deepEqual([status, reason, signal, killed], ['failed', 'signal', name, undefined]);
  }
});

test('false for one that waits and for one that has ended', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const dir = folder(t);
  const first = await engine.execute(untilFile(path.join(dir, 'go')));
  await events.line('ready', first);
  const waiting = await engine.execute(nothing);
  assert.equal(await engine.signal(waiting, 'SIGINT'), false);
  assert.equal(await engine.signal(waiting, 'SIGKILL'), false);
  file(dir, 'go');
  assert.equal((await engine.waitForCompletion(waiting)).status, 'completed', 'it was not affected');
  assert.equal(await engine.signal(waiting, 'SIGKILL'), false);
  assert.equal(await engine.signal(first, 'SIGKILL'), false);
  const { pid } = engine.getResult(first);
  assert.ok(!isAlive(pid));
});

test('an unknown one is NOT_FOUND', async (t) => {
  const { engine } = recordedEngine(t);
  const id = randomUUID();
  assert.equal((await failure(() => engine.signal(id, 'SIGUSR1'), 'NOT_FOUND')).executionId, id);
});

test('it works during the grace period, and after a shutdown has begun', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: 600_000 });
  const id = await engine.execute(
    shell("trap 'echo asked' TERM; trap 'echo enough; exit 6' USR1; echo ready; while :; do sleep 0.02; done"),
  );
  await events.line('ready');
  const over = engine.shutdown();
  await events.line('asked');
  assert.equal(await engine.signal(id, 'SIGUSR1'), true);
  await over;
  assert.deepEqual([engine.getResult(id).exitCode, engine.getResult(id).reason], [6, 'shutdown']);
});

test('what is no name of a signal is refused by its kind, and not repeated', async (t) => {
  const { engine } = recordedEngine(t);
  const id = await engine.execute(nothing);
  for (const [value, kind] of [
    [4_711, 'a number'],
    ['hunter2', undefined],
    [true, 'a boolean'],
    [-4_711, 'a number (negative)'],
    [{ hunter2: 1 }, 'an object'],
  ]) {
    const { message, field } = await failure(() => engine.signal(id, value), 'INVALID_REQUEST');
    assert.equal(field, 'signal');
    if (kind) assert.ok(message.includes(`it is ${kind}: give`), message);
    assert.doesNotMatch(message, /4711|hunter2|true/);
  }
  for (const graceMs of ['hunter2', -4_711, 4.711]) {
    const { message } = await failure(() => engine.cancel(id, { graceMs }), 'INVALID_REQUEST');
    assert.doesNotMatch(message, /4711|4\.711|hunter2/);
  }
});
