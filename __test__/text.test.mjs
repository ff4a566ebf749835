// Bytes become text without loss where that can be, and U+FFFD where it cannot.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { file, folder, hexWrites, shell } from './helpers/programs.mjs';

test('invalid UTF-8 is U+FFFD, the rest is untouched', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id, stdout, stdoutBytes } = await engine.run(hexWrites('61ff62', '0a', 'c3280a', 'eda0800a'));
  const wanted = Buffer.from('61ff620ac3280aeda0800a', 'hex').toString('utf8');
  assert.equal(stdout, wanted);
  assert.equal(stdoutBytes, 11);
  assert.deepEqual(events.lines(id), wanted.split('\n').slice(0, -1));
});

test('a character split across reads is one character', async (t) => {
  const { engine, events } = recordedEngine(t);
  const go = path.join(folder(t), 'go');
  const line = "printf 'a\\342\\202'; while [ ! -e \"$GO\" ]; do sleep 0.01; done; printf '\\254b\\n'";
  const id = await engine.execute(shell(line, { env: { GO: go } }));
  const partial = await events.first((event) => event.type === 'stdout');
  assert.deepEqual([partial.line, partial.partial], ['a', true]);
  file(path.dirname(go), 'go');
  const { stdout } = await engine.waitForCompletion(id);
  assert.equal(stdout, 'a€b\n');
  assert.deepEqual(events.lines(id), ['a€b']);
});

test('every character survives one write a byte, in lines and in the result', async (t) => {
  const { engine, events } = recordedEngine(t);
  const text = 'é€😀\u{10FFFF}߿ \uFEFFZ\n'.repeat(20);
  const { id, stdout } = await engine.run(hexWrites(...[...Buffer.from(text)].map((byte) => byte.toString(16).padStart(2, '0'))));
  assert.equal(stdout, text);
  assert.deepEqual(events.lines(id), text.split('\n').slice(0, -1));
});

test('a character is not split where a long line is cut', async (t) => {
  const { engine, events } = recordedEngine(t, { maxLineBytes: 64 });
  const text = 'a' + '😀'.repeat(100);
  const { id } = await engine.run(hexWrites(Buffer.from(`${text}\n`).toString('hex')));
  assert.ok(events.of(id).every((event) => !event.line?.includes('\uFFFD')));
  assert.deepEqual(events.lines(id), [text]);
});

test('NUL is a character like any other', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id, stdout } = await engine.run(hexWrites('610062', '0a00', '0a'));
  assert.equal(stdout, 'a\0b\n\0\n');
  assert.deepEqual(events.lines(id), ['a\0b', '\0']);
});

test('Latin-1, ASCII and wide text in one stream', async (t) => {
  const { engine, events } = recordedEngine(t);
  const lines = ['plain', 'caf\u00e9', '\u0080\u00ff', '日本語', '', '🎉 mixed é', 'plain again'];
  const { id, stdout } = await engine.run(hexWrites(Buffer.from(lines.join('\n')).toString('hex')));
  assert.equal(stdout, lines.join('\n'));
  assert.deepEqual(events.lines(id), lines);
});

test('the byte order mark stays', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id, stdout } = await engine.run(hexWrites('efbbbf610a'));
  assert.equal(stdout, '\uFEFFa\n');
  assert.deepEqual(events.lines(id), ['\uFEFFa']);
});
