// Where no guardian can be started, each engine says so once, and executions run.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { runsOnLinux } from './helpers/programs.mjs';

const PACKAGE = new URL('../dist/engine.js', import.meta.url).pathname;

/** The guardian starts neither from memory, since there is no /proc to start it by, nor from a file, since there is no folder for one. */
const WITHOUT = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && export TMPDIR=/nowhere && exec "$@"', 'sh'];
/** A file can be made, and no program can be started from there. */
const NOT_EXECUTABLE = [
  'unshare',
  '-m',
  'sh',
  '-c',
  'mount -t tmpfs none /proc && mount -t tmpfs -o noexec none /mnt && export TMPDIR=/mnt && exec "$@"',
  'sh',
];

const HOST = `
  const { ExecutionEngine } = require(${JSON.stringify(PACKAGE)});
  (async () => {
    const engines = [];
    for (let count = 0; count < 2; count++) {
      const engine = new ExecutionEngine();
      const events = [];
      engine.on('event', ({ type, message }) => events.push({ type, message }));
      const results = [];
      for (let round = 0; round < 3; round++) results.push(await engine.run({ command: { type: 'exec', program: 'echo', args: ['hello'] } }));
      engines.push({ events, results: results.map(({ status, stdout }) => ({ status, stdout })) });
    }
    console.log(JSON.stringify(engines));
    process.exit();
  })();
`;

for (const [name, words] of [
  ['neither memory nor a folder', WITHOUT],
  ['a folder whose files cannot be executed', NOT_EXECUTABLE],
]) {
  test(`an engine is degraded once, by its first execution, and all complete: ${name}`, {
    skip: !runsOnLinux(...words, 'true') && 'no namespace can be made here',
  }, () => {
    const { stdout, stderr } = spawnSync(words[0], [...words.slice(1), process.execPath, '-e', HOST], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.ok(stdout, stderr);
    for (const { events, results } of JSON.parse(stdout)) {
      assert.deepEqual(results, Array(3).fill({ status: 'completed', stdout: 'hello\n' }));
      const notices = events.flatMap(({ type, message }, index) => (type === 'degraded' && /guardian/.test(message) ? [index] : []));
      assert.equal(notices.length, 1, JSON.stringify(events));
      assert.ok(notices[0] < events.findIndex(({ type }) => type === 'completed'), 'before the end of the first');
    }
  });
}
