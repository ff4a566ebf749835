// A line is cut (`partial`) only by the command's own silence: never because a listener, a reader, a log or the host was slow.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { newEngine, recordedEngine, wholeLines } from './helpers/engine.mjs';
import { startHost, stop } from './helpers/hosts.mjs';
import { exec, folder, nodeProgram, shell, until } from './helpers/programs.mjs';

/** The pause, in ms: much longer than the silence after which an unfinished line is shown. */
const NAP_MS = 700;
const LINES = 200_000;

const flags = (event) => ['partial', 'continued', 'carriageReturn'].filter((flag) => event[flag]);

/** Checks that `seq` arrived line by line, each whole. */
class Count {
  #lines = 0;
  #cut = [];

  take(event) {
    if (event.type !== 'stdout') return;
    if (flags(event).length > 0) this.#cut.push(`${event.line} ${flags(event)}`);
    this.#lines += 1;
  }

  check(lines) {
    assert.deepEqual(this.#cut, [], 'no line is cut');
    assert.equal(this.#lines, lines);
  }
}

test('a reader that naps before it begins cuts no line', async (t) => {
  const stream = newEngine(t).stream(exec('seq', String(LINES)));
  await sleep(1_500);
  const count = new Count();
  for await (const event of stream) count.take(event);
  count.check(LINES);
});

test('a reader that naps again and again cuts no line', async (t) => {
  const count = new Count();
  let read = 0;
  for await (const event of newEngine(t).stream(exec('seq', String(LINES)))) {
    count.take(event);
    if ((read += 1) % 50_000 === 0) await sleep(NAP_MS);
  }
  count.check(LINES);
});

test('a listener that blocks the JavaScript thread cuts no line', async (t) => {
  const engine = newEngine(t);
  const count = new Count();
  let naps = 0;
  engine.on('stdout', (event) => {
    count.take(event);
    if (event.line.endsWith('50000') && (naps += 1)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, NAP_MS);
  });
  await engine.run(exec('seq', String(LINES)));
  count.check(LINES);
  assert.ok(naps > 1);
});

test('a log of records has the lines that a slow reader gets, whole', async (t) => {
  const engine = newEngine(t, { logDir: folder(t), logFormat: 'jsonl' });
  const stream = engine.stream(exec('seq', String(LINES)));
  await sleep(NAP_MS);
  const count = new Count();
  for await (const event of stream) count.take(event);
  count.check(LINES);
  const records = readFileSync((await stream.result).logPath, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    records.filter((record) => record.partial || record.continued || record.carriageReturn),
    [],
  );
  assert.deepEqual([records.length, records[LINES - 1].text], [LINES, String(LINES)]);
});

test('line ends and characters across the borders of reads stay whole, for a slow reader too', async (t) => {
  // 7 bytes a line: every border of 64 KiB is somewhere else in it, also between \r and \n and in the middle of a character.
  const count = 100_000;
  const stream = newEngine(t).stream(nodeProgram(`process.stdout.write('aé€\\r\\n'.repeat(${count}) + 'end')`));
  await sleep(NAP_MS);
  let read = 0;
  let last;
  for await (const event of stream) {
    if (event.type !== 'stdout') continue;
    assert.deepEqual(flags(event), [], `line ${read} is whole`);
    if (last !== undefined) assert.equal(last, 'aé€');
    last = event.line;
    if ((read += 1) % 30_000 === 0) await sleep(NAP_MS);
  }
  assert.deepEqual([read, last], [count + 1, 'end']);
});

test('a progress display keeps its line ends with a slow reader', async (t) => {
  const count = 150_000;
  const stream = newEngine(t).stream(
    nodeProgram(`let text = ''; for (let i = 0; i < ${count}; i++) text += i + '%\\r'; process.stdout.write(text + 'done\\n')`),
  );
  await sleep(NAP_MS);
  let read = 0;
  for await (const event of stream) {
    if (event.type !== 'stdout') continue;
    const isLast = read === count;
    assert.deepEqual([event.line, flags(event)], isLast ? ['done', []] : [`${read}%`, ['carriageReturn']]);
    read += 1;
  }
  assert.equal(read, count + 1);
});

test('a line that is longer than a piece is cut only where its pieces are full', async (t) => {
  const bytes = 3_000_000;
  const stream = newEngine(t).stream(nodeProgram(`process.stdout.write('x'.repeat(${bytes}) + '\\n')`));
  await sleep(NAP_MS);
  const pieces = [];
  for await (const event of stream) {
    if (event.type !== 'stdout') continue;
    pieces.push([event.line.length, String(flags(event))]);
    if (pieces.length % 15 === 0) await sleep(NAP_MS);
  }
  const [last] = pieces.splice(-1);
  assert.deepEqual(last, [bytes % 65_536, '']);
  assert.deepEqual([...new Set(pieces.map(String))], ['65536,continued']);
  assert.equal(pieces.length, Math.floor(bytes / 65_536));
});

test('a stream that is held up by the other one is not silent', async (t) => {
  // Stops in the middle of a line of standard output, because the pipe of standard error is full.
  const program = `
    const { writeSync } = require('node:fs');
    writeSync(1, 'half ');
    for (let i = 0; i < 60; i++) writeSync(2, ('e'.repeat(1023) + '\\n').repeat(64));
    writeSync(1, 'whole\\n');
  `;
  const engine = newEngine(t);
  let lines = [];
  // On a busy machine the program itself may pause before the other pipe is full.
  for (let tries = 1; lines.length !== 1 && tries <= 5; tries++) {
    const stream = engine.stream(nodeProgram(program));
    await sleep(1_500);
    lines = [];
    for await (const event of stream) if (event.type === 'stdout') lines.push([event.line, flags(event)]);
  }
  assert.deepEqual(lines, [['half whole', []]]);
});

test('a prompt is shown: at once, behind output that waited for its reader, and beside a flood', async (t) => {
  const { engine, events } = recordedEngine(t);
  const stdin = async function* () {
    const prompt = await events.first((event) => event.line === 'name? ');
    assert.equal(prompt.partial, true);
    yield 'ada\n';
  };
  const asked = await engine.run(shell('printf "name? "; read name; echo "hello $name"'), { stdin: stdin() });
  assert.deepEqual(events.lines(asked.id), ['name? hello ada']);

  const stream = engine.stream(shell(`seq ${LINES}; printf "more? "; exec sleep 300`));
  await sleep(NAP_MS);
  for await (const event of stream) if (event.line === 'more? ' && event.partial) break;

  for await (const event of engine.stream(shell('(exec yes >&2) & printf "sure? "; wait')))
    if (event.line === 'sure? ' && event.partial) break;
});

/**
 * Writes half a line every millisecond or so. Reports how many lines it wrote, in how many it has paused itself for so long
 * that they may be cut, and its longest pause in ms. It goes on after a stop signal, so that it can report what has led to that.
 */
const WRITES_HALVES = `
  process.on('SIGTERM', () => {});
  const { writeSync } = require('node:fs');
  const still = new Int32Array(new SharedArrayBuffer(4));
  let [lines, pauses, longestMs, before] = [0, 0, 0, performance.now()];
  const write = (text) => {
    const from = before;
    before = performance.now();
    writeSync(1, text);
    const ms = performance.now() - from;
    longestMs = Math.max(longestMs, ms);
    Atomics.wait(still, 0, 0, 1);
    return ms;
  };
  for (const end = Date.now() + 4_000; Date.now() < end; lines += 1) {
    write('half a ');
    if (write('line\\n') > 150) pauses += 1;
  }
  writeSync(2, JSON.stringify({ lines, pauses, longestMs }));
`;

test('a host that was stopped meanwhile cuts no line', { skip: process.platform === 'win32' && 'there is no SIGSTOP' }, async (t) => {
  // Some stop falls into the middle of a line.
  const source = `
    const engine = new ExecutionEngine({ killGraceMs: 30_000 });
    let [pieces, cut] = [0, 0];
    engine.on('stdout', (event) => { pieces += 1; if (event.partial) cut += 1; });
    engine.once('stdout', () => console.log('ready'));
    const { status, stderr } = await engine.run(programs.nodeProgram(${JSON.stringify(WRITES_HALVES)}), { idleTimeoutMs: 500 });
    console.log(JSON.stringify({ status, pieces, cut, child: JSON.parse(stderr) }));
  `;
  const { child, lines, ended } = startHost(source);
  t.after(() => child.kill('SIGKILL'));
  await lines.next();
  for (let stops = 0; stops < 4; stops += 1) {
    await sleep(200);
    child.kill('SIGSTOP');
    await sleep(NAP_MS);
    child.kill('SIGCONT');
  }
  const { value } = await lines.next();
  const found = JSON.parse(value);
  assert.equal(found.pieces - found.cut, found.child.lines, 'no line is missing');
  assert.ok(found.cut <= found.child.pauses, value);
  if (found.child.longestMs < 450) assert.equal(found.status, 'completed', value);
  await ended;
});

test('what a command left in its pipe is read, although the host was stopped when the command exited', {
  skip: process.platform === 'win32' && 'there is no SIGSTOP',
}, async (t) => {
  // The command exits at once; what it left behind writes while the host is stopped, longer than any drain.
  const dir = folder(t);
  const line = `(while [ ! -e '${path.join(dir, 'go')}' ]; do sleep 0.01; done; echo late) & echo early`;
  const source = `
    const engine = new ExecutionEngine({ drainTimeoutMs: 2_000 });
    engine.on('stdout', ({ line }) => console.log(line));
    const { status, stdout, leaked } = await engine.run(programs.shell(${JSON.stringify(line)}));
    console.log(JSON.stringify({ status, stdout, leaked }));
  `;
  const { child, lines, ended } = startHost(source);
  t.after(() => child.kill('SIGKILL'));
  assert.equal((await lines.next()).value, 'early');
  await stop(child);
  writeFileSync(path.join(dir, 'go'), '');
  await sleep(3_000);
  child.kill('SIGCONT');
  assert.equal((await lines.next()).value, 'late');
  const { value } = await lines.next();
  assert.deepEqual(JSON.parse(value), { status: 'completed', stdout: 'early\nlate\n', leaked: false });
  await ended;
});

test('records of a log are cut by silence alone, too', async (t) => {
  const engine = newEngine(t, { logDir: folder(t), logFormat: 'jsonl', streamOutput: false });
  const go = path.join(folder(t), 'go');
  const line = 'printf "ask: "; while [ ! -e "$GO" ]; do sleep 0.01; done; echo answered; seq 1000';
  const id = await engine.execute(shell(line, { env: { GO: go } }));
  await until(async () => (await engine.readLogs(id).catch(() => '')).includes('ask: '), 'the first piece is a record');
  writeFileSync(go, '');
  const { logPath } = await engine.waitForCompletion(id);
  const records = readFileSync(logPath, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    records.slice(0, 2).map(({ text, partial }) => [text, partial === true]),
    [
      ['ask: ', true],
      ['answered', false],
    ],
  );
  assert.equal(wholeLines(records.map((record) => ({ ...record, line: record.text }))).length, 1_001);
});
