// Times end an execution, and the result says which.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { forever, isAlive, nothing, shell, stubborn } from './helpers/programs.mjs';

const assertBetween = (value, least, most) => assert.ok(value >= least && value < most, `${value} is from ${least} to ${most}`);

test('timeoutMs ends the whole tree', async (t) => {
  const { engine, events } = recordedEngine(t);
  const result = await engine.run(shell('sleep 300 & echo $!; sleep 300', { timeoutMs: 150 }));
  const { status, success, reason, exitCode, signal } = result;
  assert.deepEqual({ status, success, reason, exitCode, signal }, { status: 'timeout', success: false, reason: 'timeout', exitCode: null, signal: 'SIGTERM' });
  assertBetween(result.durationMs, 150, 1_500);
  assert.ok(!isAlive(Number(result.stdout)));
  assert.equal(events.types(result.id).at(-1), 'timeout');
});

test('defaultTimeoutMs ends a request that names none', async (t) => {
  const { engine } = recordedEngine(t, { defaultTimeoutMs: 100 });
  const { reason, durationMs } = await engine.run(forever);
  assert.equal(reason, 'timeout');
  assertBetween(durationMs, 100, 1_500);
  assert.equal((await engine.run(shell('sleep 0.2', { timeoutMs: 10_000 }))).status, 'completed');
});

test('the clock starts at spawn, not while waiting', async (t) => {
  const { engine } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const [, second] = await Promise.all([engine.run(shell('sleep 0.4')), engine.run(shell('sleep 0.1', { timeoutMs: 350 }))]);
  assert.equal(second.status, 'completed');
  assert.ok(second.queuedMs >= 300);
});

test('a command that exits with 0 at its SIGTERM timed out all the same (F6)', async (t) => {
  const { engine } = recordedEngine(t);
  const result = await engine.run(shell("trap 'exit 0' TERM; sleep 300 & wait", { timeoutMs: 150 }));
  const { status, success, exitCode } = result;
  assert.deepEqual({ status, success, exitCode }, { status: 'timeout', success: false, exitCode: 0 });
});

test('a command that ignores SIGTERM is killed at its grace (F5)', async (t) => {
  const { engine } = recordedEngine(t, { killGraceMs: 100 });
  const result = await engine.run({ ...stubborn, timeoutMs: 150 });
  assert.deepEqual([result.status, result.signal], ['timeout', 'SIGKILL']);
  assertBetween(result.durationMs, 250, 2_000);
});

test('a stopped command ends too (F7)', async (t) => {
  const { engine } = recordedEngine(t, { killGraceMs: 100 });
  const result = await engine.run(shell('kill -STOP $$; echo unreachable', { timeoutMs: 150 }));
  assert.equal(result.status, 'timeout');
  assertBetween(result.durationMs, 150, 2_000);
});

test('silence ends an execution with an idle time; output keeps it going', async (t) => {
  const { engine } = recordedEngine(t);
  const silent = await engine.run(shell('echo once; exec sleep 300'), { idleTimeoutMs: 150 });
  assert.deepEqual([silent.status, silent.reason, silent.stdout], ['timeout', 'idle_timeout', 'once\n']);
  assertBetween(silent.durationMs, 150, 1_500);
  const busy = await engine.run(shell('for i in 1 2 3 4 5 6; do sleep 0.1; echo $i; echo $i >&2; done'), { idleTimeoutMs: 450 });
  assert.equal(busy.status, 'completed');
  assert.ok(busy.durationMs > 450);
});

test('the idle time of the engine is that of an execution without its own', async (t) => {
  const { engine } = recordedEngine(t, { idleTimeoutMs: 100 });
  assert.equal((await engine.run(forever)).reason, 'idle_timeout');
  assert.equal((await engine.run(shell('sleep 0.3'), { idleTimeoutMs: 5_000 })).status, 'completed');
});

test('the largest times are times', async (t) => {
  const { engine } = recordedEngine(t, { maxTimeoutMs: 31_536_000_000, killGraceMs: 31_536_000_000 });
  assert.equal((await engine.run({ ...nothing, timeoutMs: 31_536_000_000 }, { idleTimeoutMs: 31_536_000_000 })).status, 'completed');
  assert.equal((await engine.run({ ...nothing, timeoutMs: 2 ** 31 })).status, 'completed');
});

test('a result says what the command was doing when its time was up, and only then', async (t) => {
  const { engine } = recordedEngine(t);
  const timeout = await engine.run(shell('echo first; sleep 300', { timeoutMs: 150 }));
  const { silentMs, processes } = timeout.diagnosis;
  assert.ok(silentMs > 50 && silentMs < 1_500, `silent for ${silentMs} ms`);
  assert.ok(processes.some(({ command }) => command.includes('sleep 300')), JSON.stringify(processes));
  for (const { pid, parent, command, state, cpuMs } of processes) {
    assert.ok(Number.isInteger(pid) && Number.isInteger(parent));
    assert.deepEqual([typeof command, state.length, cpuMs >= 0], ['string', 1, true]);
  }
  const idle = await engine.run(forever, { idleTimeoutMs: 100 });
  assert.ok(idle.diagnosis.silentMs >= 100);
  for (const request of [nothing, shell('exit 1')]) assert.equal((await engine.run(request)).diagnosis, undefined);
  assert.equal((await engine.run(forever, { signal: AbortSignal.timeout(50) })).diagnosis, undefined);
});
