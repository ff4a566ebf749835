// On Windows: a host that goes takes its trees with it, however it goes. The system sees to that: the job of a
// tree ends with its last handle, and only the host has one.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';

import { isAlive, nodeRuns, pidsOfTree, scratch, treeIn, until } from './helpers.mjs';

const INDEX = path.join(import.meta.dirname, '..', '..', 'index.js');

const GOES = {
  'is killed': 'setInterval(() => {}, 1000)',
  'calls process.exit': "setInterval(() => require('fs').existsSync(go) && process.exit(0), 20)",
  'throws': "setInterval(() => { if (require('fs').existsSync(go)) throw new Error('on purpose'); }, 20)",
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
    assert.deepEqual(pids.filter(isAlive), pids, 'the tree lives');
    if (how === 'is killed') host.kill('SIGKILL');
    else (await import('node:fs')).writeFileSync(go, '');
    await gone;
    await until(() => pids.every((pid) => !isAlive(pid)), 'the tree is gone', 1_000);
  });
}
