// A result crosses as numbers and texts when it contains an exit and nothing else, and as JSON otherwise and when it is requested
// later. The receiver must not see a difference.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { shell } from './helpers/programs.mjs';

const engine = new ExecutionEngine({ maxConcurrentExecutions: 8 });
after(() => engine.shutdown());

/** @param {import('../index.js').ExecutionResult} result */
const entries = (result) => Object.entries(result).map(([key, value]) => [key, value instanceof Date ? value.getTime() : value]);

const CASES = {
  'nothing at all': shell('true'),
  'both streams': shell('echo out; echo err >&2'),
  'an exit code': shell('echo out; exit 3'),
  'the largest exit code': shell('exit 255'),
  'text that is not ASCII': shell("printf 'Grüße €😀\\n'; printf 'ä' >&2"),
  'bytes that are no text': shell("printf '\\377\\376'"),
  'NUL, quotes, backslashes': shell(String.raw`printf 'a\000b"c\\\\d\n'`),
  metadata: shell('echo hi', {
    metadata: { source: 'test', conversationId: 'c 1', label: 'Läbel "x"', tags: ['a', '€'], deep: { list: [1, null, true] } },
  }),
  'much metadata': shell('echo hi', { metadata: { label: 'x'.repeat(5000) } }),
  'metadata that is empty': shell('true', { metadata: {} }),
  'the longest that crosses with the rest': shell("head -c 1024 /dev/zero | tr '\\0' x"),
  'one byte more': shell("head -c 1025 /dev/zero | tr '\\0' x"),
  'a signal': shell('kill -9 $$'),
  'a timeout': shell('sleep 60', { timeoutMs: 50 }),
};

describe('the forms of a result', () => {
  for (const [name, request] of Object.entries(CASES)) {
    test(`${name}: it is the same at the end and later`, async () => {
      const result = await engine.run(request);
      const later = engine.getResult(result.id);
      assert.notEqual(result, later, 'each is made anew');
      assert.deepEqual(entries(result), entries(later));
      assert.deepEqual(entries(await engine.waitForCompletion(result.id)), entries(later));
    });
  }

  test('a later attempt lists the attempts before it', async () => {
    const result = await engine.run(shell('exit 1'), { retry: { attempts: 2, backoffMs: 1, on: ['exit'] } });
    assert.equal(result.attempt, 2);
    assert.deepEqual(entries(result), entries(engine.getResult(result.id)));
  });

  test('the event has what the waiter gets', async () => {
    const events = new Map();
    const listener = (event) => events.set(event.executionId, event);
    for (const type of ['completed', 'failed']) engine.on(type, listener);
    const [good, bad] = await Promise.all([engine.run(shell('echo fine')), engine.run(shell('echo bad; exit 1'))]);
    engine.removeAllListeners();
    for (const [type, result] of [
      ['completed', good],
      ['failed', bad],
    ]) {
      const event = events.get(result.id);
      assert.equal(event.type, type);
      assert.equal(event.result, result);
      assert.equal('error' in event, false);
    }
  });

  test('many that end at once each have their own', async () => {
    const texts = Array.from({ length: 64 }, (_, index) => `${index}: ${'ä€'.repeat(index * 2)}`);
    const results = await Promise.all(
      texts.map((text, index) =>
        engine.run({ command: { type: 'exec', program: 'printf', args: ['%s', text] }, metadata: { label: text, index } }),
      ),
    );
    const seen = results.map(({ stdout, metadata, id }) => ({ stdout, label: metadata.label, index: metadata.index, id }));
    const expected = texts.map((text, index) => ({ stdout: text, label: text, index, id: results[index]?.id }));
    assert.deepEqual(seen, expected);
    assert.equal(new Set(results.map(({ id }) => id)).size, texts.length);
    for (const result of results) assert.deepEqual(entries(result), entries(engine.getResult(result.id)));
  });
});
