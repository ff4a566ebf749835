// `runSync` blocks the calling thread until the result.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { newEngine } from './helpers/engine.mjs';
import { failureNow } from './helpers/outcomes.mjs';
import { withEnoughTime } from './helpers/pace.mjs';
import { exec, forever, nothing, shell, stubborn } from './helpers/programs.mjs';

test('it returns the result, and the event loop does not turn meanwhile', async (t) => {
  const engine = newEngine(t);
  let turns = 0;
  const interval = setInterval(() => turns++, 1);
  t.after(() => clearInterval(interval));
  const result = engine.runSync(shell('sleep 0.3; echo out; echo err >&2; exit 3', { metadata: { label: 'here' } }));
  assert.equal(turns, 0);
  assert.deepEqual(
    [result.status, result.exitCode, result.stdout, result.stderr, result.metadata.label],
    ['failed', 3, 'out\n', 'err\n', 'here'],
  );
  assert.deepEqual(engine.getResult(result.id), result);
  assert.deepEqual(await engine.waitForCompletion(result.id), result);
  assert.equal(engine.getStats().failed, 1);
});

test('with input, options, variables and bytes', async (t) => {
  const engine = newEngine(t);
  assert.equal(engine.runSync(exec('cat'), { stdin: 'text' }).stdout, 'text');
  assert.deepEqual(engine.runSync(exec('cat'), { stdin: Buffer.from([255, 0]), encoding: 'buffer' }).stdout, Buffer.from([255, 0]));
  assert.equal(engine.runSync(shell('echo $A', { env: { A: '5' } })).stdout, '5\n');
  assert.equal(engine.runSync(shell('exit 1'), { retry: { attempts: 3, backoffMs: 0 } }).attempt, 3);
  const large = engine.runSync(shell('head -c 5000000 /dev/zero | tr "\\0" x'));
  assert.equal(large.stdout.length, 5_000_000);
});

test('timeouts hold, and the tree is ended', async (t) => {
  const engine = newEngine(t, { killGraceMs: 100 });
  const total = await withEnoughTime(500, (timeoutMs) => {
    const result = engine.runSync({ ...stubborn, timeoutMs });
    return result.stdout === 'ready\n' && result;
  });
  assert.deepEqual([total.status, total.reason, total.signal], ['timeout', 'timeout', 'SIGKILL']);
  assert.equal(engine.runSync(forever, { idleTimeoutMs: 200 }).reason, 'idle_timeout');
});

test('no listener gets its events, and a flood with a listener blocks nothing', async (t) => {
  const engine = newEngine(t);
  const seen = [];
  engine.on('event', (event) => seen.push(event));
  const { stdoutBytes } = engine.runSync(shell('seq 500000'));
  assert.ok(stdoutBytes > 3_000_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(seen, []);
});

test('failures of the engine are thrown', async (t) => {
  const engine = newEngine(t);
  const spawn = failureNow(() => engine.runSync(exec('no-such-program')), 'SPAWN_FAILED');
  assert.deepEqual([spawn.errno, spawn.result.reason], ['ENOENT', 'spawn_failed']);
  const capped = () => engine.runSync(shell('echo long'), { maxOutputSizeBytes: 2, oversizedOutputStrategy: 'failExecution' });
  failureNow(capped, 'OUTPUT_SIZE_EXCEEDED');
  assert.equal(failureNow(() => engine.runSync({ command: { type: 'exec' } }), 'INVALID_REQUEST').field, 'command.program');
  assert.equal(failureNow(() => engine.runSync(nothing, { stdn: 'x' }), 'INVALID_REQUEST').field, 'options.stdn');
  const secret = failureNow(() => engine.runSync(exec('hunter2-hunter2'), { secrets: ['hunter2-hunter2'] }), 'SPAWN_FAILED');
  assert.doesNotMatch(secret.message, /hunter2/);
});

test('input that needs this thread is refused, and an abort signal counts if it has fired', async (t) => {
  const engine = newEngine(t);
  for (const stdin of [
    (async function* () {
      yield 'a';
    })(),
    new Set(['a']),
    process.stdin,
    new Blob(['a']),
    'open',
  ])
    assert.equal(failureNow(() => engine.runSync(exec('cat'), { stdin }), 'INVALID_REQUEST').field, 'options.stdin');
  for (const input of [Readable.from(['a']), new Blob(['a'])]) {
    const refused = failureNow(() => engine.runSync(exec('cat'), { input }), 'INVALID_REQUEST');
    assert.equal(refused.field, 'options.input');
    assert.match(refused.message, /it is a stream.*or use run\(\)/);
  }
  assert.equal(engine.runSync(exec('cat'), { input: 'text' }).stdout, 'text');
  assert.equal(failureNow(() => engine.runSync(exec('cat'), { terminal: true }), 'INVALID_REQUEST').field, 'options.stdin');
  const aborted = engine.runSync(forever, { signal: AbortSignal.abort('why') });
  assert.deepEqual([aborted.status, aborted.reason, aborted.abortReason, aborted.pid], ['cancelled', 'aborted', 'why', null]);
  assert.equal(engine.runSync(nothing, { signal: new AbortController().signal }).status, 'completed');
});

test('it waits for no slot', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 1 });
  const id = await engine.execute(forever);
  failureNow(() => engine.runSync(nothing), 'CONCURRENCY_LIMIT_REACHED');
  await engine.cancel(id);
  assert.equal(engine.runSync(nothing).status, 'completed');
  await engine.shutdown();
  failureNow(() => engine.runSync(nothing), 'ENGINE_SHUT_DOWN');
});

test('a group without a place is named, as its limit and not that of the engine is in the way', async (t) => {
  const engine = newEngine(t, { groupLimits: { spare: 2 } });
  const id = await engine.execute(forever, { groups: ['spare', 'database'] });
  const error = failureNow(() => engine.runSync(nothing, { groups: ['spare', 'database'] }), 'CONCURRENCY_LIMIT_REACHED');
  assert.equal(error.field, 'options.groups[1]');
  await engine.cancel(id);
});

test('it is reported as any other execution: feedback, tracing, and why it was aborted', async (t) => {
  const statuses = [];
  const traced = [];
  const note = (name) => (message) => traced.push([name, message.executionId, message.command, message.status]);
  const [start, end] = [note('start'), note('end')];
  subscribe('escher:execution:start', start);
  subscribe('escher:execution:end', end);
  t.after(() => unsubscribe('escher:execution:start', start));
  t.after(() => unsubscribe('escher:execution:end', end));
  const engine = newEngine(t, { feedback: (status) => statuses.push(status) });
  const { id } = engine.runSync({ ...shell('exit 3'), metadata: { label: 'sync' } });
  assert.deepEqual(
    statuses.map(({ executionId, label, exitCode }) => [executionId, label, exitCode]),
    [[id, 'sync', 3]],
  );
  assert.deepEqual(traced, [
    ['start', id, 'exit 3', undefined],
    ['end', id, 'exit 3', 'failed'],
  ]);
  const aborted = engine.runSync(nothing, { signal: AbortSignal.abort('enough') });
  assert.deepEqual([aborted.abortReason, engine.getResult(aborted.id).abortReason], ['enough', 'enough']);
  assert.equal(statuses.length, 2);
});

test('in a worker, and many times in a row', async (t) => {
  const engine = newEngine(t);
  for (let round = 0; round < 50; round++) assert.equal(engine.runSync(exec('echo', String(round))).stdout, `${round}\n`);
  const source = `const { ExecutionEngine } = require(${JSON.stringify(new URL('../index.js', import.meta.url).pathname)});
    process.env.OF_WORKER = 'yes';
    require('node:worker_threads').parentPort.postMessage(new ExecutionEngine().runSync({ command: { type: 'shell', command: 'echo $OF_WORKER' } }).stdout);`;
  const worker = new Worker(source, { eval: true });
  const [answer] = await new Promise((resolve, reject) => worker.once('message', (text) => resolve([text])).once('error', reject));
  assert.equal(answer, 'yes\n');
  await worker.terminate();
});
