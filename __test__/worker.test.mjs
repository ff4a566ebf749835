// Each thread has engines of its own; a thread that goes takes only its own with it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { ExecutionEngine } from '../index.js';
import { recordedEngine } from './helpers/engine.mjs';
import { isAlive, shell, until } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

/** Returns the first message of a worker, and its exit code. */
const outcome = (worker) => Promise.all([once(worker, 'message'), once(worker, 'exit')]).then(([[message], [code]]) => ({ message, code }));
const start = (name, workerData) => new Worker(new URL(`./helpers/${name}.mjs`, import.meta.url), { workerData });

test('several isolates at once, each with its own commands', async (t) => {
  const { engine, events } = recordedEngine(t);
  const outcomes = ['a', 'b', 'c'].map((name) =>
    outcome(
      start(
        'running-worker',
        Array.from({ length: 20 }, (_, index) => shell(`echo ${name}${index}`)),
      ),
    ),
  );
  const own = await Promise.all(Array.from({ length: 20 }, (_, index) => engine.run(shell(`echo main${index}`))));
  for (const [at, { message, code }] of (await Promise.all(outcomes)).entries()) {
    assert.equal(code, 0, 'a worker whose engine has finished exits by itself');
    assert.deepEqual(message.statuses, Array(20).fill('completed'));
    assert.deepEqual(message.lines.sort(), Array.from({ length: 20 }, (_, index) => `${'abc'[at]}${index}`).sort());
  }
  assert.deepEqual(
    own.map((result) => events.lines(result.id)[0]),
    own.map((_, index) => `main${index}`),
  );
});

test('a worker sees variables of its own', async (t) => {
  const source = `
    const { parentPort } = require('node:worker_threads');
    const { ExecutionEngine } = require(${JSON.stringify(new URL('../index.js', import.meta.url).pathname)});
    process.env.ENGINE_TEST_WORKER = 'set in the worker';
    new ExecutionEngine().run({ command: { type: 'shell', command: 'echo $ENGINE_TEST_WORKER' } }).then((result) => parentPort.postMessage(result.stdout));
  `;
  assert.deepEqual(await outcome(new Worker(source, { eval: true })), { message: 'set in the worker\n', code: 0 });
  const { engine } = recordedEngine(t);
  assert.equal((await engine.run(shell('echo "[$ENGINE_TEST_WORKER]"'))).stdout, '[]\n');
});

test('the global engine is that of its thread', async () => {
  const source = `
    const { parentPort } = require('node:worker_threads');
    const { ExecutionEngine } = require(${JSON.stringify(new URL('../index.js', import.meta.url).pathname)});
    parentPort.postMessage(ExecutionEngine.initGlobal({ killGraceMs: 3 }).config.killGraceMs);
  `;
  assert.equal(ExecutionEngine.initGlobal({ killGraceMs: 4 }).config.killGraceMs, 4);
  for (let round = 0; round < 2; round += 1) {
    assert.deepEqual(await outcome(new Worker(source, { eval: true })), { message: 3, code: 0 });
  }
});

test('a worker that is terminated in a flood ends its trees, again and again; the main thread continues', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('echo ready; i=0; while :; do i=$((i + 1)); echo $i; sleep 0.02; done'));
  await events.line('ready', id);
  const pids = [];
  const round = async (index) => {
    const worker = start('flooding-worker', { lines: 1 + ((index * 37) % 2_000), stream: index % 2 === 1 });
    const flooded = new Promise((resolve, reject) => {
      worker.on('message', (message) => (message === 'flooded' ? resolve() : pids.push(message.pid)));
      worker.on('error', reject);
    });
    await flooded;
    await worker.terminate();
  };
  await repeatedly(REPEATS, 5, round);
  assert.ok(pids.length >= REPEATS, `${pids.length} commands were reported`);
  await until(() => pids.every((pid) => !isAlive(pid)), 'the trees of the workers are gone', 6_000);
  const before = events.of(id).length;
  await events.first((event) => event.executionId === id && event.sequence > before + 1);
  await engine.cancel(id);
  assert.equal((await engine.run(shell('echo on'))).stdout, 'on\n');
});
