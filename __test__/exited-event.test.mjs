// `exited` says that the command itself has exited, before its output is drained and before the end of the execution.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { exec, file, folder, forever, nothing, shell } from './helpers/programs.mjs';

/** Returns an engine whose every event is recorded, with a listener for `exited`. */
function listeningEngine(t) {
  const recorded = recordedEngine(t);
  recorded.engine.on('exited', () => {});
  return recorded;
}

const named = (events) => events.filter(({ type }) => type === 'exited').map(({ exitCode, signal }) => [exitCode, signal]);

test('its exit code or signal, once for each command, before the terminal event', async (t) => {
  const { engine, events } = listeningEngine(t);
  for (const [line, exitCode, signal] of [
    ['exit 0', 0, null],
    ['exit 7', 7, null],
    ['exit 255', 255, null],
    ['kill -KILL $$', null, 'SIGKILL'],
    ['kill -USR1 $$', null, 'SIGUSR1'],
  ]) {
    const { id } = await engine.run(shell(line));
    assert.deepEqual(named(events.of(id)), [[exitCode, signal]], line);
    assert.equal(events.of(id).at(-2).type, 'exited');
  }
});

test('it comes before a pipe that a background process holds is drained', async (t) => {
  const engine = newEngine(t, { drainTimeoutMs: 60_000 });
  const dir = folder(t);
  const at = {};
  for (const type of ['exited', 'stdout', 'completed']) engine.on(type, () => (at[type] ??= performance.now()));
  engine.on('exited', () => file(dir, 'go'));
  await engine.run(shell('(while [ ! -e "$GO" ]; do sleep 0.01; done; echo late) & exit 0', { env: { GO: path.join(dir, 'go') } }));
  assert.ok(at.exited < at.stdout && at.stdout <= at.completed, JSON.stringify(at));
});

test('a command that is ended has it too, and one that never ran does not', async (t) => {
  const { engine, events } = listeningEngine(t);
  const id = await engine.execute(forever);
  await events.line('ready', id);
  await engine.cancel(id);
  assert.deepEqual(named(events.of(id)), [[null, 'SIGTERM']]);
  await assert.rejects(engine.run(exec('no-such-program')), { code: 'SPAWN_FAILED' });
  const aborted = await engine.run(forever, { signal: AbortSignal.abort() });
  assert.deepEqual(named(events.of(aborted.id)), []);
});

test('each attempt has one', async (t) => {
  const { engine, events } = listeningEngine(t);
  const { id } = await engine.run(shell('exit 3'), { retry: { attempts: 3, backoffMs: 0 } });
  assert.deepEqual(named(events.of(id)), [
    [3, null],
    [3, null],
    [3, null],
  ]);
});

test('without a listener for it there is none, for listeners to everything and streams neither', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id } = await engine.run(nothing);
  assert.deepEqual(events.types(id), ['started', 'completed']);
  const streamed = [];
  for await (const { type } of engine.stream(nothing)) streamed.push(type);
  assert.deepEqual(streamed, ['started', 'completed']);
});

test('a listener for it alone gets it, and then a stream does too', async (t) => {
  const engine = newEngine(t);
  const seen = once(engine, 'exited');
  const { id } = await engine.run(shell('exit 4'));
  const [{ executionId, exitCode, signal, timestamp }] = await seen;
  assert.deepEqual([executionId, exitCode, signal, timestamp instanceof Date], [id, 4, null, true]);
  engine.on('exited', () => {});
  const streamed = [];
  for await (const event of engine.stream(shell('exit 5'))) streamed.push(event);
  assert.deepEqual(named(streamed), [[5, null]]);
});
