// Standard input in every form that a host may have it in.
import assert from 'node:assert/strict';
import { createServer, get, request as httpRequest } from 'node:http';
import { connect, createServer as createSocketServer } from 'node:net';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import vm from 'node:vm';

import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, shell } from './helpers/programs.mjs';

const cat = exec('cat');
const bytes = (text) => new TextEncoder().encode(text);
const floats = new Float32Array(bytes('abcdefgh').buffer);
const shared = new SharedArrayBuffer(3);
new Uint8Array(shared).set(bytes('abc'));
const foreign = (source) => vm.runInNewContext(source, { Blob, ReadableStream });

const WHOLE = {
  'a view of another type': [floats, 'abcdefgh'],
  'a DataView with an offset': [new DataView(bytes('abcdef').buffer, 2, 3), 'cde'],
  'an ArrayBuffer': [bytes('abc').buffer, 'abc'],
  'a SharedArrayBuffer': [shared, 'abc'],
  'a view of shared memory': [new Uint8Array(shared, 1), 'bc'],
  'bytes of another realm': [foreign('new Uint8Array([104, 105])'), 'hi'],
  'an ArrayBuffer of another realm': [foreign('new Uint8Array([104, 105]).buffer'), 'hi'],
  'an array': [['a', Buffer.from('b'), new DataView(bytes('c').buffer), 'd'], 'abcd'],
  'an empty array': [[], ''],
  'an array of another realm': [foreign('["a", new Uint8Array([98])]'), 'ab'],
};
const IN_PARTS = {
  'a set': () => [new Set(['a', 'b']), 'ab'],
  'a generator': () => [
    (function* () {
      yield 'a';
      yield Promise.resolve(bytes('b'));
    })(),
    'ab',
  ],
  'an asynchronous generator of other bytes': () => [
    (async function* () {
      yield floats;
      yield shared;
      yield foreign('new Uint8Array([104, 105])');
    })(),
    'abcdefghabchi',
  ],
  'a generator of another realm': () => [foreign('(function* () { yield "a"; yield new Uint8Array([98]); })()'), 'ab'],
  'a Blob': () => [new Blob(['a', 'b']), 'ab'],
  'a File': () => [new File(['a', 'b'], 'name'), 'ab'],
  'a stream of the web': () => [new Blob(['ab']).stream(), 'ab'],
  'a stream of the web that cannot be iterated': () => {
    const stream = new Blob(['ab']).stream();
    return [{ getReader: () => stream.getReader() }, 'ab'];
  },
  'halves of a pair in two chunks': () => [['\ud83d', '\ude00'].values(), '\u{1F600}'],
};

test('bytes of every kind, for a command and for a plan', async (t) => {
  const engine = newEngine(t);
  for (const [name, [stdin, text]] of Object.entries(WHOLE)) {
    assert.equal((await engine.run(cat, { stdin })).stdout, text, name);
    const { results } = await engine.runPlan(
      { description: 'one', strategy: { type: 'serial' }, commands: [cat, cat] },
      { stdin, steps: { 1: { stdin: [stdin].flat() } } },
    );
    assert.deepEqual(
      results.map((result) => result.stdout),
      [text, text],
      name,
    );
  }
  assert.equal(
    (await engine.run(shell('cat; exit 1'), { stdin: ['a'], retry: { attempts: 2, backoffMs: 0 } })).attempt,
    2,
    'it can be read again',
  );
});

test('chunks of every kind', async (t) => {
  const engine = newEngine(t);
  for (const [name, make] of Object.entries(IN_PARTS)) {
    const [stdin, text] = make();
    assert.equal((await engine.run(cat, { stdin })).stdout, text, name);
  }
});

test('what is no input is refused with a list of what is', async (t) => {
  const engine = newEngine(t);
  for (const stdin of [5, {}, new Date(), () => 'x', new WeakMap()]) {
    const { message, field } = await failure(() => engine.run(cat, { stdin }), 'INVALID_REQUEST');
    assert.equal(field, 'options.stdin');
    for (const kind of [
      'string',
      'Buffer',
      'typed array',
      'DataView',
      'ArrayBuffer',
      'iterable',
      'Readable',
      'ReadableStream',
      'Blob',
      'inherit',
    ])
      assert.ok(message.includes(kind), `${kind}: ${message}`);
  }
  for (const chunk of [5, null, {}, Symbol('s')]) {
    const { message } = await failure(() => engine.run(cat, { stdin: [chunk].values() }), 'INVALID_REQUEST');
    assert.match(message, /neither a string nor bytes/);
  }
  for (const chunk of ['\ud83dx', '\ude00', 'x\ud83d']) {
    assert.match(
      (await failure(() => engine.run(cat, { stdin: [chunk].values() }), 'INVALID_REQUEST')).message,
      /half of a surrogate pair/,
    );
  }
});

test('bytes whose memory was transferred are refused', async (t) => {
  const engine = newEngine(t);
  const transferred = (Kind) => {
    const buffer = new ArrayBuffer(16);
    const value = Kind === ArrayBuffer ? buffer : new Kind(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    return value;
  };
  const id = await engine.execute(cat, { stdin: 'open' });
  for (const Kind of [ArrayBuffer, Uint8Array, DataView, Float64Array]) {
    for (const [call, field] of [
      [() => engine.write(id, transferred(Kind)), 'data'],
      [() => engine.run(cat, { stdin: transferred(Kind) }), 'options.stdin'],
      [() => engine.run(cat, { input: [transferred(Kind)] }), 'options.input[0]'],
      [() => engine.run(cat, { input: [transferred(Kind)].values() }), 'options.input'],
    ]) {
      const error = await failure(call, 'INVALID_REQUEST');
      assert.equal(error.field, field);
      assert.match(error.message, /memory was transferred/);
    }
  }
  await engine.cancel(id);
});

test('a Readable between its end and its closing is empty', async (t) => {
  const engine = newEngine(t);
  const input = Readable.from(['a']).resume();
  await once(input, 'end');
  assert.ok(!input.closed);
  assert.equal((await engine.run(cat, { stdin: input })).stdout, '');
  const inTurn = Readable.from(['a']).resume();
  const run = new Promise((resolve) => inTurn.on('end', () => resolve(engine.run(cat, { stdin: inTurn }))));
  assert.equal((await run).status, 'completed');
});

/** Returns what an HTTP server answers to a request that is written to without end. */
async function answer(t, respond) {
  const server = createServer(respond).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  const request = httpRequest({ port: server.address().port, method: 'POST' });
  const timer = setInterval(() => request.write('b'.repeat(100_000)), 10);
  t.after(() => {
    clearInterval(timer);
    request.destroy();
  });
  request.on('error', () => {});
  const [response] = await once(request, 'response');
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) text += chunk;
  return text;
}

test('an HTTP request is not closed: it can be answered', async (t) => {
  const engine = newEngine(t);
  let errors = 0;
  const text = await answer(t, async (request, response) => {
    request.on('error', () => (errors += 1));
    const { stdout } = await engine.run(exec('head', '-c', '5'), { stdin: request });
    response.end(`${stdout} ${request.destroyed} ${errors}`);
  });
  assert.equal(text, 'bbbbb false 0');
});

test('a connection that is still written to is not closed either', async (t) => {
  const engine = newEngine(t);
  const server = createSocketServer(async (socket) => {
    const { stdout } = await engine.run(exec('head', '-c', '5'), { stdin: socket });
    socket.end(`got ${stdout}`);
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = connect(server.address().port).setEncoding('utf8');
  client.write('hello, world');
  const [said] = await once(client, 'data');
  assert.equal(said, 'got hello');
  client.destroy();
});

test('a stream with another reader is left to it', async (t) => {
  const engine = newEngine(t);
  const stream = new Readable({ read() {} });
  let others = '';
  stream.on('data', (chunk) => (others += chunk));
  stream.push('one');
  await engine.run(exec('head', '-c', '3'), { stdin: stream });
  assert.ok(!stream.destroyed);
  stream.push('two');
  stream.push(null);
  stream.resume();
  await once(stream, 'end');
  assert.equal(others, 'onetwo');
});

test('what is read for the command alone is closed', async (t) => {
  const engine = newEngine(t);
  const through = new PassThrough();
  through.write('abcdef');
  assert.equal((await engine.run(exec('head', '-c', '3'), { stdin: through })).stdout, 'abc');
  assert.ok(through.destroyed);
  const server = createServer((_, response) => response.write('x'.repeat(1000))).listen(0, '127.0.0.1');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const [response] = await once(get({ port: server.address().port }), 'response');
  response.on('error', () => {});
  assert.equal((await engine.run(exec('head', '-c', '3'), { stdin: response })).stdout, 'xxx');
  assert.ok(response.destroyed, 'a response has no other reader');
});
