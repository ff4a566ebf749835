// Listeners receive the events of executions.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine, wholeLines } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, forever, shell } from './helpers/programs.mjs';

test('each type has its fields, and a Date', async (t) => {
  const { engine, events } = recordedEngine(t);
  const before = Date.now();
  const result = await engine.run(shell('echo out; echo err >&2; exit 3'));
  const [started, ...rest] = events.of(result.id);
  const failed = rest.pop();
  const stdout = rest.find((event) => event.type === 'stdout');
  const stderr = rest.find((event) => event.type === 'stderr');
  assert.equal(rest.length, 2);
  for (const event of [started, stdout, stderr, failed]) {
    assert.ok(event.timestamp instanceof Date);
    assert.ok(event.timestamp.getTime() >= before - 1 && event.timestamp.getTime() <= Date.now() + 1);
    assert.equal(event.executionId, result.id);
  }
  const plain = ({ timestamp, executionId, sequence, ...others }) => others;
  assert.deepEqual(plain(started), { type: 'started', command: 'echo out; echo err >&2; exit 3', pid: result.pid });
  assert.deepEqual(plain(stdout), { type: 'stdout', line: 'out' });
  assert.deepEqual(plain(stderr), { type: 'stderr', line: 'err' });
  assert.equal(failed.type, 'failed');
  assert.deepEqual(failed.result, result);
  assert.equal(failed.error, undefined);
  assert.ok(!('error' in failed) || failed.error === undefined);
  assert.equal(started.sequence, 0);
  assert.equal(failed.sequence, 3);
});

test('a flag that does not hold is absent', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id } = await engine.run(shell('echo plain'));
  const line = events.of(id).find((event) => event.type === 'stdout');
  for (const flag of ['partial', 'continued', 'carriageReturn']) {
    assert.equal(line[flag], undefined);
    assert.ok(!(flag in line), `${flag} is absent`);
  }
});

test('an event is plain data to JSON and spread', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id } = await engine.run(shell('echo text'));
  const line = events.of(id).find((event) => event.type === 'stdout');
  assert.deepEqual(Object.keys({ ...line }).sort(), ['executionId', 'line', 'sequence', 'timestamp', 'type']);
  assert.equal(JSON.parse(JSON.stringify(line)).line, 'text');
  assert.equal(line.timestamp, line.timestamp, 'a Date that is read twice is the same');
  const end = JSON.parse(JSON.stringify(events.of(id).at(-1)));
  assert.equal(end.type, 'completed');
});

test("'event' gets all of them, each type its own, in the same order", async (t) => {
  const { engine, events } = recordedEngine(t);
  const own = [];
  for (const type of ['queued', 'started', 'exited', 'stdout', 'stderr', 'completed', 'failed', 'cancelled', 'timeout']) {
    engine.on(type, (event) => {
      assert.equal(event.type, type);
      own.push(event);
    });
  }
  const { id } = await engine.run(shell('echo a; echo b >&2; echo c'));
  await engine.run(shell('exit 1'));
  await engine.run(shell('exec sleep 300', { timeoutMs: 20 }));
  const cancelled = await engine.execute(forever);
  await events.line('ready', cancelled);
  await engine.cancel(cancelled);
  assert.deepEqual(
    own.map((event) => event.type).filter((type) => !['started', 'exited', 'stdout', 'stderr'].includes(type)),
    ['completed', 'failed', 'timeout', 'cancelled'],
  );
  assert.deepEqual(
    own.filter((event) => event.executionId === id).map((event) => event.sequence),
    events.of(id).map((event) => event.sequence),
  );
});

test('a failed spawn is one failed event, with the error', async (t) => {
  const { engine, events } = recordedEngine(t);
  const error = await failure(() => engine.run(exec('/no/such/program')), 'SPAWN_FAILED');
  const [failed, ...more] = events.of(error.executionId);
  assert.equal(more.length, 0);
  assert.equal(failed.type, 'failed');
  assert.equal(failed.error.code, 'SPAWN_FAILED');
  assert.equal(failed.error.errno, 'ENOENT');
  assert.deepEqual(failed.result.error, failed.error);
});

test('a prompt is shown before its line has ended', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('printf "password: "; exec sleep 300'));
  const prompt = await events.first((event) => event.type === 'stdout');
  assert.equal(prompt.line, 'password: ');
  assert.equal(prompt.partial, true);
  await engine.cancel(id);
  assert.deepEqual(wholeLines(events.of(id).filter((event) => event.type === 'stdout')), ['password: ']);
});

test('line ends: LF, CRLF, a lone CR, blank lines, none at the end', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id, stdout } = await engine.run(shell("printf 'a\\n\\nb\\r\\n10%%\\r20%%\\r\\n\\rlast'"));
  assert.equal(stdout, 'a\n\nb\r\n10%\r20%\r\n\rlast', 'the result is exact');
  const lines = events.of(id).filter((event) => event.type === 'stdout');
  assert.deepEqual(
    lines.map((event) => [event.line, event.carriageReturn]),
    [
      ['a', undefined],
      ['', undefined],
      ['b', undefined],
      ['10%', true],
      ['20%', undefined],
      ['', true],
      ['last', undefined],
    ],
  );
});

test('a long line comes in pieces that are flagged and not repeated', async (t) => {
  const { engine, events } = recordedEngine(t, { maxLineBytes: 64 });
  const { id } = await engine.run(shell('printf "%0200d\\nshort\\n" 7'));
  const pieces = events.of(id).filter((event) => event.type === 'stdout');
  assert.deepEqual(
    pieces.map((event) => event.continued),
    [true, true, true, undefined, undefined],
  );
  assert.deepEqual(events.lines(id), ['7'.padStart(200, '0'), 'short']);
});

test('streamOutput: false turns line events off, not the result', async (t) => {
  const { engine, events } = recordedEngine(t, { streamOutput: false });
  const { id, stdout } = await engine.run(shell('echo quiet'));
  assert.equal(stdout, 'quiet\n');
  assert.deepEqual(events.types(id), ['started', 'completed']);
});

test('mergeOutput: both streams in their exact order', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id, stdout, stderr } = await engine.run(shell('for i in $(seq 500); do echo o$i; echo e$i >&2; done'), { mergeOutput: true });
  const wanted = Array.from({ length: 500 }, (_, index) => [`o${index + 1}`, `e${index + 1}`]).flat();
  assert.deepEqual(stdout.split('\n').slice(0, -1), wanted);
  assert.equal(stderr, '');
  assert.deepEqual(events.lines(id), wanted);
});
