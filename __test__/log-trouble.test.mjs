// Disks that are full or broken, and hosts that are killed: the command continues, the loss is counted, and what was written is correct.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { folder, until } from './helpers/programs.mjs';

const addon = JSON.stringify(path.resolve('index.js'));
const has = (program, ...args) => spawnSync(program, args, { timeout: 30_000 }).status === 0;
const linux = process.platform === 'linux' ? false : 'needs Linux';

/** A host that runs one command with logs in `dir` and prints what a person would look at. */
const host = (dir, command, config = '') => `
  const { ExecutionEngine } = require(${addon});
  const engine = new ExecutionEngine({ logDir: ${JSON.stringify(dir)}, ${config} });
  const degraded = [];
  engine.on('degraded', (event) => degraded.push(event.message));
  engine.run({ command: { type: 'shell', command: ${JSON.stringify(command)} } }).then((result) => {
    const { status, stdoutBytes, overflowLostBytes, logLostBytes, logPath, stdoutOverflowFile } = result;
    // Marks where bytes are missing are none of the command's.
    const text = (name) => require('node:fs').readFileSync(name, 'latin1').replace(/\\n\\[\\.\\.\\. \\d+ bytes are missing here: .*? \\.\\.\\.\\]\\n/g, '');
    const size = (name) => (name ? text(name).length : 0);
    console.log(JSON.stringify({ status, stdoutBytes, overflowLostBytes, logLostBytes, log: size(logPath), overflow: size(stdoutOverflowFile), degraded }));
  });
`;

const privateMount = linux || (has('unshare', '-rm', 'true') ? false : 'SKIPPED: `unshare -rm` does not work here');

test('a full disk: the log has what fits, the rest is counted, the command continues', { skip: privateMount }, (t) => {
  const dir = folder(t);
  const script = `mount -t tmpfs -o size=64k none "$1" && exec "$2" -e "$3"`;
  const config = `oversizedOutputStrategy: 'streamToFile', maxOutputSizeBytes: 10, minFreeDiskBytes: 0, overflowDir: ${JSON.stringify(path.join(dir, 'overflow'))}`;
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['-rm', 'sh', '-c', script, 'sh', dir, process.execPath, host(dir, 'seq 100000', config)],
    { encoding: 'utf8' },
  );
  const reported = JSON.parse(stdout || `{"stderr":${JSON.stringify(stderr)}}`);
  assert.deepEqual([reported.status, reported.stdoutBytes], ['completed', 588_895], stdout + stderr);
  assert.ok(reported.log + reported.overflow > 0 && reported.log + reported.overflow <= 65_536, stdout);
  assert.equal(reported.log + reported.logLostBytes, reported.stdoutBytes);
  assert.equal(reported.overflow + reported.overflowLostBytes, reported.stdoutBytes);
  assert.equal(reported.degraded.length, 1, 'it is reported once');
  assert.match(reported.degraded[0], /No space left|to spare/);
});

const strace = linux || (has('strace', '-o', '/dev/null', 'true') ? false : 'SKIPPED: `strace` does not work here');

test('a broken disk: the command continues, everything is counted as lost', { skip: strace }, (t) => {
  const dir = folder(t);
  const id = '0e984725-c51c-4bf4-9960-e1c80e27aba0';
  const log = path.join(dir, `${id}.log`);
  const source = host(dir, 'seq 1000').replace('{ command:', `{ id: '${id}', command:`);
  const args = [
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-P',
    log,
    '-e',
    'trace=write',
    '-e',
    'inject=write:error=EIO',
    process.execPath,
    '-e',
    source,
  ];
  const { stdout, stderr } = spawnSync('strace', args, { encoding: 'utf8' });
  const reported = JSON.parse(stdout || `{"stderr":${JSON.stringify(stderr)}}`);
  assert.deepEqual(
    [reported.status, reported.stdoutBytes, reported.log, reported.logLostBytes],
    ['completed', 3_893, 0, 3_893],
    stdout + stderr,
  );
  assert.match(reported.degraded[0], /Input\/output error/);
});

test('a host that is killed leaves an exact beginning of the output', { skip: linux }, async (t) => {
  for (const round of [1, 2, 3, 4, 5]) {
    const dir = folder(t);
    const child = spawn(process.execPath, ['-e', host(dir, 'exec seq 1 1000000000')], { stdio: ['ignore', 'ignore', 'inherit'] });
    const gone = once(child, 'exit');
    const log = await until(() => {
      const [name] = readdirSync(dir);
      return name !== undefined && readFileSync(path.join(dir, name)).length > 100_000 && path.join(dir, name);
    }, 'the log grows');
    await sleep(Math.random() * 50);
    child.kill('SIGKILL');
    await gone;
    const text = readFileSync(log, 'latin1');
    const numbers = text.split('\n');
    const cut = numbers.pop();
    numbers.forEach((number, index) => assert.equal(number, String(index + 1), `round ${round}, line ${index + 1}`));
    assert.ok(String(numbers.length + 1).startsWith(cut), `the cut line ${cut} is the beginning of the next one`);
  }
});
