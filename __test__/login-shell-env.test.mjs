// `loginShellEnv` gives the environment of the user's login shell, whatever its start files do.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { failure } from './helpers/outcomes.mjs';
import { withEnoughTime } from './helpers/pace.mjs';
import { file, folder, hasBusybox, isAlive } from './helpers/programs.mjs';

/** Whether a shell is there. Where `.ci/run` has installed it, its test fails without it. */
const has = (shell) =>
  spawnSync(shell, ['-c', 'true']).status === 0 || Boolean(process.env.CI && process.platform === 'linux' && !hasBusybox);
/** The tests of start files use those of bash. */
const withBash = { skip: !has('/bin/bash') && 'there is no bash' };
const onUnix = { skip: process.platform === 'win32' && 'Windows has no login shells' };

/** Runs `loginShellEnv` with a home of its own, whose start files have these lines. */
async function withHome(t, files, options) {
  const home = folder(t);
  for (const [name, lines] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(home, name)), { recursive: true });
    file(home, name, `${lines}\n`);
  }
  const before = { ...process.env };
  t.after(() => {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  });
  Object.assign(process.env, { HOME: home, ZDOTDIR: home, XDG_CONFIG_HOME: home });
  return ExecutionEngine.loginShellEnv(options);
}

const shells = {
  '/bin/sh': { '.profile': 'export OF_LOGIN="a\nb=c" OF_RC=2' },
  '/bin/bash': { '.bash_profile': 'export OF_LOGIN="a\nb=c"\n. ~/.bashrc', '.bashrc': 'export OF_RC=2' },
  '/bin/zsh': { '.zprofile': 'export OF_LOGIN="a\nb=c"', '.zshrc': 'export OF_RC=2' },
};
for (const [shell, files] of Object.entries(shells)) {
  test(`of ${shell}`, { skip: onUnix.skip || (!has(shell) && `there is no ${shell}`) }, async (t) => {
    process.env.OF_HOST = 'inherited';
    const env = await withHome(t, files, { shell });
    assert.deepEqual([env.OF_LOGIN, env.OF_RC, env.OF_HOST], ['a\nb=c', '2', 'inherited']);
    for (const own of ['_', 'SHLVL', 'PWD', 'OLDPWD', 'ESCHER_EXECUTION_ID']) assert.ok(!(own in env), own);
    assert.equal(typeof env.PATH, 'string');
  });
}

test('of fish', { skip: onUnix.skip || (!has('fish') && 'there is no fish') }, async (t) => {
  const home = folder(t);
  t.after(() => delete process.env.XDG_CONFIG_HOME);
  spawnSync('mkdir', ['-p', path.join(home, 'fish')]);
  file(path.join(home, 'fish'), 'config.fish', 'set -gx OF_FISH yes\n');
  process.env.XDG_CONFIG_HOME = home;
  assert.equal((await ExecutionEngine.loginShellEnv({ shell: 'fish' })).OF_FISH, 'yes');
});

test('start files that are noisy, that alias commands, and that start something', withBash, async (t) => {
  const noisy = [
    'head -c 9000000 /dev/zero | tr "\\0" x; echo; echo noise >&2',
    'env() { echo no; }; printf() { echo no; }',
    'alias env="echo no" printf="echo no" command="echo no"',
    'trap "echo goodbye" EXIT',
    'sleep 300 & echo $! > ~/pid',
    'export LAST=1',
  ];
  const env = await withHome(t, { '.bash_profile': noisy.join('\n') }, { shell: '/bin/bash' });
  assert.equal(env.LAST, '1');
  const pid = Number(spawnSync('cat', [path.join(process.env.HOME, 'pid')]).stdout);
  assert.ok(isAlive(pid), 'an agent that the start files started keeps running');
  process.kill(pid);
});

for (const [shell, name, lines] of [
  ['/bin/zsh', '.zshrc', 'alias command="echo no" env="echo no"; alias -g env=no printf=no; printf() { echo no; }; export LAST=1'],
  ['fish', 'fish/config.fish', 'function env; echo no; end; function printf; echo no; end; alias command "echo no"; set -gx LAST 1'],
]) {
  test(`start files of ${shell} that replace commands`, { skip: onUnix.skip || (!has(shell) && `there is no ${shell}`) }, async (t) => {
    assert.equal((await withHome(t, { [name]: lines }, { shell })).LAST, '1');
  });
}

test('start files that hang are bounded, and their processes are ended', withBash, async (t) => {
  const hanging = 'echo $$ > ~/pid; sleep 300 & echo $! >> ~/pid; wait';
  const started = performance.now();
  const pids = await withEnoughTime(1_500, async (timeoutMs) => {
    const error = await failure(() => withHome(t, { '.bash_profile': hanging }, { shell: '/bin/bash', timeoutMs }), 'SPAWN_FAILED');
    assert.ok(error.message.includes(`did not answer within ${timeoutMs} ms`), error.message);
    const written = String(spawnSync('cat', [path.join(process.env.HOME, 'pid')]).stdout);
    return written.split('\n').length === 3 && written.trim().split('\n').map(Number);
  });
  assert.ok(performance.now() - started < 60_000);
  assert.deepEqual(pids.filter(isAlive), []);
});

test('a file that reads its input or the terminal gets nothing and goes on', withBash, async (t) => {
  const reading = 'read answer; echo "[$answer]"; (exec < /dev/tty) 2>/dev/null; export AFTER=1';
  assert.equal((await withHome(t, { '.bash_profile': reading }, { shell: '/bin/bash' })).AFTER, '1');
});

test('the shell is that of the user by default', withBash, async (t) => {
  const before = process.env.SHELL;
  t.after(() => {
    process.env.SHELL = before;
    if (before === undefined) delete process.env.SHELL;
  });
  process.env.SHELL = '/bin/bash';
  const env = await withHome(t, { '.bash_profile': 'export BY_DEFAULT=bash' });
  assert.equal(env.BY_DEFAULT, 'bash');
});

test('without SHELL it is the one that the system has for the user', onUnix, async (t) => {
  const before = process.env.SHELL;
  t.after(() => {
    if (before !== undefined) process.env.SHELL = before;
  });
  delete process.env.SHELL;
  assert.equal(typeof (await withHome(t, {})).PATH, 'string');
});

test('bad options, and a shell that is none', onUnix, async (t) => {
  for (const [options, field] of [
    ['bash', 'options'],
    [{ shell: 5 }, 'shell'],
    [{ shell: '' }, 'shell'],
    [{ shell: 'a\0b' }, 'shell'],
    [{ timeoutMs: 0 }, 'timeoutMs'],
    [{ timeoutMs: -1 }, 'timeoutMs'],
    [{ timeoutMs: '5' }, 'timeoutMs'],
    [{ timeoutMs: 365 * 24 * 3_600_000 + 1 }, 'timeoutMs'],
    [{ shel: 'bash' }, 'shel'],
  ]) {
    const error = await failure(() => ExecutionEngine.loginShellEnv(options), 'INVALID_REQUEST');
    assert.equal(error.field, field, error.message);
  }
  await failure(() => ExecutionEngine.loginShellEnv({ shell: '/no/such/shell' }), 'SPAWN_FAILED');
  const silent = await failure(() => withHome(t, { '.profile': 'exit 3' }, { shell: '/bin/sh' }), 'SPAWN_FAILED');
  assert.match(silent.message, /exited with code 3 and printed no environment/);
});

test('what it gives is taken as hostEnv', withBash, async (t) => {
  const hostEnv = await withHome(t, { '.bash_profile': 'export GREETING=hello' }, { shell: '/bin/bash' });
  const engine = new ExecutionEngine();
  const { stdout } = await engine.run({ command: { type: 'shell', command: 'echo $GREETING' } }, { hostEnv });
  assert.equal(stdout, 'hello\n');
});
