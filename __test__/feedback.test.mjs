// The callback `feedback` gets how each execution ended, and nothing of what it ran or wrote.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { host } from './helpers/hosts.mjs';
import { exec, forever, nothing, shell } from './helpers/programs.mjs';

const FIELDS = ['durationMs', 'executionId', 'exitCode', 'label', 'queuedMs', 'reason', 'signal', 'status', 'stderrBytes', 'stdoutBytes'];
const MARKER = 'MarkerThatMustStay';

/** Returns an engine, and the statuses that it has reported. */
function reportingEngine(t, config) {
  const statuses = [];
  const engine = newEngine(t, { ...config, feedback: (status) => statuses.push(status) });
  return { engine, statuses };
}

test('every end is one status, with the numbers of its result', async (t) => {
  const { engine, statuses } = reportingEngine(t);
  const results = [
    await engine.run(shell('printf 12345; printf 123 >&2', { metadata: { label: 'greeting #1' } })),
    await engine.run(shell('exit 3')),
    await engine.run(shell('kill -9 $$')),
    await engine.run({ ...exec('sleep', '60'), timeoutMs: 50 }),
  ];
  const { result: missing } = await engine.run(exec('no-such-program-here')).catch((error) => error);
  assert.deepEqual(
    statuses.map(({ status, reason, exitCode, signal }) => [status, reason, exitCode, signal]),
    [
      ['completed', 'exit', 0, null],
      ['failed', 'exit', 3, null],
      ['failed', 'signal', null, 'SIGKILL'],
      ['timeout', 'timeout', null, 'SIGTERM'],
      ['failed', 'spawn_failed', null, null],
    ],
  );
  for (const [index, result] of [...results, missing].entries()) {
    const { executionId, durationMs, queuedMs, stdoutBytes, stderrBytes } = statuses[index];
    assert.deepEqual(
      { id: executionId, durationMs, queuedMs, stdoutBytes, stderrBytes },
      {
        id: result.id,
        durationMs: result.durationMs,
        queuedMs: result.queuedMs,
        stdoutBytes: result.stdoutBytes,
        stderrBytes: result.stderrBytes,
      },
    );
  }
  assert.deepEqual([statuses[0].stdoutBytes, statuses[0].stderrBytes, statuses[0].label, statuses[1].label], [5, 3, 'greeting #1', null]);
});

// A short result comes in numbers, a long one as text: each has a way of its own into a status.
for (const [size, command] of [
  ['little', `echo ${MARKER}; echo ${MARKER} >&2; exit 7`],
  ['much', `for i in 1 2 3 4 5 6 7 8; do seq -f '${MARKER}%g' 1000; done; exit 7`],
]) {
  test(`a status has these fields and nothing of the command, whose output is ${size}`, async (t) => {
    const { engine, statuses } = reportingEngine(t);
    await engine.run(shell(command, { env: { NAME: MARKER }, metadata: { source: MARKER, tags: [MARKER], note: MARKER } }));
    await engine.run({ ...exec(MARKER), workingDir: '/' }).catch(() => {});
    assert.equal(statuses.length, 2);
    for (const status of statuses) {
      assert.deepEqual(Object.keys(status).sort(), FIELDS);
      assert.ok(!JSON.stringify(status).includes(MARKER), JSON.stringify(status));
    }
  });
}

test('cancelled executions, streams and the steps of a plan report too', async (t) => {
  const { engine, statuses } = reportingEngine(t);
  const id = await engine.execute(forever);
  await engine.cancel(id);
  for await (const _ of engine.stream(nothing));
  await engine.runPlan({ description: 'two', strategy: { type: 'serial' }, commands: [nothing, shell('exit 2')] });
  assert.deepEqual(
    statuses.map(({ status }) => status),
    ['cancelled', 'completed', 'completed', 'failed'],
  );
});

test('a label that is no name, or has a secret in it, is left out', async (t) => {
  const { engine, statuses } = reportingEngine(t, { secrets: ['hunter2hunter2'] });
  const labels = ['echo $HOME > /tmp/x', 'two\nlines', 'deploy hunter2hunter2', 'token later-known', 'x'.repeat(65), 'deploy', 7];
  engine.addSecret('later-known');
  for (const label of labels) await engine.run({ ...nothing, metadata: { label } }).catch(() => {});
  assert.deepEqual(
    statuses.map(({ label }) => label).filter((label) => label !== null),
    ['deploy'],
  );
});

test('a listener that changes its result changes no status', async (t) => {
  const { engine, statuses } = reportingEngine(t);
  engine.on('completed', ({ result }) => {
    result.signal = result.stdout;
  });
  await engine.run(shell(`echo ${MARKER}`));
  assert.equal(statuses[0].signal, null);
});

test('what it throws is an uncaughtException and nothing else', async () => {
  const { code, stdout, stderr } = await host(`
    const thrown = [];
    process.on('uncaughtException', (error) => thrown.push(error.message));
    const engine = new ExecutionEngine({ feedback: ({ status }) => { throw new Error('at ' + status); } });
    const seen = [];
    engine.on('event', ({ type }) => seen.push(type));
    const results = await Promise.all([engine.run(programs.nothing), engine.run(programs.shell('exit 1'))]);
    await new Promise((resolve) => setImmediate(resolve));
    await engine.shutdown();
    console.log(JSON.stringify({ statuses: results.map(({ status }) => status), ends: seen.filter((type) => type !== 'started').sort(), thrown: thrown.sort() }));
  `);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), {
    statuses: ['completed', 'failed'],
    ends: ['completed', 'failed'],
    thrown: ['at completed', 'at failed'],
  });
});

test('the global engine takes it too', async () => {
  const { code, stdout, stderr } = await host(`
    ExecutionEngine.initGlobal({ feedback: ({ status }) => console.log(status) });
    await ExecutionEngine.global().run(programs.nothing);
    await ExecutionEngine.global().shutdown();
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'completed\n', stderr: '' });
});

test('anything else in its place is refused, and null is none', async (t) => {
  for (const feedback of ['SecretPart', 7, {}, true]) {
    const construct = () => new ExecutionEngine({ feedback });
    assert.throws(
      construct,
      (error) => error.code === 'INVALID_CONFIG' && error.field === 'feedback' && !error.message.includes('SecretPart'),
    );
  }
  for (const feedback of [null, undefined]) {
    const engine = newEngine(t, { feedback });
    assert.equal((await engine.run(nothing)).status, 'completed');
    assert.ok(!('feedback' in engine.config));
  }
});

test('what hosts load uses no module of Node.js for networks', () => {
  const code = readFileSync(new URL('../dist/engine.js', import.meta.url), 'utf8');
  const loaded = [...code.matchAll(/require\("(?:node:)?([\w/]+)"\)/g)].map(([, name]) => name);
  assert.ok(loaded.includes('events'));
  for (const name of ['net', 'tls', 'http', 'https', 'http2', 'dgram', 'dns', 'dns/promises']) assert.ok(!loaded.includes(name), name);
  assert.ok(!/\b(?:fetch|WebSocket)\(/.test(code));
});
