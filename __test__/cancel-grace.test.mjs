// `graceMs` of a cancel shortens the time until a tree is killed, and never lengthens it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { withoutMeans } from './helpers/members.mjs';
import { allowed, withEnoughTime } from './helpers/pace.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';
import { folder, forever, shell, stubborn, untilFile } from './helpers/programs.mjs';

const LONG = 600_000;
/** Writes `asked` for each stop signal, and continues. */
const asked = shell("trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done");

async function timed(action) {
  const before = performance.now();
  await action();
  return performance.now() - before;
}

const assertShort = (took, least = 0) => assert.ok(took >= least && took < allowed(least + 3_000), `it took ${took} ms, not ${least}`);

test('a later cancel with a shorter one takes effect', async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: LONG });
  const id = await engine.execute(asked);
  await events.line('ready');
  const first = engine.cancel(id);
  await events.line('asked');
  assertShort(await timed(() => Promise.all([first, engine.cancel(id, { graceMs: 200 })])), 199);
  assert.equal(engine.getResult(id).signal, 'SIGKILL');
  assert.equal(engine.getResult(id).stdout, 'ready\nasked\n');
});

test('the earliest of several deadlines counts', async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: 300 });
  for (const calls of [[undefined, LONG], [LONG, undefined], [300, LONG], [LONG, 300, LONG], [LONG]]) {
    const id = await engine.execute(stubborn, calls.includes(300) ? { killGraceMs: LONG } : {});
    await events.line('ready', id);
    const took = await timed(() => Promise.all(calls.map((graceMs) => engine.cancel(id, { graceMs }))));
    assertShort(took, 299);
    assert.equal(engine.getResult(id).signal, 'SIGKILL');
  }
});

test('0 kills at once, without a stop signal', async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: LONG });
  const id = await engine.execute(asked);
  await events.line('ready');
  assertShort(await timed(() => engine.cancel(id, { graceMs: 0 })));
  const { signal, stdout, killed } = engine.getResult(id);
  assert.deepEqual([signal, stdout], ['SIGKILL', 'ready\n']);
  assert.equal(withoutMeans(killed.mechanism), 'SIGKILL to the group');
});

test('cancelAll has one too', async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: LONG, maxConcurrentExecutions: 3 });
  const ids = [];
  for (let index = 0; index < 4; index += 1) ids.push(await engine.execute(stubborn));
  await Promise.all(ids.slice(0, 3).map((id) => events.line('ready', id)));
  const first = engine.cancelAll();
  // The one that waits for its turn ends at once: the second call has the others alone.
  await engine.waitForCompletion(ids[3]);
  assertShort(await timed(async () => assert.equal(await engine.cancelAll({ graceMs: 100 }), 3)), 99);
  assert.equal(await first, 4);
  assert.deepEqual(
    ids.map((id) => engine.getResult(id).signal),
    ['SIGKILL', 'SIGKILL', 'SIGKILL', null],
  );
});

test('of a tree that ends because its time is up', async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: LONG });
  const ways = {
    timeout: async () => {
      const id = await engine.execute(asked);
      await events.line('ready', id);
      await engine.extendTimeout(id, 1);
      return id;
    },
    idle_timeout: () =>
      withEnoughTime(1_000, async (idleTimeoutMs) => {
        const id = await engine.execute(asked, { idleTimeoutMs });
        await Promise.race([events.line('asked', id), engine.waitForCompletion(id)]);
        return events.lines(id).includes('ready') && id;
      }),
  };
  for (const [wanted, start] of Object.entries(ways)) {
    const id = await start();
    await events.line('asked', id);
    assertShort(await timed(() => engine.cancel(id, { graceMs: 100 })), 99);
    const { signal, reason, status } = engine.getResult(id);
    assert.deepEqual([signal, status, reason], ['SIGKILL', 'timeout', wanted], 'the first reason counts');
  }
});

test('of a tree that ends because of a shutdown, or an abort signal', async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: LONG });
  const controller = new AbortController();
  const ids = [await engine.execute(asked), await engine.execute(asked, { signal: controller.signal })];
  await Promise.all(ids.map((id) => events.line('ready', id)));
  controller.abort();
  await events.line('asked', ids[1]);
  const over = engine.shutdown();
  await events.line('asked', ids[0]);
  assertShort(await timed(() => engine.cancelAll({ graceMs: 100 })), 99);
  await over;
  assert.deepEqual(
    ids.map((id) => engine.getResult(id).reason),
    ['shutdown', 'aborted'],
  );
});

test('of one that waits: it never starts', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1, killGraceMs: LONG });
  const dir = folder(t);
  const first = await engine.execute(untilFile(path.join(dir, 'go')));
  await events.line('ready', first);
  const id = await engine.execute(forever);
  await engine.cancel(id, { graceMs: 100 });
  const { pid, reason, killed } = engine.getResult(id);
  assert.deepEqual([pid, reason, killed], [null, 'cancelled', undefined]);
  await engine.cancel(first, { graceMs: 0 });
});

test('of one that is just being started', async (t) => {
  const { engine } = recordedEngine(t, { killGraceMs: LONG });
  await repeatedly(REPEATS, 4, async (index) => {
    const id = await engine.execute(stubborn);
    await engine.cancel(id, { graceMs: index % 2 === 0 ? 0 : 20 });
    const { reason, durationMs } = engine.getResult(id);
    assert.equal(reason, 'cancelled');
    assert.ok(durationMs < LONG / 2);
  });
});

test('of one that has ended: it stays as it is', async (t) => {
  const { engine } = recordedEngine(t);
  const result = await engine.run(shell('exit 3'));
  await engine.cancel(result.id, { graceMs: 0 });
  assert.deepEqual(engine.getResult(result.id), result);
});
