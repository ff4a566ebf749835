// A slow consumer of a stream slows its child; memory stays bounded.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { lineWriter } from './helpers/line-writer.mjs';
import { nothing, shell, until } from './helpers/programs.mjs';

const MIB = 1024 * 1024;

test('a child is held up while its lines are unread, and continues when they are read', async (t) => {
  const engine = newEngine(t);
  const { request, written, stalled } = lineWriter(t);
  const before = process.memoryUsage.rss();
  const stream = engine.stream(request);
  const iterator = stream[Symbol.asyncIterator]();
  for (let line = ''; line === '' || line === undefined; ) line = (await iterator.next()).value.line;
  const first = await stalled();
  assert.ok(first < 4 * 1024, `the child wrote ${first} KiB although none was read`);
  assert.ok(process.memoryUsage.rss() - before < 32 * MIB);

  for (let count = 0; count < first + 2_000; count += 1) await iterator.next();
  await until(() => written() > first, 'the child writes on');
  const second = await stalled();
  assert.ok(second < first + 2_000 + 4 * 1024, `the child wrote ${second} KiB when ${first + 2_000} were taken`);

  assert.equal((await engine.run(nothing)).status, 'completed', 'others are not held up');
  await iterator.return();
  assert.equal((await stream.result).status, 'cancelled');
});

test('timeouts are on time while the lines are unread', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream({ ...lineWriter(t).request, timeoutMs: 400 });
  const { status, durationMs } = await stream.result;
  assert.equal(status, 'timeout');
  assert.ok(durationMs >= 400 && durationMs < 2_000, `it took ${durationMs} ms`);
});

test('a reader that takes every line at once leaves the event loop its turns', async (t) => {
  const engine = newEngine(t);
  const LINES = 500_000;
  // The most lines between two turns: 1 MiB of lines of 61 bytes may be in transit, and two such portions may come.
  const MOST_IN_A_TURN = 45_000;
  let lines = 0;
  let before = 0;
  let most = 0;
  let isOver = false;
  (function turn() {
    most = Math.max(most, lines - before);
    before = lines;
    if (!isOver) setImmediate(turn);
  })();
  for await (const event of engine.stream(shell(`yes ${'0123456789'.repeat(6)} | head -n ${LINES}`))) if (event.type === 'stdout') lines++;
  isOver = true;
  assert.equal(lines, LINES);
  assert.ok(most <= MOST_IN_A_TURN, `${most} lines in one turn`);
});
