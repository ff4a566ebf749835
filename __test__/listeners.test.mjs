// Listeners come and go as with any EventEmitter.
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { file, folder, forever, nothing, shell, until, untilFile } from './helpers/programs.mjs';

test('an engine is an EventEmitter', async (t) => {
  const engine = newEngine(t);
  assert.ok(engine instanceof EventEmitter);
  const listener = () => {};
  assert.equal(engine.on('stdout', listener), engine);
  assert.equal(engine.listenerCount('stdout'), 1);
  assert.deepEqual(engine.eventNames(), ['stdout']);
  assert.equal(engine.off('stdout', listener), engine);
  assert.equal(engine.listenerCount('stdout'), 0);
});

test('a listener that comes late gets what comes then', async (t) => {
  const engine = newEngine(t);
  const dir = folder(t);
  const started = once(engine, 'started');
  const id = await engine.execute(untilFile(path.join(dir, 'go'), 'echo after'));
  await started;
  const lines = [];
  engine.on('stdout', (event) => lines.push(event.line));
  const ended = once(engine, 'completed');
  file(dir, 'go');
  const [completed] = await ended;
  assert.equal(completed.executionId, id);
  assert.equal(lines.at(-1), 'after');
});

test('a listener that comes late sees in the sequence that it missed something', async (t) => {
  const dir = folder(t);
  const engine = newEngine(t, { logDir: folder(t) });
  const id = await engine.execute(untilFile(path.join(dir, 'go'), 'echo three'));
  await until(async () => (await engine.readLogs(id).catch(() => '')) === 'ready\n', 'the first line was read');
  // The events of what was read before another execution began were without a listener when that has ended.
  await engine.run(nothing);
  const seen = [];
  engine.on('event', (event) => seen.push(event));
  file(dir, 'go');
  await engine.waitForCompletion(id);
  assert.deepEqual(
    seen.map((event) => [event.type, event.line, event.sequence]),
    [
      ['stdout', 'three', 2],
      ['completed', undefined, 3],
    ],
  );
});

test('a listener that was removed gets nothing more', async (t) => {
  const engine = newEngine(t);
  const dir = folder(t);
  const lines = [];
  const listener = (event) => {
    lines.push(event.line);
    engine.off('stdout', listener);
    file(dir, 'go');
  };
  engine.on('stdout', listener);
  const id = await engine.execute(untilFile(path.join(dir, 'go'), 'echo more'));
  assert.equal((await engine.waitForCompletion(id)).stdout, 'ready\nmore\n');
  assert.deepEqual(lines, ['ready']);
});

test('once is once, and prependListener comes first', async (t) => {
  const engine = newEngine(t);
  const order = [];
  engine.once('completed', () => order.push('once'));
  engine.on('completed', () => order.push('on'));
  engine.prependListener('completed', () => order.push('first'));
  await engine.run(nothing);
  await engine.run(nothing);
  assert.deepEqual(order, ['first', 'once', 'on', 'first', 'on']);
});

test('events.once and removeAllListeners work', async (t) => {
  const engine = newEngine(t);
  const ended = once(engine, 'failed');
  engine.on('event', () => assert.fail('it was removed'));
  engine.removeAllListeners('event');
  const { id } = await engine.run(shell('echo x; exit 9'));
  const [event] = await ended;
  assert.equal(event.executionId, id);
  assert.equal(event.result.exitCode, 9);
});

test('what a listener starts runs: listeners may call the engine', async (t) => {
  const { engine, events } = recordedEngine(t);
  const second = new Promise((resolve) => {
    engine.once('completed', () => resolve(engine.run(shell('echo second'))));
  });
  await engine.run(shell('echo first'));
  assert.equal((await second).stdout, 'second\n');
  const cancelled = new Promise((resolve) => {
    engine.once('stdout', (event) => resolve(engine.cancel(event.executionId).then(() => event.executionId)));
  });
  await engine.execute(shell('echo third; exec sleep 300'));
  assert.equal(events.types(await cancelled).at(-1), 'cancelled');
});

test('an async listener is not waited for', async (t) => {
  const engine = newEngine(t);
  engine.on('stdout', () => new Promise(() => {}));
  assert.equal((await engine.run(shell('echo a; echo b'))).stdout, 'a\nb\n');
});

test('each event type reaches a listener of that type alone', async (t) => {
  const provoke = {
    queued: async (engine) => {
      const first = await engine.execute(forever);
      const second = engine.run(nothing);
      await engine.cancel(first);
      await second;
    },
    started: (engine) => engine.run(nothing),
    stdout: (engine) => engine.run(shell('echo out; echo err >&2')),
    stderr: (engine) => engine.run(shell('echo out; echo err >&2')),
    completed: (engine) => engine.run(nothing),
    failed: (engine) => engine.run(shell('exit 1')),
    cancelled: (engine) => engine.run(nothing, { signal: AbortSignal.abort() }),
    timeout: (engine) => engine.run(shell('exec sleep 100', { timeoutMs: 20 })),
  };
  for (const [type, action] of Object.entries(provoke)) {
    const engine = newEngine(t, { maxConcurrentExecutions: 1 });
    const received = [];
    engine.on(type, (event) => received.push(event.type));
    await action(engine);
    assert.deepEqual(received, [type]);
  }
});

test('a listener to some sees gaps only where others are', async (t) => {
  const engine = newEngine(t);
  const received = [];
  engine.on('stdout', (event) => received.push(event.sequence));
  engine.on('completed', (event) => received.push(event.sequence));
  await engine.run(shell('echo 1; echo 2; echo err >&2'), { mergeOutput: true });
  assert.deepEqual(received, [1, 2, 3, 4]);
});
