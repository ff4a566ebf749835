// Any number of callers may wait, before and after the end.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { file, folder, nothing, untilFile } from './helpers/programs.mjs';

test('a hundred waiters before and a hundred after the end get the same result', async (t) => {
  const { engine, events } = recordedEngine(t);
  const dir = folder(t);
  const id = await engine.execute(untilFile(path.join(dir, 'go'), 'exit 4'));
  const early = Array.from({ length: 100 }, () => engine.waitForCompletion(id));
  await events.line('ready', id);
  file(dir, 'go');
  const first = await early[0];
  assert.equal(first.exitCode, 4);
  const late = Array.from({ length: 100 }, () => engine.waitForCompletion(id));
  for (const result of await Promise.all([...early, ...late])) assert.deepEqual(result, first);
  assert.deepEqual(engine.getResult(id), first);
});

test('the terminal event was delivered when a waiter resolves', async (t) => {
  const { engine, events } = recordedEngine(t);
  for (let round = 0; round < 50; round += 1) {
    const { id } = await engine.run(nothing);
    assert.deepEqual(events.types(id), ['started', 'completed'], `round ${round}`);
  }
});

test('an unknown id is NOT_FOUND', async (t) => {
  const { engine } = recordedEngine(t);
  const id = randomUUID();
  const error = await failure(() => engine.waitForCompletion(id), 'NOT_FOUND');
  assert.equal(error.executionId, id);
  assert.ok(error.message.includes(id));
});

test('two engines do not know of each other', async (t) => {
  const [one, two] = [recordedEngine(t), recordedEngine(t)];
  const { id } = await one.engine.run(nothing);
  await failure(() => two.engine.waitForCompletion(id), 'NOT_FOUND');
  assert.deepEqual(two.engine.listExecutions(), []);
  assert.deepEqual(two.events.of(id), []);
});

test('a result is not shared: what one caller does to it, another does not see', async (t) => {
  const { engine } = recordedEngine(t);
  const result = await engine.run({ ...nothing, metadata: { tags: ['kept'] } });
  try {
    result.status = 'changed';
    result.metadata.tags.push('more');
  } catch {
    // A frozen result does as well.
  }
  const again = await engine.waitForCompletion(result.id);
  assert.equal(again.status, 'completed');
  assert.deepEqual(again.metadata.tags, ['kept']);
});
