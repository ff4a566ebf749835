// Times end an execution, and the result says which.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { recordedEngine } from './helpers/engine.mjs';
import { allowed, withEnoughTime } from './helpers/pace.mjs';
import { file, folder, forever, isAlive, nothing, shell, stubborn, untilFile } from './helpers/programs.mjs';

/** Runs a command that says `ready` with a timeout that lets it come so far, however slow the machine is. */
async function timedOut(engine, request) {
  for (let timeoutMs = 150; ; timeoutMs *= 2) {
    const result = await engine.run({ ...request, timeoutMs });
    assert.equal(result.status, 'timeout');
    if (result.stdout.startsWith('ready\n')) return { ...result, timeoutMs };
  }
}

const assertBetween = (value, least, most) => assert.ok(value >= least && value < most, `${value} is from ${least} to ${most}`);

test('timeoutMs ends the whole tree', async (t) => {
  const { engine, events } = recordedEngine(t);
  const result = await timedOut(engine, shell('sleep 300 & printf "ready\\n%s\\n" $!; sleep 300'));
  const { success, reason, exitCode, signal } = result;
  assert.deepEqual({ success, reason, exitCode, signal }, { success: false, reason: 'timeout', exitCode: null, signal: 'SIGTERM' });
  // The limit counts from the attempt to spawn, the duration from the spawn.
  assertBetween(result.queuedMs + result.durationMs, result.timeoutMs, allowed(result.timeoutMs + 1_000));
  assert.ok(!isAlive(Number(result.stdout.split('\n')[1])));
  assert.equal(events.types(result.id).at(-1), 'timeout');
});

test('defaultTimeoutMs ends a request that names none', async (t) => {
  const { engine } = recordedEngine(t, { defaultTimeoutMs: 100 });
  const { reason, queuedMs, durationMs } = await engine.run(forever);
  assert.equal(reason, 'timeout');
  assertBetween(queuedMs + durationMs, 100, allowed(100 + 1_000));
  assert.equal((await engine.run(shell('sleep 0.2', { timeoutMs: 10_000 }))).status, 'completed');
});

test('the clock starts at spawn, not while waiting', async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const dir = folder(t);
  const first = await engine.execute(untilFile(path.join(dir, 'go')));
  await events.line('ready', first);
  const second = engine.run({ ...nothing, timeoutMs: 3_000 });
  await sleep(3_100);
  file(dir, 'go');
  const { status, queuedMs } = await second;
  assert.equal(status, 'completed');
  assert.ok(queuedMs >= 3_000);
});

test('a command that exits with 0 at its SIGTERM timed out all the same', async (t) => {
  const { engine } = recordedEngine(t);
  const { success, exitCode, reason } = await timedOut(engine, shell("trap 'exit 0' TERM; echo ready; sleep 300 & wait"));
  assert.deepEqual({ success, exitCode, reason }, { success: false, exitCode: 0, reason: 'timeout' });
});

test('a command that ignores SIGTERM is killed at its grace', async (t) => {
  const { engine } = recordedEngine(t, { killGraceMs: 100 });
  const { signal, queuedMs, durationMs, timeoutMs } = await timedOut(engine, stubborn);
  assert.equal(signal, 'SIGKILL');
  assertBetween(queuedMs + durationMs, timeoutMs + 100, allowed(timeoutMs + 100 + 1_000));
});

test('a stopped command ends too', async (t) => {
  const { engine } = recordedEngine(t, { killGraceMs: 100 });
  const { queuedMs, durationMs, timeoutMs } = await timedOut(engine, shell('echo ready; kill -STOP $$; echo unreachable'));
  assertBetween(queuedMs + durationMs, timeoutMs, allowed(timeoutMs + 100 + 1_000));
});

test('silence ends an execution with an idle time; output keeps it going', async (t) => {
  const { engine } = recordedEngine(t);
  const { silent, idleMs } = await withEnoughTime(600, async (idleTimeoutMs) => {
    const result = await engine.run(shell('echo once; exec sleep 300'), { idleTimeoutMs });
    assert.deepEqual([result.status, result.reason], ['timeout', 'idle_timeout']);
    return result.stdout === 'once\n' && { silent: result, idleMs: idleTimeoutMs };
  });
  assertBetween(silent.queuedMs + silent.durationMs, idleMs, allowed(idleMs + 1_000 + silent.durationMs - silent.diagnosis.silentMs));
  await withEnoughTime(1_000, async (idleTimeoutMs) => {
    const line = `for i in 1 2 3 4 5 6; do sleep ${idleTimeoutMs / 5_000}; echo $i; echo $i >&2; done`;
    const busy = await engine.run(shell(line), { idleTimeoutMs });
    return busy.status === 'completed' && busy.durationMs > idleTimeoutMs;
  });
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
  const { diagnosis } = await timedOut(engine, shell('echo ready; sleep 300'));
  const { silentMs, processes } = diagnosis;
  assertBetween(silentMs, 0, 5_000);
  assert.ok(
    processes.some(({ command }) => command.includes('sleep 300')),
    JSON.stringify(processes),
  );
  for (const { pid, parent, command, state, cpuMs } of processes) {
    assert.ok(Number.isInteger(pid) && Number.isInteger(parent));
    assert.deepEqual([typeof command, state.length, cpuMs >= 0], ['string', 1, true]);
  }
  const idle = await engine.run(forever, { idleTimeoutMs: 100 });
  assert.ok(idle.diagnosis.silentMs >= 100);
  for (const request of [nothing, shell('exit 1')]) assert.equal((await engine.run(request)).diagnosis, undefined);
  assert.equal((await engine.run(forever, { signal: AbortSignal.timeout(50) })).diagnosis, undefined);
});
