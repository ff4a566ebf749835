// A Readable as standard input: read at the child's pace, and closed when the child wants no more.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createReadStream, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { recordedEngine } from './helpers/engine.mjs';
import { host } from './helpers/hosts.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, folder, forever, shell } from './helpers/programs.mjs';

const cat = exec('cat');

test('a file, whole and exact', async (t) => {
  const { engine } = recordedEngine(t);
  const name = path.join(folder(t), 'input');
  const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => (index * 31) % 256));
  writeFileSync(name, bytes);
  const { stdout } = await engine.run(cat, { stdin: createReadStream(name), encoding: 'buffer' });
  assert.ok(stdout.equals(bytes), `${stdout.length} bytes came back`);
  const text = createReadStream(name, { encoding: 'latin1', end: 3 });
  assert.equal((await engine.run(cat, { stdin: text })).stdout, bytes.subarray(0, 4).toString('latin1'));
});

test('another process, a web stream, and what was made from a list', async (t) => {
  const { engine } = recordedEngine(t);
  assert.equal((await engine.run(exec('wc', '-l'), { stdin: spawn('seq', ['50000']).stdout })).stdout.trim(), '50000');
  const web = new Blob(['from ', 'a blob']).stream();
  assert.equal((await engine.run(cat, { stdin: web })).stdout, 'from a blob');
  assert.equal((await engine.run(cat, { stdin: Readable.from(['a', Buffer.from('b'), 'c']) })).stdout, 'abc');
});

test('what is written later arrives', async (t) => {
  const { engine, events } = recordedEngine(t);
  const stdin = new PassThrough();
  const id = await engine.execute(cat, { stdin });
  for (const line of ['one', 'two']) {
    stdin.write(`${line}\n`);
    await events.line(line, id);
  }
  stdin.end();
  assert.equal((await engine.waitForCompletion(id)).stdout, 'one\ntwo\n');
});

test('it is closed when its child wants no more, also while it is silent', async (t) => {
  const { engine, events } = recordedEngine(t);
  const silent = () => new Readable({ read() {} });
  const endless = new Readable({
    read() {
      this.push('x'.repeat(10_000));
    },
  });
  assert.equal((await engine.run(shell('head -c 3'), { stdin: endless })).stdout, 'xxx');
  assert.ok(endless.destroyed);
  const unread = silent();
  assert.equal((await engine.run(shell('exit 3'), { stdin: unread })).exitCode, 3);
  assert.ok(unread.destroyed);
  const cancelled = silent();
  const id = await engine.execute(forever, { stdin: cancelled });
  await events.line('ready', id);
  assert.ok(!cancelled.destroyed);
  await engine.cancel(id);
  assert.ok(cancelled.destroyed);
});

test('it is read at the pace of the child', async (t) => {
  const { engine, events } = recordedEngine(t);
  let pushed = 0;
  const stdin = new Readable({
    read() {
      pushed += 65_536;
      this.push(Buffer.alloc(65_536));
    },
  });
  const id = await engine.execute(forever, { stdin });
  await events.line('ready', id);
  let before;
  do {
    before = pushed;
    await sleep(100);
  } while (pushed > before || pushed === 0);
  assert.ok(pushed <= 2 * 1024 * 1024, `${pushed} bytes were read for a child that reads none`);
  await engine.cancel(id);
});

test('an error ends the command, whenever it comes', async (t) => {
  const { engine, events } = recordedEngine(t);
  const boom = new Error('the socket is gone');
  const failed = async (stdin, request = cat) => {
    const error = await failure(() => engine.run(request, { stdin }), 'INVALID_REQUEST');
    assert.equal(error.field, 'options.stdin');
    assert.deepEqual([error.result.status, error.result.reason], ['cancelled', 'aborted']);
    return error;
  };
  assert.equal(
    (
      await failed(
        new Readable({
          read() {
            this.destroy(boom);
          },
        }),
      )
    ).cause,
    boom,
  );

  // The stream fails while no more is read.
  const unread = new Readable({
    read() {
      this.push(Buffer.alloc(65_536));
    },
  });
  const running = failed(unread, forever);
  await events.first((event) => event.line === 'ready');
  unread.destroy(boom);
  assert.equal((await running).cause, boom);

  // The stream failed before it was given.
  const early = new Readable({ read() {} });
  early.on('error', () => {});
  early.destroy(boom);
  assert.equal((await failed(early)).cause, boom);

  // The stream is closed without a reason: the read data is not the whole.
  const closed = new Readable({ read() {} });
  const second = failed(closed, shell('echo second; exec sleep 300'));
  await events.line('second');
  closed.destroy();
  assert.match((await second).message, /closed before its end/);
});

test('one that has ended already is an end of file', async (t) => {
  const { engine } = recordedEngine(t);
  const ended = Readable.from(['x']);
  for await (const chunk of ended) assert.equal(chunk, 'x');
  assert.equal((await engine.run(cat, { stdin: ended })).stdout, '');
});

test('an error after the end of the command is ignored', async (t) => {
  const { engine } = recordedEngine(t);
  const stdin = new Readable({
    read() {},
    destroy(_error, done) {
      done(new Error('it cannot be closed'));
    },
  });
  assert.equal((await engine.run(shell('exit 0'), { stdin })).status, 'completed');
  await sleep(50);
});

test("the host's own standard input stays open, and keeps no host alive", async () => {
  const { code, stdout, stderr } = await host(
    `
    const engine = new ExecutionEngine();
    for (const line of ['echo one', 'echo two']) {
      process.stdout.write((await engine.run(programs.shell(line), { stdin: process.stdin })).stdout);
      if (process.stdin.destroyed) console.log('closed');
    }
  `,
    { stdin: 'pipe' },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'one\ntwo\n', stderr: '' });
});
