// A parent gets the stop signal before its children do, also where their process ids are smaller because ids began again: a shell whose
// child has ended continues with its next command.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { folder, runsOnLinux } from './helpers/programs.mjs';

const PACKAGE = new URL('../dist/engine.js', import.meta.url).pathname;
const LAST_PID = '/proc/sys/kernel/ns_last_pid';
const skip =
  !runsOnLinux('unshare', '-mpf', '--mount-proc', 'sh', '-c', `echo 1000 > ${LAST_PID}`) && 'the next process id cannot be chosen here';

/** A shell whose children have small ids: that for which it waits has the smallest. */
const shellWithSmallChildren = (first) =>
  `echo ${first + 300} > ${LAST_PID}; for i in $(seq 200); do sleep 300 & done; echo ${first} > ${LAST_PID}; echo ready; sleep 300; echo "went on" >> "$LOG"`;

/** Commands whose first process gets the id 20001, or one soon after. */
const TREES = {
  'ids began again after the command': shellWithSmallChildren(300),
  'ids began again above that of the command': `echo 30000 > ${LAST_PID}; sh -c '${shellWithSmallChildren(22_000)}; :'; :`,
};

/** Cancels the command when it is ready. */
const cancels = (options = '') =>
  `while (!fs.existsSync(process.argv[1] + '/ready')) await new Promise((resolve) => setTimeout(resolve, 5)); await engine.cancel(id${options}); process.exit();`;

/** Runs the host's `code` with a command in namespaces of its own, in which process 1 is a shell that ends it by `end`. */
function run(dir, command, code, end) {
  const source = `
    const { ExecutionEngine } = require(${JSON.stringify(PACKAGE)}); const fs = require('node:fs');
    (async () => {
      const engine = new ExecutionEngine({ controlGroups: ${JSON.stringify(code.controlGroups)} });
      engine.once('stdout', () => fs.writeFileSync(process.argv[1] + '/ready', ''));
      fs.writeFileSync(${JSON.stringify(LAST_PID)}, '20000');
      const id = await engine.execute({ command: { type: 'shell', command: ${JSON.stringify(command)} }, env: { LOG: process.argv[1] + '/log' } }, { killGraceMs: 5000 });
      ${code.next}
    })();`;
  const shell = `"$1" -e "$2" "$3" & while kill -0 $! && [ ! -e "$3/ready" ]; do sleep 0.01; done; ${end}; wait; while grep -qs '(sleep) [RSDT]' /proc/[0-9]*/stat; do sleep 0.02; done`;
  const words = ['-mpf', '--mount-proc', 'sh', '-c', shell, 'sh', process.execPath, source, dir];
  const { status, stderr } = spawnSync('unshare', words, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, stderr);
  assert.ok(existsSync(path.join(dir, 'ready')), stderr);
  const log = path.join(dir, 'log');
  return existsSync(log) ? readFileSync(log, 'utf8') : '';
}

for (const controlGroups of [true, false]) {
  const where = controlGroups ? 'with control groups' : 'without control groups';
  for (const [name, command] of Object.entries(TREES)) {
    test(`a cancel signals parents first, ${where}: ${name}`, { skip }, (t) => {
      assert.equal(run(folder(t), command, { controlGroups, next: cancels() }, ':'), '');
    });

    test(`the guardian signals parents first, ${where}: ${name}`, { skip }, (t) => {
      assert.equal(run(folder(t), command, { controlGroups, next: '' }, 'kill -9 $!'), '');
    });
  }
}

test('SIGKILL leaves a shell with job control no time to go on when its child is stopped', {
  skip: skip || (!existsSync('/bin/bash') && 'needs bash'),
}, (t) => {
  const command = `exec bash -c 'set -m; ${shellWithSmallChildren(300)}'`;
  for (let round = 0; round < 5; round++)
    assert.equal(run(folder(t), command, { controlGroups: false, next: cancels(', { graceMs: 0 }') }, ':'), '');
});
