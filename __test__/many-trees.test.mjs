// Many trees that end together share the scans of the process table.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { exec, until } from './helpers/programs.mjs';

/** 2 000 in `npm run test:stress`. */
const COUNT = Number(process.env.ESCHER_TEST_TREES ?? 500);

test(`${COUNT} trees are ended by one cancelAll, each by its stop signal`, async (t) => {
  const count = COUNT;
  const engine = newEngine(t, { maxConcurrentExecutions: count, maxInMemoryExecutions: count });
  const ids = await Promise.all(Array.from({ length: count }, () => engine.execute(exec('sleep', '300'))));
  await until(() => ids.every((id) => engine.getStatus(id) === 'running'), 'all run', 60_000);
  assert.equal(await engine.cancelAll(), count);
  for (const id of ids) {
    const { status, signal, killed } = engine.getResult(id);
    assert.deepEqual([status, signal, killed.pids.length], ['cancelled', 'SIGTERM', 1]);
    assert.doesNotMatch(killed.mechanism, /SIGKILL|unreaped/);
  }
});
