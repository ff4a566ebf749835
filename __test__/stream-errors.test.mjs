// A stream reports that its execution cannot be started.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { host } from './helpers/hosts.mjs';
import { exec, nothing } from './helpers/programs.mjs';

const drain = async (stream) => {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
};

test('an invalid request: the iteration, the id and the result reject', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream({ command: { type: 'exec', program: '' } });
  const errors = [
    await failure(() => drain(stream), 'INVALID_REQUEST'),
    await failure(() => stream.id, 'INVALID_REQUEST'),
    await failure(() => stream.result, 'INVALID_REQUEST'),
  ];
  for (const error of errors) assert.equal(error.field, 'command.program');
});

test('an invalid option, a duplicate id', async (t) => {
  const engine = newEngine(t);
  const option = engine.stream(nothing, { priority: 'high' });
  await failure(() => drain(option), 'INVALID_REQUEST');
  const id = randomUUID();
  await engine.run({ ...nothing, id });
  assert.equal((await failure(() => drain(engine.stream({ ...nothing, id })), 'DUPLICATE_ID')).executionId, id);
});

test('a failed spawn: the failed event comes, the result rejects', async (t) => {
  const engine = newEngine(t);
  const stream = engine.stream(exec('/no/such/program'));
  const events = await drain(stream);
  assert.deepEqual(
    events.map((event) => event.type),
    ['failed'],
  );
  assert.equal(events[0].error.errno, 'ENOENT');
  const error = await failure(() => stream.result, 'SPAWN_FAILED');
  assert.equal(error.executionId, await stream.id);
});

test('an ignored stream causes no unhandled rejection', async () => {
  const result = await host(`
    process.on('unhandledRejection', (error) => console.log('unhandled', error.message));
    const engine = new ExecutionEngine();
    engine.stream({ command: {} });
    engine.stream(programs.exec('/no/such/program'));
    for await (const event of engine.stream(programs.exec('/no/such/program'))) console.log(event.type);
    for await (const event of engine.stream({ nothing: true })) console.log(event.type);
  `);
  assert.match(result.stdout, /^failed\n/);
  assert.doesNotMatch(result.stdout, /unhandled/);
  // The last loop throws at the top level, and only that.
  assert.match(result.stderr, /INVALID_REQUEST|invalid request/);
  assert.equal(result.code, 1);
});

test('an awaited rejection is one rejection, not three', async () => {
  const { code, stdout, stderr } = await host(`
    process.on('unhandledRejection', (error) => console.log('unhandled', error.message));
    const engine = new ExecutionEngine();
    const stream = engine.stream({ command: { type: 'exec' } });
    await stream.result.catch((error) => console.log(error.code));
    await new Promise((resolve) => setTimeout(resolve, 50));
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'INVALID_REQUEST\n', stderr: '' });
});
