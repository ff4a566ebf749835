// An engine inside a command of an engine: the outer one ends what the inner one has started.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { isAlive, nodeProgram, shell, until } from './helpers/programs.mjs';

const skip = process.platform !== 'linux' && 'processes are looked for in /proc';
const PACKAGE = new URL('../dist/engine.js', import.meta.url).pathname;

/** A host that ignores SIGTERM, and whose command starts a daemon. Says the ids of the daemon and of the inner guardian. */
const INNER = `
process.on('SIGTERM', () => {});
const { readdirSync, readFileSync } = require('node:fs');
const { ExecutionEngine } = require(${JSON.stringify(PACKAGE)});
const engine = new ExecutionEngine({ controlGroups: process.argv[1] === 'true' });
const read = (pid, name) => { try { return readFileSync('/proc/' + pid + '/' + name, 'latin1'); } catch { return ''; } };
engine.on('stdout', ({ line }) => {
  const guardian = readdirSync('/proc').find((pid) => read(pid, 'cmdline').startsWith('escher-guardian') && read(pid, 'stat').split(') ')[1]?.split(' ')[1] === String(process.pid));
  console.log(line, guardian);
});
engine.execute({ id: process.argv[2], command: { type: 'shell', command: '(setsid sh -c "echo \\\\$\\\\$; exec sleep 300" &); exec sleep 300' } });
setInterval(() => {}, 1000);
`;

for (const controlGroups of [true, false]) {
  test(`a daemon of the inner one is ended by the outer one, also when the inner guardian has gone first, controlGroups ${controlGroups}`, {
    skip,
  }, async (t) => {
    const engine = newEngine(t, { killGraceMs: 200, controlGroups });
    const said = once(engine, 'stdout');
    const id = await engine.execute(nodeProgram(INNER, String(controlGroups), crypto.randomUUID()));
    const [{ line }] = await said;
    const [daemon, guardian] = line.split(' ').map(Number);
    assert.ok(isAlive(daemon) && isAlive(guardian), line);
    process.kill(guardian, 'SIGKILL');
    await engine.cancel(id);
    await until(() => !isAlive(daemon), 'the daemon is gone', 1_000);
  });
}

test('equal ids in two engines do not reach the processes of each other', { skip }, async (t) => {
  const id = crypto.randomUUID();
  const engines = [newEngine(t, { controlGroups: false }), newEngine(t, { controlGroups: false })];
  const pids = [];
  for (const engine of engines) {
    const said = once(engine, 'stdout');
    await engine.execute({ ...shell('(setsid sh -c "echo \\$\\$; exec sleep 300" &); exec sleep 300'), id });
    pids.push(Number((await said)[0].line));
  }
  await engines[0].cancel(id);
  assert.deepEqual(pids.map(isAlive), [false, true]);
  await engines[1].cancel(id);
  assert.deepEqual(pids.map(isAlive), [false, false]);
});
