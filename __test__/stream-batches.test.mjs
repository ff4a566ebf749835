// A stream gives its events in arrays too: all that have arrived, one array for each turn of the event loop.
import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { checkEvents, newEngine, recordedEngine } from './helpers/engine.mjs';
import { lineWriter } from './helpers/line-writer.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, forever, isAlive, nothing, numbers, shell, until } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

const all = async (stream) => {
  const batches = [];
  for await (const batch of stream.batches()) batches.push(batch);
  return batches;
};
const linesOf = (events) => events.filter((event) => event.type === 'stdout').map((event) => event.line);
const OTHER_WAY = /^invalid request: stream: it is read (?:event by event|by batches\(\)) already: /;

test('every event comes once and in order, in arrays that are never empty, to the terminal event', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream(shell('seq 100000; echo end >&2; exit 3'));
  const batches = await all(stream);
  assert.ok(batches.every((batch) => Array.isArray(batch) && batch.length > 0));
  checkEvents(batches.flat(), await stream.id);
  assert.deepEqual(linesOf(batches.flat()), numbers(100_000));
  assert.equal(batches.at(-1).at(-1).type, 'failed');
  assert.deepEqual(batches.at(-1).at(-1).result, await stream.result);
  assert.deepEqual(await all(stream), [], 'it is over');
});

test('what arrives in one turn of the event loop is one array', async (t) => {
  const engine = newEngine(t);
  let turn = 0;
  let isOver = false;
  (function count() {
    turn++;
    if (!isOver) setImmediate(count);
  })();
  const turns = [];
  let events = 0;
  for await (const batch of engine.stream(shell('seq 200000')).batches()) {
    turns.push(turn);
    events += batch.length;
  }
  isOver = true;
  assert.equal(events, 200_002);
  assert.equal(new Set(turns).size, turns.length, 'no two arrays in one turn');
});

test('a reader that comes late gets all that has arrived in one array', async (t) => {
  const { engine, events } = recordedEngine(t);
  const stream = engine.stream(shell('seq 1000; echo done'));
  await events.line('done');
  await stream.result;
  const batches = await all(stream);
  assert.equal(batches.length, 1);
  assert.deepEqual(linesOf(batches[0]), [...numbers(1_000), 'done']);
});

test('thousands of events that came one by one are one array', async (t) => {
  const engine = newEngine(t);
  const steps = 500;
  const commands = Array.from({ length: steps }, () => nothing);
  const stream = engine.streamPlan({ description: 'd', strategy: { type: 'parallel' }, commands });
  const { planId } = await stream.result;
  const batches = await all(stream);
  assert.equal(batches.length, 1);
  const [events] = batches;
  assert.ok(events.length > 1_500, `${events.length} events`);
  for (let step = 0; step < steps; step++) {
    const types = events.filter((event) => event.step === step).map(({ type }) => type);
    assert.deepEqual(types, ['started', 'completed']);
  }
  const progress = events.filter(({ type }) => type === 'progress');
  assert.ok(progress.every((event, index) => event.planId === planId && event.sequence === index));
  assert.equal(events.at(-1).status, 'completed');
});

test('it makes no promise for an event', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream(shell('seq 100000'));
  let promises = 0;
  const hook = createHook({ init: (_, type) => (promises += type === 'PROMISE' ? 1 : 0) }).enable();
  let batches = 0;
  let events = 0;
  for await (const batch of stream.batches()) {
    batches++;
    events += batch.length;
  }
  hook.disable();
  assert.equal(events, 100_002);
  assert.ok(promises <= 10 * batches + 50, `${promises} promises for ${batches} arrays`);
});

test('break, a throw and return end the command with its tree', async (t) => {
  const { engine } = recordedEngine(t);
  const broken = engine.stream(shell('sleep 300 & echo $!; echo ready; while :; do echo more; sleep 0.01; done'));
  const seen = [];
  for await (const batch of broken.batches()) {
    seen.push(...batch);
    if (linesOf(seen).includes('ready')) break;
  }
  const pids = [seen[0].pid, Number(linesOf(seen)[0])];
  assert.deepEqual(pids.filter(isAlive), []);
  assert.equal((await broken.result).reason, 'cancelled');

  const thrown = engine.stream(forever);
  const loop = async () => {
    for await (const batch of thrown.batches()) if (batch.length > 0) throw new RangeError('mine');
  };
  await assert.rejects(loop, { name: 'RangeError', message: 'mine' });
  assert.equal((await thrown.result).status, 'cancelled');

  const left = engine.stream(forever);
  assert.deepEqual(await left.batches().return(), { done: true, value: undefined });
  assert.equal((await left.result).status, 'cancelled');
});

test('reads that wait at the same time are answered in order', async (t) => {
  const engine = newEngine(t);
  const batches = engine.stream(shell('echo a; sleep 0.1; echo b')).batches();
  const steps = await Promise.all(Array.from({ length: 8 }, () => batches.next()));
  const events = steps.filter(({ done }) => !done).flatMap(({ value }) => value);
  checkEvents(events);
  assert.deepEqual(linesOf(events), ['a', 'b']);
  const firstDone = steps.findIndex(({ done }) => done);
  assert.ok(firstDone > 0 && steps.slice(firstDone).every(({ done, value }) => done && value === undefined));
});

test('a stream that is read in one way refuses the other one, and goes on', async (t) => {
  const engine = newEngine(t);
  const byEvent = engine.stream(shell('seq 10'));
  const events = byEvent[Symbol.asyncIterator]();
  const first = await events.next();
  const refused = await failure(() => byEvent.batches().next(), 'INVALID_REQUEST');
  assert.equal(refused.field, 'stream');
  assert.match(refused.message, OTHER_WAY);
  const rest = [];
  for await (const event of byEvent) rest.push(event);
  checkEvents([first.value, ...rest], await byEvent.id);

  const byBatch = engine.stream(shell('seq 10'));
  const batches = byBatch.batches();
  const begin = await batches.next();
  const loop = async () => {
    for await (const event of byBatch) assert.fail(`it gave ${event.type}`);
  };
  const other = await failure(loop, 'INVALID_REQUEST');
  assert.match(other.message, OTHER_WAY);
  const left = [];
  for await (const batch of batches) left.push(...batch);
  checkEvents([...begin.value, ...left], await byBatch.id);
  assert.equal((await byBatch.result).status, 'completed', 'the refused read has cancelled nothing');
});

test('a refused request rejects the first read', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream({ command: { type: 'exec', program: '' } });
  const error = await failure(() => stream.batches().next(), 'INVALID_REQUEST');
  assert.equal(error.field, 'command.program');
});

test('a plan is read in the same way', async (t) => {
  const engine = newEngine(t);
  const plan = { description: 'd', strategy: { type: 'serial' }, commands: [exec('seq', '3'), exec('seq', '3')] };
  const events = (await all(engine.streamPlan(plan))).flat();
  assert.deepEqual(linesOf(events), ['1', '2', '3', '1', '2', '3']);
  assert.equal(events.at(-1).type, 'progress');
  assert.equal(events.at(-1).status, 'completed');
});

test('a child is held up while its lines are unread, and continues when they are read', async (t) => {
  const engine = newEngine(t);
  const { request, written, stalled } = lineWriter(t);
  const stream = engine.stream(request);
  const batches = stream.batches();
  let read = linesOf((await batches.next()).value).length;
  const first = await stalled();
  assert.ok(first < read + 4 * 1024, `the child wrote ${first} KiB although ${read} were read`);
  while (read < first + 1_000) read += linesOf((await batches.next()).value).length;
  await until(() => written() > first, 'the child writes on');
  const second = await stalled();
  assert.ok(second < read + 4 * 1024, `the child wrote ${second} KiB when ${read} were read`);
  await batches.return();
  assert.equal((await stream.result).status, 'cancelled');
});

test('however the loop and the end of the command meet, nothing is lost', async (t) => {
  const engine = newEngine(t);
  await repeatedly(REPEATS, 8, async (attempt) => {
    const stream = engine.stream(shell('echo a; echo b >&2; echo c'));
    const events = [];
    for await (const batch of stream.batches()) {
      events.push(...batch);
      if (attempt % 3 === 0) await sleep(attempt % 4);
    }
    checkEvents(events, await stream.id);
    assert.deepEqual(linesOf(events), ['a', 'c']);
  });
});
