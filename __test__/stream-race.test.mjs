// A loop that breaks and a cancel, an abort or an exit that come at the same time leave one outcome.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { recordedEngine } from './helpers/engine.mjs';
import { isAlive, nothing, shell } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

const talkative = shell('i=0; while :; do i=$((i + 1)); echo $i; done');
const few = shell('echo 1; echo 2; echo 3');

/** Reads until so many events have come, and breaks. */
async function breakAfter(stream, count) {
  let seen = 0;
  for await (const event of stream) if (event && (seen += 1) >= count) break;
  return seen;
}

/** Checks what every stream leaves: one end, and no process. */
async function settled(engine, events, stream, ends) {
  const result = await stream.result;
  assert.ok(ends.includes(result.reason), result.reason);
  if (result.pid !== null) assert.ok(!isAlive(result.pid), 'its process is gone');
  assert.deepEqual(engine.getResult(await stream.id), result);
  assert.equal(events.types(result.id).filter((type) => type === result.status).length, 1);
}

describe('a stream', () => {
  test('whose loop breaks while it is cancelled', async (t) => {
    const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 8, maxInMemoryExecutions: 5_000 });
    await repeatedly(REPEATS, 4, async (index) => {
      const stream = engine.stream(talkative, { killGraceMs: 50 });
      const id = await stream.id;
      const cancel = async () => {
        for (let turns = 0; turns < index % 7; turns += 1) await turn();
        await engine.cancel(id);
      };
      await Promise.all([breakAfter(stream, 1 + (index % 5)), cancel()]);
      await settled(engine, events, stream, ['cancelled']);
    });
    assert.equal(engine.getConcurrencyMetrics().currentlyRunning, 0);
  });

  test('whose loop breaks while its command exits', async (t) => {
    const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 8, maxInMemoryExecutions: 5_000 });
    await repeatedly(REPEATS, 4, async (index) => {
      const stream = engine.stream(index % 2 ? few : nothing);
      await breakAfter(stream, 1 + (index % 5));
      await settled(engine, events, stream, ['exit', 'cancelled']);
    });
    assert.equal(engine.getConcurrencyMetrics().currentlyRunning, 0);
  });

  test('that is aborted while its loop breaks, before and after it was accepted', async (t) => {
    const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 2, maxInMemoryExecutions: 5_000 });
    await repeatedly(REPEATS, 4, async (index) => {
      const controller = new AbortController();
      const stream = engine.stream(talkative, { signal: controller.signal, killGraceMs: 50 });
      if (index % 3) await stream.id;
      setImmediate(() => controller.abort());
      await breakAfter(stream, 1 + (index % 4));
      await settled(engine, events, stream, ['aborted', 'cancelled']);
    });
    assert.equal(engine.getConcurrencyMetrics().currentlyRunning, 0);
  });
});
