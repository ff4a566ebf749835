// `stdin: 'open'` keeps the input of a command open for `write`, until `endInput`; `input` is data, whatever its words.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure, refusal } from './helpers/outcomes.mjs';
import { exec, file, folder, forever, isAlive, nodeProgram, nothing, shell, until } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

const CODE = 'INVALID_REQUEST';
const OPEN = { stdin: 'open' };
const cat = exec('cat');

test('a conversation: each write is read before the next is made', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('while read -r line; do echo "got $line"; done; echo end'), OPEN);
  for (const word of ['one', 'two', 'three']) {
    await engine.write(id, `${word}\n`);
    await events.line(`got ${word}`);
  }
  assert.equal(engine.getStatus(id), 'running');
  await engine.endInput(id);
  assert.equal((await engine.waitForCompletion(id)).stdout, 'got one\ngot two\ngot three\nend\n');
});

test('text, bytes of every kind, and nothing at all can be written', async (t) => {
  const engine = newEngine(t);
  const id = await engine.execute(cat, OPEN);
  const { buffer } = new Uint8Array([100, 10]);
  for (const data of ['a', Buffer.from('b'), new Uint8Array([99]), buffer, new DataView(buffer), '', Buffer.alloc(0)])
    await engine.write(id, data);
  await engine.endInput(id);
  assert.equal((await engine.waitForCompletion(id)).stdout, 'abcd\nd\n');
});

test('concurrent writes keep their order, large ones among them', async (t) => {
  const engine = newEngine(t);
  await repeatedly(REPEATS, 2, async () => {
    const id = await engine.execute(cat, OPEN);
    const parts = Array.from({ length: 40 }, (_, index) => `${index}.`.repeat(index % 8 === 3 ? 1_000_000 : index + 1));
    const written = parts.map((part) => engine.write(id, part));
    const ended = engine.endInput(id);
    await Promise.all([...written, ended]);
    const { stdoutBytes, stdout, stdoutTruncated } = await engine.waitForCompletion(id);
    const whole = parts.join('');
    assert.equal(stdoutBytes, whole.length);
    if (!stdoutTruncated) assert.ok(stdout === whole, 'every part is in its place');
    engine.removeExecution(id);
  });
});

test('a write waits until the pipe has accepted it: the command sets the pace', async (t) => {
  const { engine, events } = recordedEngine(t);
  const go = path.join(folder(t), 'go');
  const slow = shell('echo ready; while [ ! -e "$GO" ]; do sleep 0.01; done; wc -c', { env: { GO: go } });
  const id = await engine.execute(slow, OPEN);
  await events.line('ready');
  let accepted = false;
  const write = engine.write(id, Buffer.alloc(1_000_000)).then(() => {
    accepted = true;
  });
  // The chunk does not fit into the pipe any more, so that it waits for the one before.
  const next = engine.write(id, 'x');
  await engine.run(nothing);
  assert.equal(accepted, false, 'a pipe does not hold a megabyte');
  file(path.dirname(go), 'go');
  await Promise.all([write, next]);
  await engine.endInput(id);
  assert.equal((await engine.waitForCompletion(id)).stdout.split('\n')[1].trim(), '1000001');
});

test('a write of 100 MB needs memory for a part of it', async (t) => {
  const engine = newEngine(t, { maxOutputSizeBytes: 1_000 });
  const id = await engine.execute(cat, OPEN);
  const bytes = Buffer.alloc(100_000_000, 'x');
  const before = process.memoryUsage().rss;
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss);
  }, 5);
  await engine.write(id, bytes);
  clearInterval(timer);
  await engine.endInput(id);
  assert.equal((await engine.waitForCompletion(id)).stdoutBytes, bytes.length);
  assert.ok(most - before < 60_000_000, `it took ${Math.round((most - before) / 1e6)} MB`);
});

test('a write to a queued command waits for its start, an end too', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const first = await engine.execute(forever);
  await events.line('ready', first);
  const id = await engine.execute(cat, OPEN);
  const written = engine.write(id, 'early');
  await engine.endInput(id);
  assert.equal((await failure(() => engine.write(id, 'late'), CODE)).field, 'id');
  assert.equal(engine.getStatus(id), 'pending');
  await engine.cancel(first);
  await written;
  assert.equal((await engine.waitForCompletion(id)).stdout, 'early');
});

test('a queued command that is cancelled refuses what waits', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const first = await engine.execute(forever);
  await events.line('ready', first);
  const id = await engine.execute(cat, OPEN);
  const written = failure(() => engine.write(id, 'early'), CODE);
  await engine.cancel(id);
  assert.equal((await written).field, 'id');
});

test('a write after the end, after endInput, or to an input that is not open is refused', async (t) => {
  const engine = newEngine(t);
  const ended = await engine.execute(forever, OPEN);
  await engine.endInput(ended);
  await engine.endInput(ended);
  assert.match((await failure(() => engine.write(ended, 'x'), CODE)).message, /id: its input was ended: write before `endInput`/);
  await engine.cancel(ended);
  assert.match((await failure(() => engine.write(ended, 'x'), CODE)).message, /id: it has ended/);
  await engine.endInput(ended);

  for (const options of [{}, { stdin: 'text' }, { input: 'open' }, { input: Readable.from(['x']) }]) {
    const id = await engine.execute(cat, options);
    for (const call of [() => engine.write(id, 'x'), () => engine.endInput(id)]) {
      const error = await failure(call, CODE);
      assert.equal(error.field, 'id');
      assert.match(error.message, /not open: start it with the option `stdin` as "open"/);
    }
    await engine.waitForCompletion(id);
  }
  await failure(() => engine.write(randomUUID(), 'x'), 'NOT_FOUND');
  await failure(() => engine.endInput(randomUUID()), 'NOT_FOUND');
  await failure(() => engine.write('no id', 'x'), 'NOT_FOUND');
});

test('data of another type is refused, and its value is in no message', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('echo ready; cat'), OPEN);
  await events.line('ready');
  for (const data of [0, true, null, undefined, {}, ['a'], 5n, new Date(), () => {}, Symbol('s')])
    await refusal(() => engine.write(id, data), CODE, 'data', data);
  const half = await failure(() => engine.write(id, 'secret\ud800'), CODE);
  assert.ok(!half.message.includes('secret'));
  assert.equal(half.field, 'data');
  await engine.cancel(id);
});

test('a command that does not read its input completes, and a write that it did not take is refused', async (t) => {
  const { engine, events } = recordedEngine(t);
  const go = path.join(folder(t), 'go');
  const deaf = shell('exec 0<&-; echo closed; while [ ! -e "$GO" ]; do sleep 0.01; done', { env: { GO: go } });
  const id = await engine.execute(deaf, OPEN);
  await events.line('closed');
  const refused = await failure(() => engine.write(id, Buffer.alloc(300_000)), CODE);
  assert.match(refused.message, /does not read its input any more/);
  file(path.dirname(go), 'go');
  const { status, exitCode, reason } = await engine.waitForCompletion(id);
  assert.deepEqual([status, exitCode, reason], ['completed', 0, 'exit']);

  const short = await engine.execute(exec('head', '-c', '3'), OPEN);
  const tooMuch = failure(() => engine.write(short, Buffer.alloc(3_000_000, 'y')), CODE);
  assert.equal((await engine.waitForCompletion(short)).stdout, 'yyy');
  await tooMuch;
});

test('each attempt has an input of its own', async (t) => {
  const { engine, events } = recordedEngine(t);
  const marks = folder(t);
  const flaky = shell('read -r line; echo "got $line"; [ -e "$MARK" ] || { : > "$MARK"; cat >/dev/null; exit 1; }; cat', {
    env: { MARK: path.join(marks, 'mark') },
  });
  const id = await engine.execute(flaky, { ...OPEN, retry: { attempts: 2, backoffMs: 50 } });
  await engine.write(id, 'first\n');
  await engine.endInput(id);
  await events.first((event) => event.type === 'retry');
  await engine.write(id, 'second\n');
  await engine.write(id, 'rest');
  await engine.endInput(id);
  const { attempt, stdout } = await engine.waitForCompletion(id);
  assert.deepEqual([attempt, stdout], [2, 'got second\nrest']);
});

test('an open input delays no exit, timeout or cancel', async (t) => {
  const engine = newEngine(t);
  assert.equal((await engine.run(nothing, OPEN)).status, 'completed');
  assert.equal((await engine.run({ ...cat, timeoutMs: 100 }, OPEN)).reason, 'timeout');
  assert.equal((await engine.run(cat, { ...OPEN, idleTimeoutMs: 100 })).reason, 'idle_timeout');
  const id = await engine.execute(cat, OPEN);
  const stuck = failure(() => engine.write(id, Buffer.alloc(5_000_000)).then(() => engine.write(id, 'after the cancel')), CODE);
  await engine.cancel(id);
  await stuck;
});

test('a step of a plan can have an open input', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = randomUUID();
  const plan = engine.runPlan({ description: 'a', strategy: { type: 'serial' }, commands: [{ id, ...cat }] }, { steps: { 0: OPEN } });
  await events.first((event) => event.type === 'started');
  await engine.write(id, 'to a step');
  await engine.endInput(id);
  assert.equal((await plan).results[0].stdout, 'to a step');
});

test('input is data, whatever its words', async (t) => {
  const engine = newEngine(t);
  const all = ['open', 'inherit', '', Buffer.from('x'), ['a', Buffer.from('b')], Readable.from(['s', 't']), new Blob(['blob'])];
  const got = [];
  for (const input of all) got.push((await engine.run(cat, { input })).stdout);
  assert.deepEqual(got, ['open', 'inherit', '', 'x', 'ab', 'st', 'blob']);
  for (const input of [null, undefined]) assert.equal((await engine.run(cat, { input, stdin: 'text' })).stdout, 'text');
  for (const stdin of [null, undefined]) assert.equal((await engine.run(cat, { input: 'data', stdin })).stdout, 'data');
});

test('stdin and input together are refused, in every form', async (t) => {
  const engine = newEngine(t);
  const forms = ['', 'text', Buffer.from('x'), ['a']];
  const stream = () => Readable.from(['s']);
  for (const stdin of [...forms, 'open', 'inherit', stream()]) {
    for (const input of [...forms, stream()]) {
      const error = await failure(() => engine.run(cat, { stdin, input }), CODE);
      assert.equal(error.field, 'options.input');
      assert.match(error.message, /`stdin` is given too: give one of them/);
    }
  }
  const commands = [cat];
  const steps = { 0: { stdin: 'a', input: 'b' } };
  const error = await failure(() => engine.runPlan({ description: 'a', strategy: { type: 'serial' }, commands }, { steps }), CODE);
  assert.equal(error.field, 'options.steps[0].input');
});

test('an input of another type is refused, and one that fails names its option', async (t) => {
  const engine = newEngine(t);
  for (const value of [0, true, 1n, {}, () => {}, new Date(), Promise.resolve('text')])
    await refusal(() => engine.run(nothing, { input: value }), CODE, 'options.input', value);
  await refusal(() => engine.run(nothing, { input: ['a', 5] }), CODE, 'options.input[1]', 5);
  async function* broken() {
    yield 'a part';
    throw new Error('the disk is gone');
  }
  for (const field of ['stdin', 'input']) {
    const error = await failure(() => engine.run(cat, { [field]: broken() }), CODE);
    assert.equal(error.field, `options.${field}`);
    assert.match(error.message, new RegExp(`options\\.${field}: it broke off \\(the disk is gone\\)`));
    assert.deepEqual([error.result.status, error.result.reason], ['cancelled', 'aborted']);
  }
});

test('ends of open inputs leave no descriptor', { skip: process.platform !== 'linux' && 'reads /proc' }, async (t) => {
  const engine = newEngine(t);
  const count = () => readdirSync('/proc/self/fd').length;
  await engine.run(nothing, OPEN);
  const before = count();
  await repeatedly(200, 20, async (index) => {
    const id = await engine.execute(index % 2 ? cat : nothing, OPEN);
    if (index % 2) {
      await engine.write(id, 'x');
      await engine.endInput(id);
    }
    await engine.waitForCompletion(id);
  });
  await until(() => count() <= before, 'all descriptors are closed');
});

test('a host that ends leaves no command that waits for its input', async (t) => {
  const host = new ExecutionEngine();
  const request = nodeProgram(`
    const { ExecutionEngine } = require(${JSON.stringify(path.resolve('index.js'))});
    const engine = new ExecutionEngine().unref();
    engine.execute({ command: { type: 'exec', program: 'cat' } }, { stdin: 'open' }).then(async (id) => {
      await engine.write(id, 'x');
      console.log(engine.listExecutions()[0].pid);
    });
  `);
  t.after(() => host.shutdown());
  const { stdout, exitCode } = await host.run(request);
  assert.equal(exitCode, 0);
  await until(() => !isAlive(Number(stdout)), 'the command has ended');
});
