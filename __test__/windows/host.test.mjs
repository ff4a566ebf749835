// On Windows: a host that goes takes its trees with it, however it goes. The system sees to that: the job of a
// tree ends with its last handle, and only the host has one.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { recordedEngine } from '../helpers/engine.mjs';
import { isAlive, nodeRuns, notInWine, pidsOfTree, scratch, treeIn, until } from './helpers.mjs';

const INDEX = path.join(import.meta.dirname, '..', '..', 'index.js');

const GOES = {
  'is killed': 'setInterval(() => {}, 1000)',
  'calls process.exit': "setInterval(() => require('fs').existsSync(go) && process.exit(0), 20)",
  throws: "setInterval(() => { if (require('fs').existsSync(go)) throw new Error('on purpose'); }, 20)",
};

for (const [how, code] of Object.entries(GOES)) {
  test(`a host that ${how} leaves nothing`, async (t) => {
    const folder = scratch(t);
    const go = path.join(folder, 'go');
    const host = spawn(
      process.execPath,
      [
        '-e',
        `const go = ${JSON.stringify(go)};
        const { ExecutionEngine } = require(${JSON.stringify(INDEX)});
        new ExecutionEngine().execute(${JSON.stringify(nodeRuns(treeIn(folder)))});
        ${code}`,
      ],
      { stdio: 'ignore' },
    );
    const gone = new Promise((resolve) => host.once('exit', resolve));
    const pids = await pidsOfTree(folder);
    assert.deepEqual(pids.filter(isAlive), pids, 'the tree runs');
    if (how === 'is killed') host.kill('SIGKILL');
    else writeFileSync(go, '');
    await gone;
    await until(() => pids.every((pid) => !isAlive(pid)), 'the tree is gone', 1_000);
  });
}

/** Runs a host that runs a command until it is there, and exits. `log` is written by listeners of its exit. */
async function exits(command, ready, log, way) {
  const host = spawn(
    process.execPath,
    [
      '-e',
      `const { existsSync, readFileSync, appendFileSync } = require('fs');
      const { ExecutionEngine } = require(${JSON.stringify(INDEX)});
      const engine = new ExecutionEngine({ killGraceMs: 60_000 });
      const isAlive = (pid) => { try { process.kill(pid, 0); return true; } catch { return false; } };
      // Listeners are called in their order: this one after the engine's.
      process.on('exit', () => appendFileSync(${JSON.stringify(log)}, isAlive(Number(readFileSync(${JSON.stringify(ready)}))) ? 'alive' : 'gone'));
      engine.execute(${JSON.stringify(command)});
      setInterval(() => { if (existsSync(${JSON.stringify(ready)}) && readFileSync(${JSON.stringify(ready)}).length) ${way}; }, 20);`,
    ],
    { stdio: 'ignore' },
  );
  await new Promise((resolve) => host.once('exit', resolve));
  return readFileSync(log, 'utf8');
}

const HERE = (ready) => `require('fs').writeFileSync(${JSON.stringify(ready)}, String(process.pid)); setInterval(() => {}, 1000);`;

for (const way of ['process.exit(0)', "throw new Error('on purpose')"]) {
  test(`what runs is ended while a host exits, not only after it: ${way}`, async (t) => {
    const [ready, log] = ['ready', 'log'].map((name) => path.join(scratch(t), name));
    assert.equal(await exits(nodeRuns(HERE(ready)), ready, log, way), 'gone');
  });
}

test('a host that exits sends Ctrl-Break first, where it has a console', notInWine('Wine has no Ctrl-Break'), async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: 5_000 });
  const id = await engine.execute(nodeRuns("console.log('ready'); setInterval(() => {}, 1000);"));
  await events.line('ready', id);
  await engine.cancel(id);
  if (!engine.getResult(id).killed.mechanism.startsWith('Ctrl-Break')) {
    t.skip('NOT SHOWN HERE: there is no console');
    return;
  }
  const [ready, lock, log] = ['ready', 'lock', 'log'].map((name) => path.join(scratch(t), name));
  writeFileSync(lock, '');
  const code = `process.on('SIGBREAK', () => { require('fs').rmSync(${JSON.stringify(lock)}); process.exit(0); }); ${HERE(ready)}`;
  assert.equal(await exits(nodeRuns(code), ready, log, 'process.exit(0)'), 'gone');
  assert.ok(!existsSync(lock), 'the command has removed its lock file');
});
