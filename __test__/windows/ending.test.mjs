// How trees end on Windows: by the job that holds them.
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';

import { newEngine, recordedEngine } from '../helpers/engine.mjs';
import { isAlive, nodeRuns, pidsOfTree, scratch, treeIn, until } from './helpers.mjs';

const STAY = 'setInterval(() => {}, 1000);';

test('a timeout ends the command with its children and theirs', async (t) => {
  const folder = scratch(t);
  const { engine } = recordedEngine(t, { killGraceMs: 0 });
  const run = engine.run({ ...nodeRuns(treeIn(folder)), timeoutMs: 6_000 });
  const pids = await pidsOfTree(folder);
  const result = await run;
  assert.equal(result.status, 'timeout');
  assert.equal(result.reason, 'timeout');
  assert.equal(result.exitCode, null);
  assert.equal(result.signal, 'SIGKILL');
  assert.match(result.killed.mechanism, /job/);
  for (const pid of pids) {
    assert.ok(result.killed.pids.includes(pid), `${pid} of ${pids} is reported: ${result.killed.pids}`);
    assert.ok(!isAlive(pid), `${pid} has gone`);
  }
  const reported = result.diagnosis.processes.find((process) => process.pid === pids[1]);
  assert.equal(reported.parent, pids[0]);
  assert.match(reported.command, /node/i);
});

test('a cancel resolves when the tree is gone', async (t) => {
  const folder = scratch(t);
  const { engine } = recordedEngine(t, { killGraceMs: 0 });
  const id = await engine.execute(nodeRuns(treeIn(folder)));
  const pids = await pidsOfTree(folder);
  await engine.cancel(id);
  assert.deepEqual(pids.filter(isAlive), []);
  assert.equal((await engine.waitForCompletion(id)).status, 'cancelled');
  await engine.cancel(id);
});

test('a command that ignores Ctrl-Break, or cannot receive it, is ended after the grace period', async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: 300 });
  const id = await engine.execute(nodeRuns(`process.on('SIGBREAK', () => {}); console.log('ready'); ${STAY}`));
  await events.line('ready', id);
  await engine.cancel(id);
  const result = engine.getResult(id);
  assert.equal(result.status, 'cancelled');
  assert.equal(result.signal, 'SIGKILL');
  assert.match(result.killed.mechanism, /job/);
});

test('Ctrl-Break comes first, where the host has a console', async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: 20_000 });
  const id = await engine.execute(
    nodeRuns(`process.on('SIGBREAK', () => { console.log('bye'); process.exit(0); }); console.log('ready'); ${STAY}`),
  );
  await events.line('ready', id);
  await engine.cancel(id);
  const result = engine.getResult(id);
  assert.equal(result.status, 'cancelled');
  if (/job/.test(result.killed.mechanism)) {
    t.skip('NOT SHOWN HERE: without a console, and in Wine, Ctrl-Break cannot be sent');
    return;
  }
  assert.equal(result.exitCode, 0);
  assert.ok(result.stdout.includes('bye'));
  assert.match(result.killed.mechanism, /^Ctrl-Break/);
});

test('silence ends a command that may not be silent', async (t) => {
  const result = await newEngine(t, { killGraceMs: 0 }).run(nodeRuns(`console.log('x'); ${STAY}`), { idleTimeoutMs: 3_000 });
  assert.equal(result.reason, 'idle_timeout');
  assert.equal(result.stdout, 'x\n');
});

/** Returns a command that exits and leaves a process behind, whose process id it prints. `stdio` says whether it holds the pipes. */
function leaves(stdio) {
  const start = `require('child_process').spawn(process.execPath, ['-e', '${STAY}'], { stdio: ${JSON.stringify(stdio)}, detached: true })`;
  return nodeRuns(`const left = ${start}; left.unref(); console.log(left.pid); process.exitCode = 3;`);
}

test('what a command leaves behind keeps running, or is ended when that is asked for', async (t) => {
  const { engine } = recordedEngine(t);
  const left = await engine.run(leaves('ignore'));
  const pid = Number(left.stdout);
  t.after(() => isAlive(pid) && process.kill(pid));
  assert.equal(left.exitCode, 3);
  assert.ok(isAlive(pid), 'it keeps running');
  assert.equal(left.killed, undefined);

  const ended = await engine.run(leaves('ignore'), { leftovers: 'kill' });
  assert.equal(ended.exitCode, 3);
  assert.equal(ended.status, 'failed');
  assert.ok(!isAlive(Number(ended.stdout)), 'it was ended');
  assert.deepEqual(ended.killed.pids, [Number(ended.stdout)]);
  assert.ok(isAlive(pid), 'the other one has nothing to do with that');
});

test('a leftover that holds the pipe does not hold the result', async (t) => {
  const { engine } = recordedEngine(t, { drainTimeoutMs: 200 });
  const result = await engine.run(leaves('inherit'));
  const pid = Number(result.stdout);
  t.after(() => isAlive(pid) && process.kill(pid));
  assert.equal(result.exitCode, 3);
  assert.equal(result.leaked, true);
  assert.ok(isAlive(pid), 'it keeps running');
});

test('a cancelled execution in the queue never starts', async (t) => {
  const folder = scratch(t);
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1, killGraceMs: 0 });
  const first = await engine.execute(nodeRuns(`console.log('ready'); ${STAY}`));
  await events.line('ready', first);
  const marker = path.join(folder, 'marker');
  const second = await engine.execute(nodeRuns(`require('fs').writeFileSync(${JSON.stringify(marker)}, '')`));
  await engine.cancel(second);
  await engine.cancel(first);
  assert.equal(engine.getResult(second).pid, null);
});

test('a shutdown ends what runs', async (t) => {
  const folder = scratch(t);
  const { engine } = recordedEngine(t, { killGraceMs: 0 });
  await engine.execute(nodeRuns(treeIn(folder)));
  const pids = await pidsOfTree(folder);
  await engine.shutdown();
  await until(() => pids.every((pid) => !isAlive(pid)), 'the tree is gone', 1_000);
});
