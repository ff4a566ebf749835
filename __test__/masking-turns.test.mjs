// Output that takes long to mask: a secret of quotes has very many readings in a text of quotes. Other executions have their turns.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { exec, folder, until } from './helpers/programs.mjs';

test('output that takes long to mask delays no deadline of others, and no cancel', async (t) => {
  const text = path.join(folder(t), 'quotes');
  writeFileSync(text, "'".repeat(4 << 20));
  const masking = newEngine(t, { secrets: ["'".repeat(40)], killGraceMs: 0 });
  const other = newEngine(t);
  const started = performance.now();
  const slow = await Promise.all([1, 2, 3, 4].map(() => masking.execute(exec('cat', text), { streamOutput: false })));
  await until(() => slow.every((id) => masking.getStatus(id) === 'running'), 'they run');
  const results = [];
  for (let round = 0; round < 5; round++) results.push(await other.run({ ...exec('sleep', '60'), timeoutMs: 50 }, { killGraceMs: 0 }));
  const took = performance.now() - started;
  assert.deepEqual(
    slow.map((id) => masking.getStatus(id)),
    ['running', 'running', 'running', 'running'],
    'masking still takes its time: else this shows nothing',
  );
  assert.deepEqual([...new Set(results.map(({ status }) => status))], ['timeout']);
  assert.ok(took < 5_000, `${took} ms for five timeouts of 50 ms`);
  await Promise.all(slow.map((id) => masking.cancel(id)));
  for (const id of slow) assert.equal((await masking.waitForCompletion(id)).status, 'cancelled');
});

test('a command that takes long to mask is a mask as a whole, and delays nothing', async (t) => {
  const { engine, events } = recordedEngine(t, { secrets: ["'".repeat(40)], killGraceMs: 0 });
  const started = performance.now();
  const { id, status } = await engine.run({ ...exec('sh', '-c', 'exec sleep 60', "'".repeat(50_000)), timeoutMs: 100 });
  assert.equal(status, 'timeout');
  assert.ok(performance.now() - started < 5_000, `${performance.now() - started} ms for a timeout of 100 ms`);
  assert.equal((await events.first((event) => event.type === 'started')).command, '***');
  assert.ok(
    !engine
      .listExecutions()
      .find((found) => found.id === id)
      .command.includes("'".repeat(40)),
  );
});
