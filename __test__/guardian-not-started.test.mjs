// Where no guardian can be started, each execution says so at its start, and runs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const PACKAGE = new URL('../dist/engine.js', import.meta.url).pathname;
const can = (...words) => process.platform === 'linux' && spawnSync(words[0], words.slice(1)).status === 0;

/** Neither from memory, since there is no /proc to start it by, nor from a file, since there is no folder for one. */
const WITHOUT = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && export TMPDIR=/nowhere && exec "$@"', 'sh'];
/** A file can be made, and no program can be started from there. */
const NOT_EXECUTABLE = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && mount -t tmpfs -o noexec none /mnt && export TMPDIR=/mnt && exec "$@"', 'sh'];

const HOST = `
  const { ExecutionEngine } = require(${JSON.stringify(PACKAGE)});
  (async () => {
    const engine = new ExecutionEngine();
    const events = [];
    engine.on('event', ({ type, message, executionId }) => events.push({ type, message, executionId }));
    const results = [];
    for (let round = 0; round < 3; round++) results.push(await engine.run({ command: { type: 'exec', program: 'echo', args: ['hello'] } }));
    console.log(JSON.stringify({ events, results: results.map(({ id, status, stdout }) => ({ id, status, stdout })) }));
    process.exit();
  })();
`;

for (const [name, words] of [['neither memory nor a folder', WITHOUT], ['a folder whose files cannot be executed', NOT_EXECUTABLE]]) {
  test(`every execution is degraded as it starts, and completes: ${name}`, { skip: !can(...words, 'true') && 'no namespace can be made here' }, () => {
    const { stdout, stderr } = spawnSync(words[0], [...words.slice(1), process.execPath, '-e', HOST], { encoding: 'utf8', timeout: 60_000 });
    assert.ok(stdout, stderr);
    const { events, results } = JSON.parse(stdout);
    assert.equal(results.length, 3);
    for (const { status, stdout: said } of results) assert.deepEqual([status, said], ['completed', 'hello\n']);
    const started = events.filter(({ type }) => type === 'started');
    assert.equal(started.length, 3);
    for (const { executionId } of started) {
      const own = events.filter((event) => event.executionId === executionId);
      const notice = own.findIndex(({ type, message }) => type === 'degraded' && /guardian/.test(message));
      assert.ok(notice >= 0, JSON.stringify(own));
      assert.ok(notice < own.findIndex(({ type }) => type === 'completed'), 'before its end');
    }
  });
}
