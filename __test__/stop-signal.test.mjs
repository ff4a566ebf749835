// `stopSignal` says which signal asks a tree to end.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { withoutMeans } from './helpers/members.mjs';
import { file, folder, forever, shell } from './helpers/programs.mjs';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];
const skip = process.platform === 'win32' && 'there is Ctrl-Break alone';

/** Runs without core files, which SIGQUIT would make. No shell says that it is ready: bash ignores SIGQUIT, also just before an `exec`. */
const endless = (t) => shell('ulimit -c 0; exec tail -f "$READY"', { env: { READY: file(folder(t), 'ready', 'ready\n') } });

for (const signal of SIGNALS) {
  for (const from of ['options', 'configuration']) {
    test(`${signal}, from the ${from}`, { skip }, async (t) => {
      const { engine, events } = recordedEngine(t, { killGraceMs: 600_000, ...(from === 'configuration' && { stopSignal: signal }) });
      const id = await engine.execute(endless(t), from === 'options' ? { stopSignal: signal } : {});
      await events.line('ready');
      await engine.cancel(id);
      const { killed, ...result } = engine.getResult(id);
      assert.deepEqual([result.signal, result.exitCode, result.status], [signal, null, 'cancelled']);
      assert.equal(killed.mechanism, `${signal} to the group`);
    });
  }

  test(`${signal} can be handled`, { skip }, async (t) => {
    const { engine, events } = recordedEngine(t, { killGraceMs: 600_000, stopSignal: signal });
    const id = await engine.execute(shell(`trap 'echo cleaned up; exit 5' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`));
    await events.line('ready');
    await engine.cancel(id);
    const { exitCode, stdout } = engine.getResult(id);
    assert.deepEqual([exitCode, stdout], [5, 'ready\ncleaned up\n']);
  });
}

test('an option takes precedence over the configuration', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t, { stopSignal: 'SIGHUP' });
  const ids = [await engine.execute(forever, { stopSignal: 'SIGINT' }), await engine.execute(forever, { stopSignal: null })];
  await Promise.all(ids.map((id) => events.line('ready', id)));
  await engine.cancelAll();
  assert.deepEqual(
    ids.map((id) => engine.getResult(id).signal),
    ['SIGINT', 'SIGHUP'],
  );
});

test('timeouts, silence, aborts, caps and shutdowns send it', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t, {
    stopSignal: 'SIGUSR2',
    oversizedOutputStrategy: 'failExecution',
    maxOutputSizeBytes: 100,
  });
  const controller = new AbortController();
  const aborted = await engine.execute(forever, { signal: controller.signal });
  void events.line('ready', aborted).then(() => controller.abort());
  const runs = [
    engine.run({ ...forever, timeoutMs: 500 }),
    engine.run(forever, { idleTimeoutMs: 500 }),
    engine.waitForCompletion(aborted),
    engine.run(shell('echo ready; seq 100; exec sleep 300')).catch((error) => error.result),
  ];
  const ended = await Promise.all(runs);
  const last = await engine.execute(forever);
  await events.line('ready', last);
  await engine.shutdown();
  const results = [...ended, engine.getResult(last)];
  assert.deepEqual(
    results.map(({ reason }) => reason),
    ['timeout', 'idle_timeout', 'aborted', 'output_limit', 'shutdown'],
  );
  for (const { signal, killed } of results) assert.deepEqual([signal, killed.mechanism], ['SIGUSR2', 'SIGUSR2 to the group']);
});

test('one that ignores it is killed, and the mechanism names both', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: 100, stopSignal: 'SIGINT' });
  const id = await engine.execute(shell("trap '' INT; echo ready; while :; do sleep 0.05; done"));
  await events.line('ready');
  await engine.cancel(id);
  const { signal, killed } = engine.getResult(id);
  assert.equal(signal, 'SIGKILL');
  assert.equal(withoutMeans(killed.mechanism), 'SIGINT to the group, then SIGKILL to the group');
});

test('the steps of a plan have their own', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  const plan = { description: 'two', strategy: { type: 'parallel' }, commands: [forever, forever] };
  const id = await engine.executePlan(plan, { stopSignal: 'SIGHUP', steps: { 1: { stopSignal: 'SIGINT' } } });
  let ready = 0;
  await events.first((event) => event.line === 'ready' && (ready += 1) === 2);
  await engine.cancelPlan(id);
  const { results } = await engine.waitForPlan(id);
  assert.deepEqual(
    results.map(({ signal }) => signal),
    ['SIGHUP', 'SIGINT'],
  );
});
