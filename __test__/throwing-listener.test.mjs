// A throwing listener is that listener's uncaughtException and nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { host } from './helpers/hosts.mjs';

test('others still get their events, every wait resolves, nothing is lost', async () => {
  const { code, stdout, stderr } = await host(`
    const thrown = [];
    process.on('uncaughtException', (error, origin) => thrown.push(error.message + ' ' + origin));
    const engine = new ExecutionEngine();
    const [before, after, all] = [[], [], []];
    engine.on('stdout', (event) => before.push(event.line));
    engine.on('stdout', (event) => { throw new Error('at ' + event.line); });
    engine.on('stdout', (event) => after.push(event.line));
    engine.on('started', () => { throw new Error('at the start'); });
    engine.on('completed', () => { throw new Error('at the end'); });
    engine.on('event', (event) => all.push(event.type));
    const result = await engine.run(programs.shell('echo a; echo b; echo c'));
    await new Promise((resolve) => setImmediate(resolve));
    const again = await engine.run(programs.shell('echo d'));
    await new Promise((resolve) => setImmediate(resolve));
    await engine.shutdown();
    console.log(JSON.stringify({ status: [result.status, again.status], before, after, all, thrown }));
  `);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const seen = JSON.parse(stdout);
  assert.deepEqual(seen.status, ['completed', 'completed']);
  assert.deepEqual(seen.before, ['a', 'b', 'c', 'd']);
  assert.deepEqual(seen.after, ['a', 'b', 'c', 'd']);
  assert.deepEqual(seen.all, ['started', 'stdout', 'stdout', 'stdout', 'completed', 'started', 'stdout', 'completed']);
  assert.deepEqual(
    seen.thrown.sort(),
    ['at a', 'at b', 'at c', 'at d', 'at the end', 'at the end', 'at the start', 'at the start']
      .map((text) => `${text} uncaughtException`)
      .sort(),
  );
});

test('without a handler it ends the host as any uncaught exception does, with its stack', async () => {
  const { code, stderr } = await host(`
    const engine = new ExecutionEngine();
    engine.on('stdout', function theirListener() { throw new TypeError('mine'); });
    await engine.run(programs.shell('echo a; exec sleep 5'));
  `);
  assert.notEqual(code, 0);
  assert.match(stderr, /TypeError: mine/);
  assert.match(stderr, /theirListener/);
});

test('what is thrown may be anything', async () => {
  const { code, stdout, stderr } = await host(`
    const thrown = [];
    process.on('uncaughtException', (error) => thrown.push(String(error)));
    const engine = new ExecutionEngine();
    const values = [undefined, null, 'text', Symbol('s'), 7];
    engine.on('stdout', () => { throw values.shift(); });
    const { status } = await engine.run(programs.shell('seq 5'));
    await engine.run(programs.nothing);
    console.log(status, thrown.join());
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'completed undefined,null,text,Symbol(s),7\n', stderr: '' });
});

test('a throwing listener during a flood loses no line', async () => {
  const { code, stdout, stderr } = await host(`
    let thrown = 0;
    process.on('uncaughtException', () => { thrown += 1; });
    const engine = new ExecutionEngine();
    let lines = 0;
    engine.on('stdout', (event) => { if (event.line.endsWith('00')) throw new Error('one in a hundred'); });
    engine.on('stdout', (event) => { lines += 1; if (event.line !== String(lines)) throw new Error('order'); });
    const { status } = await engine.run(programs.shell('seq 20000'));
    await engine.run(programs.nothing);
    console.log(status, lines, thrown);
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'completed 20000 200\n', stderr: '' });
});

test('an error of the listener of one execution does not reach its waiter', async () => {
  const { code, stdout, stderr } = await host(`
    process.on('uncaughtException', () => {});
    const engine = new ExecutionEngine();
    engine.on('failed', () => { throw new Error('mine'); });
    const result = await engine.run(programs.shell('exit 3'));
    const error = await engine.run(programs.exec('/no/such/program')).catch((error) => error);
    console.log(result.exitCode, error.code);
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '3 SPAWN_FAILED\n', stderr: '' });
});
