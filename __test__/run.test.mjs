// `run` gives exactly what the command did.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { nodeProgram, nothing, shell } from './helpers/programs.mjs';

test('a success has every field of a result', async (t) => {
  const { engine } = recordedEngine(t);
  const before = Date.now();
  const metadata = { source: 'test', conversationId: 'c-1', label: 'whole', tags: ['a', 'b'], own: { deep: [1, null, true, 'x'] } };
  const result = await engine.run(shell('printf "out\\n"; printf err >&2', { metadata }));
  const { id, durationMs, queuedMs, startedAt, completedAt, pid, cpuUserMs, cpuSystemMs, ...rest } = result;

  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.ok(durationMs > 0 && durationMs < 10_000, `durationMs is ${durationMs}`);
  assert.ok(queuedMs >= 0 && queuedMs < 10_000, `queuedMs is ${queuedMs}`);
  assert.ok(startedAt instanceof Date && completedAt instanceof Date);
  assert.ok(startedAt.getTime() >= before - 1 && completedAt >= startedAt && completedAt.getTime() <= Date.now() + 1);
  assert.ok(Number.isInteger(pid) && pid > 1);
  assert.ok(cpuUserMs >= 0 && cpuSystemMs >= 0 && cpuUserMs + cpuSystemMs > 0);
  assert.deepEqual(rest, {
    status: 'completed',
    success: true,
    exitCode: 0,
    signal: null,
    stdout: 'out\n',
    stderr: 'err',
    attempt: 1,
    reason: 'exit',
    stdoutBytes: 4,
    stderrBytes: 3,
    stdoutTruncated: false,
    stderrTruncated: false,
    overflowLostBytes: 0,
    logLostBytes: 0,
    leaked: false,
    metadata,
  });
});

test('a result is plain data: it survives structuredClone and JSON', async (t) => {
  const { engine } = recordedEngine(t);
  const result = await engine.run(nothing);
  assert.deepEqual(structuredClone(result), result);
  assert.equal(JSON.parse(JSON.stringify(result)).status, 'completed');
  assert.ok(!('error' in result) && !('killed' in result), 'what does not apply is absent');
});

test('missing metadata is an empty object', async (t) => {
  const { engine } = recordedEngine(t);
  assert.deepEqual((await engine.run(nothing)).metadata, {});
});

test('another exit code is a failure that resolves', async (t) => {
  const { engine } = recordedEngine(t);
  for (const code of [1, 3, 127, 255]) {
    const result = await engine.run(shell(`exit ${code}`));
    const { status, success, exitCode, signal, reason } = result;
    assert.deepEqual(
      { status, success, exitCode, signal, reason },
      { status: 'failed', success: false, exitCode: code, signal: null, reason: 'exit' },
    );
    assert.equal(result.error, undefined);
  }
});

test('a signal of its own is a failure that resolves', async (t) => {
  const { engine } = recordedEngine(t);
  for (const name of ['KILL', 'TERM', 'SEGV']) {
    const { status, exitCode, signal, reason } = await engine.run(shell(`kill -${name} $$`));
    assert.deepEqual({ status, exitCode, signal, reason }, { status: 'failed', exitCode: null, signal: `SIG${name}`, reason: 'signal' });
  }
});

test('execute gives the id before the command has ended', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('echo ready; exec sleep 300'));
  await events.line('ready', id);
  assert.equal(engine.getStatus(id), 'running');
  await engine.cancel(id);
});

test('an id of the caller is kept, in its canonical form', async (t) => {
  const { engine } = recordedEngine(t);
  const id = '6F9619FF-8B86-4011-B42D-00C04FC964FF';
  const result = await engine.run({ ...nothing, id });
  assert.equal(result.id, id.toLowerCase());
  assert.equal(engine.getResult(id).id, id.toLowerCase());
  assert.equal((await engine.waitForCompletion(id.toLowerCase())).id, id.toLowerCase());
});

test('processor time is that of the command', async (t) => {
  const { engine } = recordedEngine(t);
  const result = await engine.run(nodeProgram('const end = process.cpuUsage().user + 200_000; while (process.cpuUsage().user < end);'));
  assert.ok(result.cpuUserMs >= 150 && result.cpuUserMs < 5_000, `cpuUserMs is ${result.cpuUserMs}`);
});

test('the duration is from spawn to the end: no shorter than the processor time of the command', async (t) => {
  const { engine } = recordedEngine(t);
  let [duration, processor] = [0, 0];
  for (let round = 0; round < 30; round += 1) {
    const { durationMs, cpuUserMs, cpuSystemMs } = await engine.run(nothing);
    duration += durationMs;
    processor += cpuUserMs + cpuSystemMs;
  }
  assert.ok(duration >= processor / 2, `30 commands took ${duration} ms, of which ${processor} ms on a processor`);
});

test('a request is taken when it is given: a later change of it is not seen', async (t) => {
  const { engine } = recordedEngine(t);
  const request = { ...shell('echo "$A"', { env: { A: 'before' }, metadata: { tags: ['before'] } }) };
  const run = engine.run(request);
  request.command.command = 'echo changed';
  request.env.A = 'after';
  request.metadata.tags[0] = 'after';
  const { stdout, metadata } = await run;
  assert.equal(stdout, 'before\n');
  assert.deepEqual(metadata, { tags: ['before'] });
});
