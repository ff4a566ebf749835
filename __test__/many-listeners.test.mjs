// Many commands on one abort signal, and many listeners on one engine, are no leak that Node.js has to warn of.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { host } from './helpers/hosts.mjs';
import { forever, nothing } from './helpers/programs.mjs';

test('no warning', async () => {
  const { code, stdout, stderr } = await host(`
    const engine = new ExecutionEngine();
    const { signal } = new AbortController();
    for (let index = 0; index < 30; index++) for (const type of ['event', 'stdout', 'completed']) engine.on(type, () => {});
    const runs = Array.from({ length: 100 }, () => engine.run(programs.nothing, { signal }));
    const plans = Array.from({ length: 20 }, () => engine.runPlan({ description: 'd', strategy: { type: 'parallel' }, commands: [programs.nothing, programs.nothing] }, { signal, steps: { 0: { signal }, 1: { signal } } }));
    await Promise.all([...runs, ...plans]);
    for (let index = 0; index < 30; index++) await engine.run(programs.nothing, { signal });
    await engine.shutdown();
    console.log('done');
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'done\n', stderr: '' });
});

test('all commands on a signal share one listener, which goes with the last of them', async (t) => {
  const engine = newEngine(t);
  const controller = new AbortController();
  const count = () => getEventListeners(controller.signal, 'abort').length;
  const runs = Array.from({ length: 20 }, () => engine.run(forever, { signal: controller.signal }));
  assert.equal(count(), 1);
  await engine.run(nothing, { signal: controller.signal });
  assert.equal(count(), 1);
  controller.abort();
  for (const { reason } of await Promise.all(runs)) assert.equal(reason, 'aborted');
  assert.equal(count(), 0);
});

test('a request that is refused leaves no listener', async (t) => {
  const engine = newEngine(t);
  const { signal } = new AbortController();
  await assert.rejects(engine.run({ command: { type: 'exec' } }, { signal }));
  await assert.rejects(engine.runPlan({ description: 'd' }, { signal, steps: { 0: { signal } } }));
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});
