// The engine works where a sandbox denies system calls, hides processes, or has neither shared memory nor devices.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';

import { gone, marked, newMark } from './helpers/guardians.mjs';
import { runsOnLinux, until } from './helpers/programs.mjs';

const PACKAGE = new URL('../dist/engine.js', import.meta.url).pathname;
const SOURCES = new URL('./helpers/restricted/', import.meta.url).pathname;
const NUMBERS = { x64: { waitid: 247, wait4: 61, getdents64: 217 }, arm64: { waitid: 95, wait4: 260, getdents64: 61 } }[process.arch] ?? {};
/** The system calls that have the same number on every machine. */
const CALLS = { ...NUMBERS, pidfd_send_signal: 424, pidfd_open: 434, close_range: 436 };
const ERRORS = { EPERM: 1, EACCES: 13, ENOSYS: 38 };

const dir = mkdtempSync(path.join(os.tmpdir(), 'engine-test-'));
after(() => rmSync(dir, { recursive: true, force: true }));

/** Compiles a program of the helpers; `undefined` without a C compiler. */
function compiled(name, ...flags) {
  const file = path.join(dir, name);
  const { error, status, stderr } = spawnSync(
    'cc',
    ['-Wall', '-Wextra', '-Werror', ...flags, '-o', file, path.join(SOURCES, `${name}.c`), '-ldl'],
    { encoding: 'utf8' },
  );
  if (error) return undefined;
  assert.equal(status, 0, stderr);
  return file;
}

const linux = process.platform === 'linux' && NUMBERS.waitid;
const deny = linux ? compiled('deny') : undefined;
const separateMemory = linux ? compiled('separate_memory', '-shared', '-fPIC') : undefined;
const skip = !linux ? 'system calls of Linux on x64 and arm64' : !(deny && separateMemory) && 'there is no C compiler (cc)';
const noNamespace = skip || (!runsOnLinux('unshare', '-mpf', '--mount-proc', 'true') && 'no namespace can be made here (unshare -mpf)');

const denying = (error, ...calls) => [deny, String(ERRORS[error]), ...calls.map((call) => String(CALLS[call])), '--'];

const source = (code) => `
  const { ExecutionEngine } = require(${JSON.stringify(PACKAGE)});
  const say = (value) => require('node:fs').writeSync(1, JSON.stringify(value) + '\\n');
  const shell = (command) => ({ command: { type: 'shell', command } });
  (async () => {
    const engine = new ExecutionEngine({ killGraceMs: 200, controlGroups: false }); const degraded = [];
    engine.on('degraded', ({ message }) => degraded.push(message));
    ${code}
  })();`;

/** Returns what a host prints that runs `code` under a program that becomes the one named after it. */
function host(words, code) {
  const [program, ...args] = [...words, process.execPath, '-e', source(`${code} process.exit();`)];
  const { stdout, stderr, signal } = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`the host said ${JSON.stringify(stdout)} and ${stderr}, ${signal}`);
  }
}

/** Exits of all kinds, seen and reported as they were, while other commands run. */
const EXITS = `
  const brief = (result) => [result.status, result.exitCode, result.signal, result.stdout];
  const results = await Promise.all([
    engine.run(shell('echo one; sleep 0.4; echo two; exit 3')),
    engine.run(shell('exec sleep 0.4')),
    engine.run(shell('kill -9 $$')),
    engine.run({ ...shell('sleep 1000'), timeoutMs: 300 }),
    engine.run(shell('exec >&- 2>&-; sleep 0.4; exit 5')),
  ]);
  const id = await engine.execute(shell('sleep 1000'));
  await engine.cancel(id);
  say([...results.map(brief), engine.getStatus(id)]);`;
const EXITED = [
  ['failed', 3, null, 'one\ntwo\n'],
  ['completed', 0, null, ''],
  ['failed', null, 'SIGKILL', ''],
  ['timeout', null, 'SIGTERM', ''],
  ['failed', 5, null, ''],
  'cancelled',
];
const WITHOUT_PROC = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc; exec "$@"', 'sh'];

describe('a sandbox that denies system calls', { concurrency: 2, skip }, () => {
  for (const error of Object.keys(ERRORS)) {
    for (const calls of [
      ['waitid'],
      ['waitid', 'pidfd_open'],
      ['pidfd_open'],
      ['waitid', 'pidfd_open', 'pidfd_send_signal', 'close_range'],
    ]) {
      test(`exits are seen as they are: ${calls.join(', ')} with ${error}`, () => {
        assert.deepEqual(host(denying(error, ...calls), EXITS), EXITED);
      });
    }
  }

  // AppArmor and Landlock can allow to read the files of each process, and not the list of them.
  for (const error of Object.keys(ERRORS)) {
    test(`commands are ended, and it is reported, where processes cannot be listed: ${error}`, () => {
      assert.deepEqual(host(denying(error, 'getdents64'), EXITS), EXITED);
      const [message, ...more] = host(denying(error, 'getdents64'), `await engine.run(shell('exit 0')); say(degraded);`);
      assert.match(message, /\/proc.* cannot be read/);
      assert.deepEqual(more, []);
    });
  }

  test('the guardian ends process groups where processes cannot be listed', async (t) => {
    const mark = newMark();
    const line = `sleep 1000.${mark} & echo started; sleep 1000.${mark}; : ${mark}`;
    const code = `engine.on('stdout', () => say('started')); await engine.execute(shell(${JSON.stringify(line)})); setInterval(() => {}, 1000);`;
    const [program, ...args] = [...denying('EACCES', 'getdents64'), process.execPath, '-e', source(code)];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await until(() => marked(mark).length >= 3, 'the tree has grown');
    child.kill('SIGKILL');
    await gone(mark, 1_200);
  });

  test('exits are seen as they are without waitid, process descriptors and /proc', { skip: noNamespace }, () => {
    assert.deepEqual(host([...WITHOUT_PROC, ...denying('EPERM', 'waitid', 'pidfd_open', 'close_range')], EXITS), EXITED);
  });

  for (const error of Object.keys(ERRORS)) {
    test(`a member in a session of its own is ended without pidfd_send_signal: ${error}`, async () => {
      const mark = newMark();
      const line = `trap '' TERM; setsid sh -c 'trap "" TERM; sleep 1000.${mark}; : ${mark}' & echo started; sleep 1000.${mark}; : ${mark}`;
      const { status, mechanism } = host(
        denying(error, 'pidfd_send_signal'),
        `
        const started = new Promise((resolve) => engine.once('stdout', resolve));
        const id = await engine.execute(shell(${JSON.stringify(line)}));
        await started;
        await engine.cancel(id);
        const { status, killed } = engine.getResult(id);
        say({ status, mechanism: killed.mechanism });`,
      );
      assert.deepEqual(marked(mark), [], mechanism);
      assert.equal(status, 'cancelled');
      // Members that signals do not reach would be moved into a control group.
      assert.doesNotMatch(mechanism, /refused|cgroup/);
    });

    for (const call of ['pidfd_send_signal', 'pidfd_open']) {
      test(`the guardian ends such a member without ${call}: ${error}`, async (t) => {
        const mark = newMark();
        const line = `setsid sh -c 'sleep 1000.${mark}; : ${mark}' & echo started; sleep 1000.${mark}; : ${mark}`;
        const [program, ...args] = [
          ...denying(error, call),
          process.execPath,
          '-e',
          source(
            `engine.on('stdout', () => say('started')); await engine.execute(shell(${JSON.stringify(line)})); setInterval(() => {}, 1000);`,
          ),
        ];
        const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
        t.after(() => child.kill('SIGKILL'));
        await new Promise((resolve) => child.stdout.once('data', resolve));
        await until(() => marked(mark).length >= 2, 'the tree has grown');
        child.kill('SIGKILL');
        // Without a descriptor of the host's process its end may be seen a second later.
        await gone(mark, 1_200);
      });
    }
  }
});

test('a failed start has its reason where a child does not share the memory of the host', { skip }, () => {
  const found = host(
    ['env', `LD_PRELOAD=${separateMemory}`],
    `
    const errors = [];
    for (const request of [
      { command: { type: 'exec', program: '/no/such' } },
      { command: { type: 'exec', program: '/etc/passwd' } },
      { command: { type: 'exec', program: '/' } },
      { command: { type: 'exec', program: '/bin/echo', args: ['x'.repeat(200_000)] } },
    ]) for (let round = 0; round < 2; round++) await engine.run(request).catch(({ code, errno }) => errors.push([code, errno]));
    const open = await engine.run(shell('n=0; while [ $n -lt 40 ]; do [ -e /dev/fd/$n ] && echo $n; n=$((n+1)); done'));
    say({ errors, open: open.stdout, exitCode: (await engine.run(shell('exit 7'))).exitCode, degraded });`,
  );
  const twice = (errno) => [
    ['SPAWN_FAILED', errno],
    ['SPAWN_FAILED', errno],
  ];
  assert.deepEqual(found.errors, [...twice('ENOENT'), ...twice('EACCES'), ...twice('EACCES'), ...twice('E2BIG')]);
  assert.deepEqual([found.open, found.exitCode, found.degraded], ['0\n1\n2\n', 7, []]);
});

test('what all executions have to do without is reported once by each engine', { skip: noNamespace }, () => {
  const [first, second] = host(
    ['unshare', '-pf'],
    `
    for (let round = 0; round < 5; round++) await engine.run(shell('exit 0'));
    await Promise.all(Array.from({ length: 5 }, () => engine.run(shell('exit 0'))));
    const other = new ExecutionEngine(); const others = [];
    other.on('degraded', ({ message }) => others.push(message));
    await other.run(shell('exit 0'));
    await other.run(shell('exit 0'));
    say([degraded, others]);`,
  );
  assert.equal(first.length, 1, first.join('\n'));
  assert.match(first[0], /\/proc/);
  assert.deepEqual(second, first);
});

test('a /proc of an outer namespace is not taken for ours where our process id is the same in both', { skip: noNamespace }, (t) => {
  // In the inner namespace, whose /proc is that of the outer one, the next process has the same number in both.
  const same = `read -r outer rest < /proc/self/stat; echo "$outer" > /proc/sys/kernel/ns_last_pid || exit 9; exec 3>&1; "$@"`;
  const words = [
    'unshare',
    '-mpf',
    '--mount-proc',
    'sh',
    '-c',
    'echo 5000 > /proc/sys/kernel/ns_last_pid && unshare -pf sh -c "$0" sh "$@"; exit $?',
    same,
  ];
  const found = host(
    words,
    `
    const shown = Number(require('node:fs').readlinkSync('/proc/self'));
    await engine.run(shell('exit 0'));
    say({ shown, own: process.pid, degraded });`,
  );
  if (found.shown !== found.own) return t.skip(`another process took the number: ${found.own} is shown as ${found.shown}`);
  assert.equal(found.degraded.length, 1);
  assert.match(found.degraded[0], /another process namespace/);
  return undefined;
});

test('root in a container without the right to trace says what hidepid hides', {
  skip: noNamespace || (!runsOnLinux('setpriv', '--version') && 'there is no setpriv'),
}, () => {
  const hidden = ['unshare', '-mpf', '--mount-proc', 'sh', '-c', 'mount -o remount,hidepid=2 /proc && exec "$@"', 'sh'];
  const run = `await engine.run(shell('exit 0')); say(degraded);`;
  assert.deepEqual(host(hidden, run), []);
  const [message, ...more] = host([...hidden, 'setpriv', '--bounding-set=-sys_ptrace', '--inh-caps=-sys_ptrace'], run);
  assert.match(message, /hidepid/);
  assert.deepEqual(more, []);
});

test('a system without /dev/null is named as the cause, and a command with input runs', { skip: noNamespace }, () => {
  // Node.js itself opens it only where a standard stream is closed.
  const { error, stdout, degraded } = host(
    ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /dev; exec "$@"', 'sh'],
    `
    const error = await engine.run(shell('exit 0')).then(() => undefined, ({ code, errno, message }) => ({ code, errno, message }));
    const { stdout } = await engine.run(shell('cat'), { stdin: 'given' });
    say({ error, stdout, degraded });`,
  );
  assert.equal(error.code, 'SPAWN_FAILED');
  assert.match(error.message, /\/dev\/null .*mount \/dev/);
  assert.equal(stdout, 'given');
  assert.equal(degraded.length, 1);
  assert.match(degraded[0], /guardian .*\/dev\/null/);
});

test('a system without terminals is named as the cause, and a command without one runs', { skip: noNamespace }, () => {
  const { error, stdout } = host(
    ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /dev/pts; mount --bind /dev/null /dev/ptmx 2>/dev/null; exec "$@"', 'sh'],
    `
    const options = { terminal: true };
    const error = await engine.run(shell('exit 0'), options).then(() => undefined, ({ code, message }) => ({ code, message }));
    const { stdout } = await engine.run(shell('echo plain'));
    say({ error, stdout });`,
  );
  assert.equal(error?.code, 'SPAWN_FAILED');
  assert.match(error.message, /no terminal can be opened \(.*\): mount \/dev\/pts/);
  assert.equal(stdout, 'plain\n');
});
