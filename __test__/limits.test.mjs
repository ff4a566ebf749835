// `limits`: what the system limits for the processes of a command.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, folder, nodeProgram, nothing, shell } from './helpers/programs.mjs';

const MIB = 1024 * 1024;
const onLinux = { skip: process.platform !== 'linux' && 'limits are of Linux' };

/** Returns the limits that a process has, by their names in the kernel: the soft and the hard one. */
async function limitsOf(engine, options) {
  const { stdout } = await engine.run(exec('/bin/cat', '/proc/self/limits'), options);
  return Object.fromEntries(
    stdout
      .split('\n')
      .slice(1, -1)
      .map((line) => [line.slice(0, 26).trim(), line.slice(26).trim().split(/\s+/).slice(0, 2).join(' ')]),
  );
}

test('each is set in the child, and the others are those of the host', onLinux, async (t) => {
  const engine = newEngine(t, { controlGroups: false });
  const own = await limitsOf(engine, {});
  const limits = { openFiles: 50, processes: 4_000, memoryBytes: 512 * MIB, cpuSeconds: 7, fileSizeBytes: 4_096 };
  const limited = await limitsOf(engine, { limits });
  assert.deepEqual(limited, {
    ...own,
    'Max open files': '50 50',
    'Max processes': '4000 4000',
    'Max address space': `${512 * MIB} ${512 * MIB}`,
    'Max cpu time': '7 8',
    'Max file size': '4096 4096',
  });
  assert.deepEqual(await limitsOf(engine, { limits: { openFiles: 60, cpuSeconds: null } }), { ...own, 'Max open files': '60 60' });
  assert.deepEqual(await limitsOf(engine, { limits: {} }), own);
  assert.deepEqual(await limitsOf(engine, { limits: null }), own);
  const host = Object.fromEntries(
    readFileSync('/proc/self/limits', 'utf8')
      .split('\n')
      .map((line) => [line.slice(0, 26).trim(), line]),
  );
  assert.ok(!host['Max open files'].includes(' 50 '), 'the host has its own');
});

test('a command meets them', onLinux, async (t) => {
  const engine = newEngine(t, { controlGroups: false });
  const file = path.join(folder(t), 'file');
  const large = await engine.run(shell(`head -c 100000 /dev/zero > '${file}'`), { limits: { fileSizeBytes: 5_000 } });
  assert.notEqual(large.exitCode, 0);
  assert.equal(statSync(file).size, 5_000);
  const busy = await engine.run(shell('exec sh -c "while :; do :; done"'), { limits: { cpuSeconds: 1 } });
  assert.deepEqual([busy.status, busy.reason, busy.signal], ['failed', 'signal', 'SIGXCPU']);
  const files = await engine.run(shell('exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null'), { limits: { openFiles: 5 } });
  assert.notEqual(files.exitCode, 0);
  const memory = await engine.run(shell('head -c 300000000 /dev/zero | tail -c 200000000 | wc -c'), { limits: { memoryBytes: 64 * MIB } });
  assert.notEqual(memory.stdout.trim(), '200000000');
});

test('children of the command have them too, and other executions do not', onLinux, async (t) => {
  const engine = newEngine(t);
  const [limited, free] = await Promise.all([
    engine.run(shell('sh -c "ulimit -n"'), { limits: { openFiles: 77 } }),
    engine.run(shell('sh -c "ulimit -n"')),
  ]);
  assert.equal(limited.stdout, '77\n');
  assert.notEqual(free.stdout, '77\n');
});

test('a limit that the system refuses is an error, and nothing is started', onLinux, async (t) => {
  const engine = newEngine(t);
  const marker = path.join(folder(t), 'marker');
  // This is more than the kernel allows any process (fs.nr_open).
  const error = await failure(() => engine.run(shell(`touch '${marker}'`), { limits: { openFiles: 2 ** 52 } }), 'SPAWN_FAILED');
  assert.equal(error.errno, 'EPERM');
  assert.match(error.message, /the limit of open files was refused by the system/);
  assert.throws(() => statSync(marker), { code: 'ENOENT' });
  assert.equal(error.result.reason, 'spawn_failed');
  const small = await failure(() => engine.run(nothing, { limits: { memoryBytes: 4_096 } }), 'SPAWN_FAILED').catch((other) => other);
  // The kernel may also notice it later, and end the program.
  if (small.code === 'SPAWN_FAILED') assert.match(small.message, /the limit of memory bytes/);
});

test('a plan and its steps have them', onLinux, async (t) => {
  const engine = newEngine(t);
  const { results } = await engine.runPlan(
    { description: 'two', strategy: { type: 'serial' }, commands: [shell('ulimit -n'), shell('ulimit -n')] },
    { limits: { openFiles: 71 }, steps: { 1: { limits: { openFiles: 72 } } } },
  );
  assert.deepEqual(
    results.map(({ stdout }) => stdout),
    ['71\n', '72\n'],
  );
});

test('bad limits', async (t) => {
  const engine = newEngine(t);
  for (const [limits, field] of [
    [5, ''],
    ['none', ''],
    [[], ''],
    [{ openFiles: 0 }, '.openFiles'],
    [{ processes: 0 }, '.processes'],
    [{ memoryBytes: 0 }, '.memoryBytes'],
    [{ cpuSeconds: 0.5 }, '.cpuSeconds'],
    [{ cpuSeconds: 0 }, '.cpuSeconds'],
    [{ fileSizeBytes: -1 }, '.fileSizeBytes'],
    [{ openFiles: '50' }, '.openFiles'],
    [{ memoryBytes: NaN }, '.memoryBytes'],
    [{ memory: 5 }, '.memory'],
  ]) {
    const error = await failure(() => engine.run(nothing, { limits }), 'INVALID_REQUEST');
    assert.equal(error.field, `options.limits${field}`, error.message);
  }
  assert.match(
    (await failure(() => engine.run(nothing, { limits: { memorybytes: 5 } }), 'INVALID_REQUEST')).message,
    /did you mean `memoryBytes`/,
  );
});

test('peakMemoryBytes is that of a command which needs more than the host', onLinux, async (t) => {
  const engine = newEngine(t);
  const own = process.resourceUsage().maxRSS * 1024;
  const bytes = own + 100 * MIB;
  const { peakMemoryBytes } = await engine.run(nodeProgram(`const b = Buffer.alloc(${bytes}, 1); console.log(b.length)`));
  assert.ok(peakMemoryBytes > bytes && peakMemoryBytes < 3 * bytes, `${peakMemoryBytes} of ${bytes}`);
  const { peakMemoryBytes: ofChild } = await engine.run(shell(`'${process.execPath}' -e 'Buffer.alloc(${bytes}, 1)'; true`));
  assert.ok(ofChild > bytes, 'of a child that the command has waited for');
  const small = await engine.run(nothing);
  assert.equal(small.peakMemoryBytes, undefined, 'what is not known is absent');
});
