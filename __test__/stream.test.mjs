// A stream gives the events of one execution, in order, to its end.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { checkEvents, newEngine, recordedEngine, wholeLines } from './helpers/engine.mjs';
import { exec, forever, isAlive, nothing, shell } from './helpers/programs.mjs';

const all = async (stream) => {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
};

test('every event in order, then the end; id and result are promises', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream(shell('echo a; echo b; exit 3', { metadata: { label: 'streamed' } }));
  assert.ok(stream.id instanceof Promise && stream.result instanceof Promise);
  const events = await all(stream);
  const id = await stream.id;
  checkEvents(events, id);
  assert.deepEqual(
    events.map((event) => event.type),
    ['started', 'stdout', 'stdout', 'failed'],
  );
  assert.deepEqual(wholeLines(events.filter((event) => event.type === 'stdout')), ['a', 'b']);
  assert.ok(events[0].timestamp instanceof Date);
  const result = await stream.result;
  assert.equal(result.exitCode, 3);
  assert.deepEqual(events.at(-1).result, result);
  assert.deepEqual(engine.getResult(id), result);
  assert.deepEqual(
    engine.listExecutions({ label: 'streamed' }).map((row) => row.id),
    [id],
  );
});

test('a queued execution streams that it waits', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 1 });
  const first = engine.stream(forever);
  const second = engine.stream(nothing);
  const iterator = second[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value.type, 'queued');
  await engine.cancel(await first.id);
  assert.equal((await iterator.next()).value.type, 'started');
  assert.equal((await iterator.next()).value.type, 'completed');
  assert.deepEqual(await iterator.next(), { done: true, value: undefined });
  assert.deepEqual(await iterator.next(), { done: true, value: undefined });
});

test('ten thousand lines are all there', async (t) => {
  const engine = newEngine(t);
  const lines = [];
  const events = [];
  for await (const event of engine.stream(shell('seq 10000'))) {
    events.push(event);
    if (event.type === 'stdout') lines.push(event.line);
  }
  checkEvents(events);
  assert.deepEqual(
    lines,
    Array.from({ length: 10_000 }, (_, index) => String(index + 1)),
  );
});

test('break ends the command with its tree', async (t) => {
  const { engine } = recordedEngine(t);
  const stream = engine.stream(shell('sleep 300 & echo $!; echo ready; while :; do echo more; sleep 0.01; done'));
  const pids = [];
  for await (const event of stream) {
    if (event.type === 'started') pids.push(event.pid);
    if (event.line === 'ready') break;
    if (event.type === 'stdout') pids.push(Number(event.line));
  }
  const result = await stream.result;
  assert.deepEqual([result.status, result.reason], ['cancelled', 'cancelled']);
  assert.equal(pids.length, 2);
  assert.deepEqual(pids.filter(isAlive), []);
});

test('a throw in the loop ends it too, and comes out as it was', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream(forever);
  await assert.rejects(
    async () => {
      for await (const event of stream) if (event.line === 'ready') throw new RangeError('mine');
    },
    { name: 'RangeError', message: 'mine' },
  );
  assert.equal((await stream.result).status, 'cancelled');
});

test('break at the last event leaves the result as it is', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream(shell('echo x'));
  for await (const event of stream) if (event.type === 'completed') break;
  assert.equal((await stream.result).status, 'completed');
});

test('break before the first event ends it', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream(forever);
  await stream[Symbol.asyncIterator]().return();
  assert.equal((await stream.result).status, 'cancelled');
});

test('a cancel, an abort and a timeout end the iteration with their event', async (t) => {
  const { engine } = recordedEngine(t);
  const cancelled = engine.stream(forever);
  engine.cancel(await cancelled.id);
  assert.equal((await all(cancelled)).at(-1).type, 'cancelled');
  const aborted = await all(engine.stream(forever, { signal: AbortSignal.timeout(50) }));
  assert.equal(aborted.at(-1).result.reason, 'aborted');
  assert.equal((await all(engine.stream({ ...forever, timeoutMs: 50 }))).at(-1).type, 'timeout');
});

test('several streams at once do not mix', async (t) => {
  const { engine } = recordedEngine(t);
  const names = ['a', 'b', 'c', 'd', 'e'];
  const lists = await Promise.all(names.map((name) => all(engine.stream(shell(`for i in $(seq 200); do echo ${name}$i; done`)))));
  lists.forEach((events, index) => {
    checkEvents(events);
    assert.deepEqual(
      events.filter((event) => event.type === 'stdout').map((event) => event.line),
      Array.from({ length: 200 }, (_, at) => `${names[index]}${at + 1}`),
    );
  });
});

test('options are those of execute', async (t) => {
  const engine = newEngine(t);
  const events = await all(engine.stream(exec('cat'), { stdin: 'given\n' }));
  assert.equal(events.find((event) => event.type === 'stdout').line, 'given');
});

test('concurrent next() calls are answered in order', async (t) => {
  const engine = newEngine(t);
  const iterator = engine.stream(shell('echo a; echo b'))[Symbol.asyncIterator]();
  const answers = await Promise.all(Array.from({ length: 6 }, () => iterator.next()));
  assert.deepEqual(
    answers.map(({ value, done }) => [value?.type, done]),
    [
      ['started', false],
      ['stdout', false],
      ['stdout', false],
      ['completed', false],
      [undefined, true],
      [undefined, true],
    ],
  );
  assert.deepEqual(
    answers.slice(0, 4).map(({ value }) => value.sequence),
    [0, 1, 2, 3],
  );
});

test('streamOutput: false streams no lines', async (t) => {
  const engine = newEngine(t, { streamOutput: false });
  assert.deepEqual(
    (await all(engine.stream(shell('echo x')))).map((event) => event.type),
    ['started', 'completed'],
  );
});

test('the listeners of the engine get the same events', async (t) => {
  const { engine, events } = recordedEngine(t);
  const stream = engine.stream(shell('seq 100; echo err >&2'));
  const streamed = await all(stream);
  await stream.result;
  const received = events.of(await stream.id);
  const plain = (list) => list.map(({ type, sequence, line, executionId }) => ({ type, sequence, line, executionId }));
  assert.deepEqual(plain(received), plain(streamed));
});

test('a stream that is iterated twice, or from two places, gives each event once', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream(shell('seq 500'));
  const [one, two] = await Promise.all([all(stream), all(stream)]);
  const lines = [...one, ...two].filter((event) => event.type === 'stdout').map((event) => Number(event.line));
  assert.deepEqual(
    lines.sort((a, b) => a - b),
    Array.from({ length: 500 }, (_, index) => index + 1),
  );
  assert.deepEqual(await all(stream), []);
});

test('a stream is ended by the end of its block', async (t) => {
  const { engine } = recordedEngine(t);
  const stream = engine.stream(forever);
  const { pid } = await stream[Symbol.asyncIterator]()
    .next()
    .then(({ value }) => value);
  await stream[Symbol.asyncDispose]();
  assert.ok(!isAlive(pid), 'the tree is gone');
  assert.equal((await stream.result).reason, 'cancelled');
  await stream[Symbol.asyncDispose]();

  const whole = engine.stream(exec('seq', '2'));
  for await (const event of whole) assert.ok(event);
  await whole[Symbol.asyncDispose]();
  assert.equal((await whole.result).status, 'completed');

  const refused = engine.stream({});
  await refused[Symbol.asyncDispose]();

  const plan = engine.streamPlan({ description: 'd', strategy: { type: 'serial' }, commands: [forever] });
  await plan[Symbol.asyncDispose]();
  assert.equal((await plan.result).status, 'cancelled');
});
