// Many requests by one call: each is accepted or refused by itself.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, folder, forever, nothing, shell } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

const CODE = 'INVALID_REQUEST';
const idOf = (outcome) => {
  assert.equal(outcome.status, 'fulfilled', outcome.reason?.message);
  return outcome.value;
};
const count = (length, make) => Array.from({ length }, (_, index) => make(index));

test('each request runs, and the outcomes are in the order of the requests', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 3 });
  const ids = [undefined, randomUUID(), undefined];
  const requests = count(30, (index) => ({ ...exec('echo', String(index)), id: ids[index], metadata: { label: `number ${index}` } }));
  const outcomes = await engine.executeMany(requests);
  assert.deepEqual(
    outcomes.map((outcome) => Object.keys(outcome)),
    outcomes.map(() => ['status', 'value']),
  );
  assert.equal(outcomes[1].value, ids[1]);
  const results = await Promise.all(outcomes.map((outcome) => engine.waitForCompletion(idOf(outcome))));
  assert.deepEqual(
    results.map(({ stdout, metadata }) => [stdout, metadata.label]),
    requests.map((_, index) => [`${index}\n`, `number ${index}`]),
  );
  assert.deepEqual(
    outcomes.map((outcome) => events.lines(outcome.value)),
    requests.map((_, index) => [String(index)]),
  );
  assert.deepEqual(await engine.executeMany([]), []);
});

test('a refused request leaves the others as they are, and its error names its index', async (t) => {
  const engine = newEngine(t);
  const id = randomUUID();
  const throwing = {
    get command() {
      throw new Error('mine');
    },
  };
  const wrong = [
    [exec(''), 'requests[1].command.program'],
    [{ command: { type: 'exec', program: 'echo', args: ['a', 5] } }, 'requests[2].command.args[1]'],
    [null, 'requests[3]'],
    [undefined, 'requests[4]'],
    [[nothing], 'requests[5]'],
    ['true', 'requests[6]'],
    [{ ...nothing, comand: {} }, 'requests[7].comand'],
    [{ ...nothing, 'a b': 1 }, 'requests[8]["a b"]'],
    [{ ...nothing, timeoutMs: NaN }, 'requests[9].timeoutMs'],
    [{ ...nothing, timeoutMs: 2 ** 40 }, 'requests[10].timeoutMs'],
    [{ ...nothing, env: { 'A=B': 'x' } }, 'requests[11].env["A"]'],
    [{ ...nothing, metadata: new Map() }, 'requests[12].metadata'],
    [throwing, 'requests[13].command'],
    [exec('\ud800'), 'requests[14].command.program'],
    [new Date(), 'requests[15]'],
  ];
  const requests = [{ ...exec('echo', 'first'), id }, ...wrong.map(([request]) => request), exec('echo', 'last')];
  const outcomes = await engine.executeMany(requests);
  assert.equal(outcomes.length, requests.length);
  wrong.forEach(([, field], at) => {
    const { status, reason } = outcomes[at + 1];
    assert.deepEqual([status, reason.code, reason.field], ['rejected', CODE, field]);
    assert.ok(reason.message.startsWith(`invalid request: ${field}: `), reason.message);
    assert.match(reason.stack, /execute-many\.test\.mjs/);
  });
  assert.equal(outcomes[13].reason.cause.message, 'mine');
  assert.equal((await engine.waitForCompletion(idOf(outcomes[0]))).stdout, 'first\n');
  assert.equal((await engine.waitForCompletion(idOf(outcomes.at(-1)))).stdout, 'last\n');
  assert.equal(engine.getStats().total, 2);

  const again = await engine.executeMany([
    { ...nothing, id },
    { ...nothing, id: id.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) },
  ]);
  assert.deepEqual([again[0].reason.code, again[0].reason.executionId], ['DUPLICATE_ID', id]);
  await engine.waitForCompletion(idOf(again[1]));
});

test('a request without a refusal of its own has the message of execute', async (t) => {
  const engine = newEngine(t);
  for (const request of [exec(''), { ...nothing, timeoutMs: 0 }, { ...nothing, metadata: { tags: 5 } }, exec('a\0b')]) {
    const { field, message } = await failure(() => engine.execute(request), CODE);
    const [{ reason }] = await engine.executeMany([request]);
    assert.equal(reason.field, `requests[0].${field}`);
    assert.equal(reason.message, message.replace(`: ${field}: `, `: requests[0].${field}: `));
  }
});

test('what is wrong with the call itself rejects it, and nothing is accepted', async (t) => {
  const engine = newEngine(t);
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  for (const requests of [undefined, null, {}, 'true', 5, nothing, new Set([nothing]), proxy]) {
    const error = await failure(() => engine.executeMany(requests), CODE);
    assert.equal(error.field, 'requests');
    assert.match(error.message, /^invalid request: requests: .*: give /);
  }
  const trapped = new Proxy([nothing], {
    get() {
      throw new Error('mine');
    },
  });
  assert.equal((await failure(() => engine.executeMany(trapped), CODE)).field, 'requests');
  for (const [options, field] of [
    [5, 'options'],
    [{ timeout: 5 }, 'options.timeout'],
    [{ killGraceMs: -1 }, 'options.killGraceMs'],
    [{ signal: 'abort' }, 'options.signal'],
    [{ stdin: Readable.from(['a']) }, 'options.stdin'],
    [{ input: (async function* () {})() }, 'options.input'],
  ]) {
    const error = await failure(() => engine.executeMany([nothing, nothing], options), CODE);
    assert.equal(error.field, field);
  }
  const much = { ...nothing, env: { A: 'x'.repeat(1024 * 1024) } };
  const large = await failure(() => engine.executeMany(count(65, () => much)), CODE);
  assert.equal(large.field, 'requests');
  const many = await failure(() => engine.executeMany(new Array(2_000_000)), CODE);
  assert.equal(many.field, 'requests');
  assert.equal(engine.getStats().total, 0);
});

test('a request that is too large by itself does not take from the others', async (t) => {
  const engine = newEngine(t);
  const wide = { ...nothing, metadata: { tags: [], list: new Array(150_000).fill(0) } };
  const outcomes = await engine.executeMany([...count(10, () => wide), exec('echo', 'fits')]);
  assert.ok(outcomes.slice(0, 10).every(({ reason }, index) => reason.field === `requests[${index}].metadata`));
  assert.equal((await engine.waitForCompletion(idOf(outcomes[10]))).stdout, 'fits\n');
});

test('beyond the bound of the queue each is refused, those before it run', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 1, maxQueuedExecutions: 2 });
  const outcomes = await engine.executeMany(count(5, () => forever));
  assert.deepEqual(
    outcomes.map(({ reason }) => reason?.code),
    [undefined, undefined, undefined, 'QUEUE_FULL', 'QUEUE_FULL'],
  );
  assert.equal(await engine.cancelAll({ graceMs: 0 }), 3);
  await engine.shutdown();
  const [{ reason }] = await engine.executeMany([nothing]);
  assert.equal(reason.code, 'ENGINE_SHUT_DOWN');
});

test('the options are those of each execution', async (t) => {
  const engine = newEngine(t);
  for (const input of ['given', Buffer.from('given')]) {
    const outcomes = await engine.executeMany([exec('cat'), shell('cat; echo "$A"', { env: { A: 'b' } })], { input, encoding: 'buffer' });
    const results = await Promise.all(outcomes.map((outcome) => engine.waitForCompletion(idOf(outcome))));
    assert.deepEqual(
      results.map(({ stdout }) => stdout),
      [Buffer.from('given'), Buffer.from('givenb\n')],
    );
  }
  const retry = { attempts: 2, backoffMs: 1 };
  const twice = await engine.executeMany(
    count(2, () => shell('exit 1')),
    { retry },
  );
  for (const outcome of twice) assert.equal((await engine.waitForCompletion(idOf(outcome))).attempt, 2);
});

test('each gets the variables of the moment of the call, in a worker too', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 1 });
  t.after(() => delete process.env.STAGE_OF_MANY);
  process.env.STAGE_OF_MANY = 'then';
  const outcomes = await engine.executeMany(count(3, () => shell('echo "$STAGE_OF_MANY"')));
  process.env.STAGE_OF_MANY = 'later';
  for (const outcome of outcomes) assert.equal((await engine.waitForCompletion(idOf(outcome))).stdout, 'then\n');

  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { ExecutionEngine } = require(workerData);
    const engine = new ExecutionEngine();
    const command = { type: 'shell', command: 'echo "$STAGE_OF_MANY"' };
    process.env.STAGE_OF_MANY = 'of the worker';
    engine.executeMany([{ command }, { command }]).then(async (outcomes) => {
      const results = await Promise.all(outcomes.map(({ value }) => engine.waitForCompletion(value)));
      parentPort.postMessage(results.map(({ stdout }) => stdout));
      await engine.shutdown();
    });
  `;
  const worker = new Worker(source, { eval: true, workerData: fileURLToPath(new URL('../index.js', import.meta.url)) });
  const exit = once(worker, 'exit');
  const [lines] = await once(worker, 'message');
  assert.deepEqual(lines, ['of the worker\n', 'of the worker\n']);
  await exit;
});

test('one abort signal ends them all, and only those of its call', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 2 });
  const controller = new AbortController();
  const [other] = await engine.executeMany([shell('sleep 0.2; echo on')]);
  const outcomes = await engine.executeMany(
    count(20, () => forever),
    { signal: controller.signal, killGraceMs: 0 },
  );
  const reason = new Error('enough');
  controller.abort(reason);
  const results = await Promise.all(outcomes.map((outcome) => engine.waitForCompletion(idOf(outcome))));
  assert.ok(results.every((result) => result.reason === 'aborted' && result.abortReason === reason));
  assert.equal((await engine.waitForCompletion(idOf(other))).stdout, 'on\n');

  const folderOfMarkers = folder(t);
  const marker = path.join(folderOfMarkers, 'marker');
  const late = await engine.executeMany(
    count(3, () => exec('touch', marker)),
    { signal: controller.signal },
  );
  for (const outcome of late) assert.equal((await engine.waitForCompletion(idOf(outcome))).reason, 'aborted');
  assert.ok(!existsSync(marker), 'nothing was spawned');
});

test('a signal that fires while the requests are read ends them all', async (t) => {
  const engine = newEngine(t);
  const controller = new AbortController();
  const requests = [
    nothing,
    {
      get command() {
        controller.abort();
        return nothing.command;
      },
    },
  ];
  const outcomes = await engine.executeMany(requests, { signal: controller.signal });
  for (const outcome of outcomes) assert.equal((await engine.waitForCompletion(idOf(outcome))).reason, 'aborted');
});

test('however an abort meets the ends, each execution has one', async (t) => {
  const { engine } = recordedEngine(t, { maxConcurrentExecutions: 4 });
  await repeatedly(REPEATS, 4, async (attempt) => {
    const controller = new AbortController();
    const outcomes = await engine.executeMany(
      count(8, () => nothing),
      { signal: controller.signal },
    );
    const results = outcomes.map((outcome) => engine.waitForCompletion(idOf(outcome)));
    setTimeout(() => controller.abort(), attempt % 5);
    for (const { status } of await Promise.all(results)) assert.match(status, /^(?:completed|cancelled)$/);
  });
});

test('secrets of the call are in no refusal', async (t) => {
  const engine = newEngine(t, { secrets: ['of-the-engine'] });
  const requests = [
    { ...nothing, 'of-the-engine': 1 },
    { ...nothing, 'of-the-call': 1 },
    { ...nothing, 'of-a-variable': 1, env: { TOKEN: 'of-a-variable' } },
    { ...nothing, 'of-the-call\ud800': 1 },
  ];
  const outcomes = await engine.executeMany(requests, { secrets: ['of-the-call'], maskEnvSecrets: true });
  for (const { reason } of outcomes) {
    assert.equal(reason.code, CODE);
    assert.doesNotMatch(`${reason.message} ${reason.field} ${reason.stack}`, /of-(?:the|a)-/);
  }
});

test('each is announced on the diagnostics channel', async (t) => {
  const engine = newEngine(t);
  const traces = [];
  const take = (trace) => traces.push(trace);
  diagnostics.subscribe('escher:execution:start', take);
  t.after(() => diagnostics.unsubscribe('escher:execution:start', take));
  const outcomes = await engine.executeMany([{ ...nothing, metadata: { label: 'a' } }, exec(''), { ...nothing, metadata: { label: 'b' } }]);
  assert.deepEqual(
    traces.map(({ executionId, metadata }) => [executionId, metadata]),
    [
      [outcomes[0].value, { label: 'a' }],
      [outcomes[2].value, { label: 'b' }],
    ],
  );
  await engine.cancelAll();
});
