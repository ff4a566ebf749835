// The input of a child may come bit by bit: from an async iterable, as fast as the child reads.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';

import { newEngine, recordedEngine, timeOut } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, file, folder, forever, nothing, shell, until } from './helpers/programs.mjs';

const cat = exec('cat');

/** Returns an async iterable that records how it was used. */
function reported(chunks, { stuckAfter = Infinity, fails } = {}) {
  const seen = { iterators: 0, pulls: 0, returns: 0 };
  const source = {
    seen,
    [Symbol.asyncIterator]() {
      seen.iterators += 1;
      const rest = chunks[Symbol.iterator]();
      return {
        next: () => {
          seen.pulls += 1;
          if (seen.pulls > stuckAfter) return new Promise(() => {});
          const step = rest.next();
          if (step.done && fails) return Promise.reject(fails);
          return Promise.resolve(step);
        },
        return: () => {
          seen.returns += 1;
          return Promise.resolve({ done: true, value: undefined });
        },
      };
    },
  };
  return source;
}

function* repeat(count, chunk) {
  for (let index = 0; index < count; index += 1) yield chunk;
}

test('text and bytes, one after the other, then the end', async (t) => {
  const { engine } = recordedEngine(t);
  async function* chunks() {
    yield 'text é\n';
    yield '';
    yield Buffer.from('buffer\n');
    await sleep(20);
    yield new Uint8Array(Buffer.from('-window-')).subarray(1, 7);
    yield new Uint8Array(0);
  }
  const { stdout, status } = await engine.run(cat, { stdin: chunks() });
  assert.deepEqual([stdout, status], ['text é\nbuffer\nwindow', 'completed']);
  assert.equal((await engine.run(cat, { stdin: reported([]) })).stdout, '');
});

test('a NUL and every other byte arrive as they were', async (t) => {
  const { engine } = recordedEngine(t);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  const { stdout } = await engine.run(cat, { stdin: reported([bytes, '\0', bytes]), encoding: 'buffer' });
  assert.deepEqual(stdout, Buffer.concat([bytes, Buffer.from([0]), bytes]));
});

test('much of it arrives whole, while as much comes out', async (t) => {
  const { engine } = recordedEngine(t, { maxOutputSizeBytes: 16 * 1024 * 1024 });
  const chunks = Array.from({ length: 200 }, (_, index) => Buffer.alloc((index * 7_919) % 60_000, `${index}|`));
  const { stdout } = await engine.run(cat, { stdin: reported(chunks), encoding: 'buffer' });
  assert.ok(stdout.equals(Buffer.concat(chunks)), `${stdout.length} bytes came back`);
});

test('bytes are taken when they are given: the source may use their memory again', async (t) => {
  const { engine } = recordedEngine(t);
  async function* chunks() {
    const memory = Buffer.alloc(2);
    for (const text of ['a\n', 'b\n', 'c\n']) {
      memory.write(text);
      yield memory;
    }
  }
  assert.equal((await engine.run(cat, { stdin: chunks() })).stdout, 'a\nb\nc\n');
});

test('an answer is there before the next chunk is asked for', async (t) => {
  const { engine, events } = recordedEngine(t);
  async function* questions() {
    for (const word of ['one', 'two', 'three']) {
      yield `${word}\n`;
      await events.line(`got ${word}`);
    }
  }
  const { exitCode } = await engine.run(shell('while read line; do echo got $line; done; exit 5'), { stdin: questions() });
  assert.equal(exitCode, 5);
});

test('a source is asked only as the child reads', async (t) => {
  const { engine, events } = recordedEngine(t);
  const go = path.join(folder(t), 'go');
  const source = reported(repeat(200, Buffer.alloc(65_536)));
  const line = 'echo ready; while [ ! -e "$GO" ]; do sleep 0.01; done; exec wc -c';
  const id = await engine.execute(shell(line, { env: { GO: go } }), { stdin: source });
  await events.line('ready', id);
  await until(() => source.seen.pulls > 1, 'the pipe is filled');
  let before;
  do {
    before = source.seen.pulls;
    await sleep(100);
  } while (source.seen.pulls > before);
  // This is what a pipe holds (64 KiB; 1 MiB at most), and one chunk that is being written.
  assert.ok(before <= 18, `${before} chunks were asked for by a child that reads none`);
  file(path.dirname(go), 'go');
  assert.equal((await engine.waitForCompletion(id)).stdout, `ready\n${200 * 65_536}\n`);
  assert.deepEqual(source.seen, { iterators: 1, pulls: 201, returns: 0 });
});

test('a source is not asked before its command runs, and never if it does not', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const busy = await engine.execute(forever);
  await events.line('ready', busy);
  const [waiting, cancelled, missing] = [reported(['later\n']), reported(['never\n']), reported(['never\n'])];
  const id = await engine.execute(cat, { stdin: waiting });
  const never = await engine.execute(cat, { stdin: cancelled });
  await engine.cancel(never);
  assert.equal(waiting.seen.iterators, 0);
  await engine.cancel(busy);
  assert.equal((await engine.waitForCompletion(id)).stdout, 'later\n');
  await failure(() => engine.run(exec('/no/such/program'), { stdin: missing }), 'SPAWN_FAILED');
  await failure(() => engine.run(exec(''), { stdin: missing }), 'INVALID_REQUEST');
  for (const source of [cancelled, missing]) assert.deepEqual(source.seen, { iterators: 0, pulls: 0, returns: 0 });
});

test('a child that exits or closes its input ends the source, and is not harmed', async (t) => {
  const { engine } = recordedEngine(t);
  for (const line of ['true', 'head -c 3 > /dev/null', 'exec 0<&-; sleep 0.2']) {
    const source = reported(repeat(1e6, 'x'.repeat(1_000)));
    const { status, error } = await engine.run(shell(line), { stdin: source });
    assert.deepEqual([status, error], ['completed', undefined], line);
    // An iterator that was never asked for a chunk has nothing to be left.
    assert.equal(source.seen.returns, source.seen.iterators, line);
    assert.ok(source.seen.pulls < 1_200);
  }
});

test('a source is closed when its child closes the input and still runs', {
  skip: process.platform !== 'linux' && 'other systems report it at the next write',
}, async (t) => {
  const { engine, events } = recordedEngine(t);
  const source = reported(['one'], { stuckAfter: 1 });
  const id = await engine.execute(shell('head -c 3; echo; echo ready; exec 0<&-; exec sleep 300'), { stdin: source });
  await events.line('ready', id);
  await until(() => source.seen.returns === 1, 'the source is closed');
  assert.equal(engine.getStatus(id), 'running');
  await engine.cancel(id);
  assert.equal(source.seen.returns, 1, 'it is reported once');
});

test('a source that never gives anything holds up neither an end nor a timeout nor a cancel', async (t) => {
  const { engine, events } = recordedEngine(t);
  const sources = [1, 2, 3].map(() => reported([], { stuckAfter: 0 }));
  assert.equal((await engine.run(shell('exit 3'), { stdin: sources[0] })).exitCode, 3);
  const late = await engine.execute(cat, { stdin: sources[1] });
  await until(() => sources[1].seen.pulls > 0, 'the engine pulls from the source');
  assert.equal((await timeOut(engine, late)).status, 'timeout');
  const id = await engine.execute(forever, { stdin: sources[2] });
  await events.line('ready', id);
  await until(() => sources[2].seen.pulls > 0, 'the engine pulls from the source');
  await engine.cancel(id);
  assert.deepEqual(
    sources.map(({ seen }) => seen.returns + seen.iterators),
    [sources[0].seen.iterators * 2, 2, 2],
  );
});

test('a generator that hangs is no obstacle either, and what it gives too late goes nowhere', async (t) => {
  const { engine } = recordedEngine(t);
  let goOn;
  let left = false;
  async function* late() {
    try {
      yield 'early\n';
      await new Promise((resolve) => (goOn = resolve));
      yield 'late\n';
    } finally {
      left = true;
    }
  }
  assert.equal((await engine.run(shell('read line; echo $line'), { stdin: late() })).stdout, 'early\n');
  // The command may be over before it is asked for more.
  await until(() => goOn || left, 'the generator waits, or is left already');
  goOn?.();
  await until(() => left, 'the generator is left');
});

test('a source that throws ends its command, which sees no end of its input', async (t) => {
  const { engine, events } = recordedEngine(t);
  const boom = new Error('the disk is gone');
  const line = 'while read line; do echo got $line; done; echo whole';
  const request = { ...shell(line), metadata: { label: 'fed' } };
  async function* part() {
    yield 'a part\n';
    await events.line('got a part');
    throw boom;
  }
  const error = await failure(() => engine.run(request, { stdin: part() }), 'INVALID_REQUEST');
  assert.match(error.message, /^invalid request: options\.stdin: .*the disk is gone/);
  assert.deepEqual([error.field, error.cause], ['options.stdin', boom]);
  const { result } = error;
  assert.deepEqual([result.status, result.reason, result.stdout], ['cancelled', 'aborted', 'got a part\n']);
  assert.equal(result.error.message, error.message);
  assert.equal(result.id, error.executionId);
  const end = events.of(result.id).at(-1);
  assert.deepEqual([end.type, end.error.code], ['cancelled', 'INVALID_REQUEST']);
  assert.equal(engine.getResult(result.id).status, 'cancelled');
  await failure(() => engine.waitForCompletion(result.id), 'INVALID_REQUEST');

  const stream = engine.stream(shell(line), { stdin: reported([], { fails: boom }) });
  const types = [];
  for await (const event of stream) types.push(event.type);
  assert.equal(types.at(-1), 'cancelled');
  assert.equal((await failure(() => stream.result, 'INVALID_REQUEST')).cause, boom);
});

test('a source that gives or throws odd things', async (t) => {
  const { engine } = recordedEngine(t);
  const broken = (make) => ({ [Symbol.asyncIterator]: make });
  const odd = new (class {
    toString() {
      throw new Error('no words');
    }
  })();
  for (const [name, stdin, words] of [
    ['a number', reported(['a', 5]), /number/],
    ['null', reported([null]), /null/],
    ['an object', reported([{}]), /object/],
    ['nothing thrown', reported([], { fails: undefined ?? null }), undefined],
    ['what cannot be shown', reported([], { fails: odd }), /cannot be shown/],
    ['no iterator', broken(() => undefined), /undefined/],
    [
      'an iterator that throws',
      broken(() => {
        throw new Error('no iterator');
      }),
      /no iterator/,
    ],
    ['no next', broken(() => ({})), /next/],
    ['no step', broken(() => ({ next: async () => undefined })), /undefined/],
  ]) {
    await t.test(name, async () => {
      if (!words) return assert.equal((await engine.run(cat, { stdin })).status, 'completed');
      const error = await failure(() => engine.run(cat, { stdin }), 'INVALID_REQUEST');
      assert.match(error.message, words);
      assert.equal(error.result.status, 'cancelled');
      if (stdin.seen && name !== 'what cannot be shown') assert.equal(stdin.seen.returns, 1, 'it is left');
    });
  }
});

test('an error of the source after the end is ignored', async (t) => {
  const { engine } = recordedEngine(t);
  const troubled = () => {
    const source = {
      reject: undefined,
      [Symbol.asyncIterator]: () => {
        let asked = 0;
        return {
          next: () =>
            (asked += 1) === 1 ? Promise.resolve({ done: false, value: 'one\n' }) : new Promise((_, fail) => (source.reject = fail)),
          return: () => Promise.reject(new Error('it cannot be left')),
        };
      },
    };
    return source;
  };
  const unhandled = [];
  const listener = (reason) => unhandled.push(reason);
  process.on('unhandledRejection', listener);
  t.after(() => process.off('unhandledRejection', listener));
  const source = troubled();
  assert.equal((await engine.run(shell('read line; sleep 0.1'), { stdin: source })).status, 'completed');
  await until(() => source.reject, 'it was asked for more');
  source.reject(new Error('too late'));
  for (let turn = 0; turn < 3; turn += 1) await setImmediate();
  assert.deepEqual(unhandled, []);
});

test('a stream whose source is slower than the child', async (t) => {
  const engine = newEngine(t);
  async function* slow() {
    for (let index = 1; index <= 5; index += 1) {
      await sleep(10);
      yield `${index}\n`;
    }
  }
  const lines = [];
  for await (const event of engine.stream(cat, { stdin: slow() })) if (event.type === 'stdout') lines.push(event.line);
  assert.deepEqual(lines.filter(Boolean), ['1', '2', '3', '4', '5']);
  assert.equal((await engine.run(nothing)).status, 'completed');
});
