// With `encoding: 'buffer'` output comes as the bytes that were written, in lines and in results.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { checkEvents, newEngine, recordedEngine, timeOut, wholeLines } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, file, folder, forever, hexWrites, shell, until } from './helpers/programs.mjs';

const buffer = { encoding: 'buffer' };

/** Returns the lines of one stream of a stream(), each as hexadecimal with its flags. */
async function piecesOf(stream, type = 'stdout') {
  const pieces = [];
  for await (const event of stream) {
    if (event.type !== type) continue;
    assert.ok(Buffer.isBuffer(event.line));
    pieces.push([event.line.toString('hex'), ...['partial', 'continued', 'carriageReturn'].filter((flag) => event[flag])]);
  }
  return pieces;
}

/** Runs a writer again, up to ten times, if one of its lines came in pieces: on a busy machine it may pause between two writes. */
async function unpaused(run) {
  for (let tries = 1; ; tries++) {
    const pieces = await run();
    const isCut = pieces[0].includes('carriageReturn') || pieces.some((piece) => piece.includes('partial'));
    if (!isCut || tries === 10) return pieces;
  }
}

test('bytes that are no text stay as they are', async (t) => {
  const engine = newEngine(t);
  const writes = hexWrites('61ff62', '0a', 'c3280a', 'eda0800a', 'ff');
  const result = await engine.run(writes, buffer);
  assert.ok(Buffer.isBuffer(result.stdout));
  assert.equal(result.stdout.toString('hex'), '61ff620ac3280aeda0800aff');
  assert.deepEqual(result.stderr, Buffer.alloc(0));
  assert.equal(result.stdoutBytes, 12);
  const pieces = await unpaused(() => piecesOf(engine.stream(writes, buffer)));
  assert.deepEqual(pieces, [['61ff62'], ['c328'], ['eda080'], ['ff']]);
});

test('a character split across reads is whole again', async (t) => {
  const { engine, events } = recordedEngine(t);
  const go = path.join(folder(t), 'go');
  const line = "printf 'a\\342\\202'; while [ ! -e \"$GO\" ]; do sleep 0.01; done; printf '\\254b\\n'";
  const id = await engine.execute(shell(line, { env: { GO: go } }), buffer);
  const partial = await events.first((event) => event.type === 'stdout');
  assert.deepEqual([partial.line, partial.partial], [Buffer.from('a'), true]);
  file(path.dirname(go), 'go');
  assert.deepEqual((await engine.waitForCompletion(id)).stdout, Buffer.from('a€b\n'));
  const lines = events
    .of(id)
    .filter((event) => event.type === 'stdout')
    .map((event) => event.line);
  assert.deepEqual(Buffer.concat(lines), Buffer.from('a€b'));
});

test('NUL and every other byte stay as they are', async (t) => {
  const { engine } = recordedEngine(t);
  const all = Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 7) % 256));
  const { stdout, stderr } = await engine.run(shell('cat | tee /dev/stderr'), { ...buffer, stdin: all });
  assert.ok(stdout.equals(all) && stderr.equals(all));
});

test('lines with their flags, empty ones, and both streams', async (t) => {
  const engine = newEngine(t, { maxLineBytes: 64 });
  const hex = ['31250d', '0a', '0a0a', '7a'.repeat(70), '0a', '78'];
  const writes = hexWrites(...hex.slice(0, 3), '32250d33', '0a', ...hex.slice(3));
  assert.deepEqual(await unpaused(() => piecesOf(engine.stream(writes, buffer))), [
    ['3125'],
    [''],
    [''],
    ['3225', 'carriageReturn'],
    ['33'],
    ['7a'.repeat(64), 'continued'],
    ['7a'.repeat(6)],
    ['78'],
  ]);
  assert.deepEqual(await piecesOf(engine.stream(shell("printf '\\377\\n\\n' >&2"), buffer), 'stderr'), [['ff'], ['']]);
});

test('text and bytes side by side in one engine', async (t) => {
  const { engine, events } = recordedEngine(t);
  const runs = Array.from({ length: 20 }, (_, index) =>
    engine.run(shell(`printf '${index}-\\377\\n'; printf 'é${index}\\n' >&2`), index % 2 ? buffer : { encoding: 'utf8' }),
  );
  for (const [index, result] of (await Promise.all(runs)).entries()) {
    const as = (hex) => (index % 2 ? hex : hex.toString());
    assert.deepEqual(result.stdout, as(Buffer.concat([Buffer.from(`${index}-`), Buffer.from([0xff, 0x0a])])));
    const [line] = events.of(result.id).filter((event) => event.type === 'stderr');
    assert.deepEqual(line.line, as(Buffer.from(`é${index}`)));
  }
});

test('the encoding of the engine, and the nearer one that wins', async (t) => {
  const { engine } = recordedEngine(t, buffer);
  assert.equal(engine.config.encoding, 'buffer');
  assert.deepEqual((await engine.run(exec('echo', 'x'))).stdout, Buffer.from('x\n'));
  assert.equal((await engine.run(exec('echo', 'x'), { encoding: 'utf8' })).stdout, 'x\n');
  assert.deepEqual((await engine.run(exec('echo', 'x'), { encoding: null })).stdout, Buffer.from('x\n'));
  assert.equal(newEngine(t).config.encoding, 'utf8');
});

test('a result is the same wherever it is read, and each has its own bytes', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(exec('echo', 'x'), buffer);
  const first = await engine.waitForCompletion(id);
  first.stdout.fill('!');
  for (const again of [engine.getResult(id), await engine.waitForCompletion(id)]) assert.deepEqual(again.stdout, Buffer.from('x\n'));
  const event = events.of(id).at(-1);
  assert.equal(event.type, 'completed');
  assert.ok(Buffer.isBuffer(event.result.stdout));
});

test('what never ran, and what was ended, has Buffers too', async (t) => {
  const { engine } = recordedEngine(t);
  const { result } = await failure(() => engine.run(exec('/no/such/program'), buffer), 'SPAWN_FAILED');
  assert.deepEqual([result.stdout, result.stderr], [Buffer.alloc(0), Buffer.alloc(0)]);
  const id = await engine.execute(forever, buffer);
  await until(async () => (await engine.readOutput(id)).length > 0, 'it has written');
  assert.deepEqual((await timeOut(engine, id)).stdout, Buffer.from('ready\n'));
  assert.deepEqual((await engine.run(forever, { ...buffer, signal: AbortSignal.abort() })).stdout, Buffer.alloc(0));
});

test('what is above the cap is cut by bytes and keeps its marker', async (t) => {
  const { engine } = recordedEngine(t, { maxOutputSizeBytes: 8 });
  const { stdout, stdoutTruncated } = await engine.run(hexWrites('ff'.repeat(16)), buffer);
  const [head, tail] = [stdout.subarray(0, 4), stdout.subarray(-4)];
  assert.deepEqual([head.toString('hex'), tail.toString('hex'), stdoutTruncated], ['ffffffff', 'ffffffff', true]);
  assert.equal(stdout.subarray(4, -4).toString(), '\n[... output truncated: 8 of 16 bytes omitted ...]\n');
});

test('many lines of bytes: all there, in order, none changed later', async (t) => {
  const engine = newEngine(t);
  const count = 200_000;
  const events = [];
  for await (const event of engine.stream(shell(`exec seq ${count}`), buffer)) events.push(event);
  checkEvents(events);
  const texts = events.filter(({ type }) => type === 'stdout').map((event) => ({ ...event, line: event.line.toString() }));
  assert.deepEqual(
    wholeLines(texts),
    Array.from({ length: count }, (_, index) => String(index + 1)),
  );
});
