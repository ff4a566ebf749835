// A command takes over the state of its host at the call, however long it waits.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { newEngine } from './helpers/engine.mjs';
import { exec, file, folder, shell, untilFile } from './helpers/programs.mjs';

const ROUNDS = 60;
const entry = fileURLToPath(new URL('../index.js', import.meta.url));
const linux = { skip: process.platform !== 'linux' && 'only Linux has it' };
/** Whether this process may become another user: a user namespace may have one alone. */
const hasOthers = linux.skip || !/^\s*0\s+\d+\s+1\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));

/** Restores what a test changes of this process. */
function restoring(t) {
  const [directory, mask] = [process.cwd(), process.umask(0o022)];
  process.umask(mask);
  t.after(() => {
    process.chdir(directory);
    process.umask(mask);
  });
}

/** Returns what a host of its own prints. */
function host(source, options = {}) {
  const code = `const { ExecutionEngine } = require(${JSON.stringify(entry)}); const fs = require('fs'); const os = require('os');
    const engine = new ExecutionEngine(); const exec = (program, ...args) => ({ command: { type: 'exec', program, args } });
    (async () => { ${source} })().catch((error) => console.log(error.code + ': ' + error.message)).finally(() => process.exit());`;
  const done = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', timeout: 60_000, ...options });
  assert.equal(done.stderr, '');
  return done.stdout.trim();
}

test('the working directory is the one at the call', async (t) => {
  restoring(t);
  const engine = newEngine(t);
  const there = folder(t);
  for (let round = 0; round < ROUNDS; round++) {
    process.chdir(there);
    const id = await engine.execute(exec('pwd'));
    process.chdir('/');
    assert.equal((await engine.waitForCompletion(id)).stdout, `${there}\n`);
  }
});

test('a queued, a retried and a planned command start where they were asked for', async (t) => {
  restoring(t);
  const there = folder(t);
  const engine = newEngine(t, { maxConcurrentExecutions: 1 });
  process.chdir(there);
  const blocker = await engine.execute(untilFile(path.join(there, 'go')));
  const queued = await engine.execute(exec('pwd'));
  const retried = await engine.execute(shell('pwd; [ -e second ] || { touch second; exit 1; }'), { retry: { attempts: 2, backoffMs: 1 } });
  const plan = await engine.executePlan({ description: 'two', strategy: { type: 'serial' }, commands: [exec('pwd'), exec('./here')] });
  const relative = await engine.execute({ command: { type: 'script', path: 'script.sh' }, workingDir: 'sub' });
  process.chdir('/');
  mkdirSync(path.join(there, 'sub'));
  file(path.join(there, 'sub'), 'script.sh', 'pwd');
  file(there, 'here', '#!/bin/sh\necho here\n', 0o755);
  writeFileSync(path.join(there, 'go'), '');
  await engine.waitForCompletion(blocker);
  assert.equal((await engine.waitForCompletion(queued)).stdout, `${there}\n`);
  const { attempt, stdout } = await engine.waitForCompletion(retried);
  assert.deepEqual([attempt, stdout], [2, `${there}\n`]);
  assert.deepEqual(
    (await engine.waitForPlan(plan)).results.map((result) => result.stdout),
    [`${there}\n`, 'here\n'],
  );
  assert.equal((await engine.waitForCompletion(relative)).stdout, `${there}/sub\n`);
});

test('a directory that is renamed or replaced meanwhile is still the same one', linux, async (t) => {
  restoring(t);
  const parent = folder(t);
  const [first, second] = [path.join(parent, 'first'), path.join(parent, 'second')];
  const engine = newEngine(t, { maxConcurrentExecutions: 1 });
  mkdirSync(first);
  file(first, 'mark', 'mine');
  file(first, 'tool', '#!/bin/sh\ncat mark\n', 0o755);
  process.chdir(first);
  const blocker = await engine.execute(untilFile(path.join(parent, 'go')));
  const ids = [await engine.execute(exec('cat', 'mark')), await engine.execute(exec('./tool'))];
  renameSync(first, second);
  mkdirSync(first);
  writeFileSync(path.join(parent, 'go'), '');
  await engine.waitForCompletion(blocker);
  for (const id of ids) assert.equal((await engine.waitForCompletion(id)).stdout, 'mine');
});

test('the umask is the one at the call', linux, async (t) => {
  restoring(t);
  const engine = newEngine(t);
  for (let round = 0; round < ROUNDS; round++) {
    process.umask(0o077);
    const id = await engine.execute(shell('umask'));
    process.umask(0o022);
    assert.equal((await engine.waitForCompletion(id)).stdout, '0077\n');
  }
  assert.equal((await engine.run(shell('umask'))).stdout, '0022\n');
});

test('the niceness is the one at the call', linux, () => {
  const source = `const niceness = ['cut', '-d', ' ', '-f', '19', '/proc/self/stat'];
    await engine.run(exec('true')); os.setPriority(7); const late = await engine.execute(exec(...niceness));
    os.setPriority(9); const later = await engine.execute(exec(...niceness));
    console.log((await engine.waitForCompletion(late)).stdout + (await engine.waitForCompletion(later)).stdout);`;
  assert.equal(host(source), '7\n9');
});

test('the processors are those at the call', { skip: os.availableParallelism() < 2 ? 'it needs two processors' : linux.skip }, () => {
  const source = `const own = () => fs.readFileSync('/proc/self/status', 'latin1').match(/Cpus_allowed_list:\\s*(.*)/)[1];
    const set = (list) => require('child_process').execFileSync('taskset', ['-pc', list, String(process.pid)], { stdio: 'ignore' });
    const seen = async (id) => (await engine.waitForCompletion(id)).stdout.match(/Cpus_allowed_list:\\s*(.*)/)[1];
    const read = exec('cat', '/proc/self/status'); const all = own(); await engine.run(exec('true'));
    set('1'); const one = await engine.execute(read); set(all); const many = await engine.execute(read);
    console.log([await seen(one), (await seen(many)) === all].join());`;
  if (spawnSync('taskset', ['-pc', String(process.pid)]).status !== 0) return;
  assert.equal(host(source), '1,true');
});

test('a host whose directory was deleted finds programs', (t) => {
  const gone = path.join(folder(t), 'gone');
  mkdirSync(gone);
  const source = `fs.rmdirSync(process.cwd()); const say = async (request) => (await engine.run(request).catch((error) => ({ stdout: error.message + error.result.error.errno }))).stdout;
    console.log([await say(exec('echo', 'name')), await say(exec('/bin/echo', 'path')), await say({ ...exec('pwd'), workingDir: '/' }),
      await say({ command: { type: 'shell', command: 'echo shell' } }), await say(exec('./tool')), await say({ ...exec('pwd'), workingDir: 'sub' })].join('|'));`;
  const [name, byPath, moved, line, relative, sub] = host(source, { cwd: gone, env: { PATH: `relative:${process.env.PATH}` } })
    .split('|')
    .map((part) => part.trim());
  assert.deepEqual([name, byPath, moved, line], ['name', 'path', '/', 'shell']);
  for (const message of [relative, sub])
    assert.match(message, /working directory of the host has been deleted: give an absolute path, or set `workingDir`.*ENOENT/s);
});

test('a directory that the host may not search any more is stayed in', {
  skip: process.getuid?.() !== 0 ? 'it needs root' : linux.skip || (!hasOthers && 'this user namespace has one user'),
}, (t) => {
  const closed = path.join(folder(t), 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const source = `process.initgroups?.(65534, 65534); process.setgid(65534); process.setuid(65534);
    console.log((await engine.run({ command: { type: 'exec', program: '/bin/pwd' } }).catch((error) => ({ stdout: error.message }))).stdout);`;
  const said = host(source, { cwd: closed });
  // If another user cannot read the addon's folder, there is no host.
  assert.match(said, /closed$/);
});

test('PWD is the directory of the command', async (t) => {
  restoring(t);
  const engine = newEngine(t);
  const pwd = async (request, options) => /^PWD=(.*)$/m.exec((await engine.run({ ...exec('env'), ...request }, options)).stdout)?.[1] ?? '';
  const there = folder(t);
  const link = path.join(there, 'link');
  mkdirSync(path.join(there, 'real'));
  symlinkSync('real', link);
  assert.equal(await pwd({ workingDir: '/tmp' }), '/tmp');
  assert.equal(await pwd({ workingDir: `${there}//./real/` }), path.join(there, 'real'));
  assert.equal(await pwd({ workingDir: link }), link, 'its name, as after cd');
  assert.equal(await pwd({ workingDir: `${link}/..` }), realpathSync(there));
  process.chdir(there);
  const before = process.env.PWD;
  t.after(() => (before === undefined ? delete process.env.PWD : (process.env.PWD = before)));
  process.env.PWD = '/elsewhere';
  assert.equal(await pwd({}), there);
  assert.equal(await pwd({ workingDir: 'real' }), path.join(there, 'real'));
  assert.equal(await pwd({ env: { PWD: '/mine' } }), '/mine');
  assert.equal(await pwd({}, { envDeny: ['PWD'] }), '');
  assert.equal(await pwd({ workingDir: '/tmp' }, { inheritEnv: 'none' }), '');
  process.chdir(link);
  process.env.PWD = link;
  assert.equal(await pwd({}), link, 'a name of the directory stays');
  process.env.PWD = '/';
  assert.equal(await pwd({}), path.join(there, 'real'));
  delete process.env.PWD;
  assert.equal(await pwd({}), '', 'a host without it gives none');
});
