// Other programs may stop the guardian, hold its pipe, write its table, or take all processes of the user.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, readdirSync, writeSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { descriptorsOf, gone, guarded, guardianOf, guardiansOf, isAlive, newMark, statusOf, SHELL } from './helpers/guardians.mjs';
import { folder, until } from './helpers/programs.mjs';

const linux = process.platform === 'linux' ? {} : { skip: 'it is looked at by /proc' };
const runs = (mark) =>
  `engine.on('degraded', ({ message }) => say(message)); engine.on('started', () => say('started')); engine.execute(programs.shell('sleep 1000.${mark} & sleep 1000.${mark}'));`;

describe('guardian', { concurrency: 2, ...linux }, () => {
  test('that is stopped is replaced, and the engine reports each time once', async (t) => {
    const mark = newMark();
    const host = await guarded(t, `${runs(mark)} engine.execute(programs.forever);`);
    assert.deepEqual([await host.next(), await host.next()], ['started', 'started']);
    for (const time of [1, 2]) {
      const guardian = await guardianOf(host.pid);
      process.kill(guardian, 'SIGSTOP');
      // Two executions run, and this is all that is reported.
      assert.match(await host.next(), new RegExp(`guardian had been stopped .*replacement ${time} `));
      await guardianOf(host.pid, guardian);
      await until(() => !isAlive(guardian), 'the stopped one is gone', 2_000);
    }
    assert.equal(guardiansOf(host.pid).length, 1);
    host.kill('SIGKILL');
    await gone(mark);
  });

  test('sees the end of a host whose lifeline another process holds open', async (t) => {
    const mark = newMark();
    const host = await guarded(t, runs(mark));
    await host.next();
    const guardian = await guardianOf(host.pid);
    const lifeline = new Map(descriptorsOf(guardian)).get(0);
    if (!descriptorsOf(guardian).some(([, target]) => target.includes('pidfd'))) t.diagnostic('without a pidfd it looks once a second');
    const [fd] = descriptorsOf(host.pid).find(([number, target]) => target === lifeline && isWritable(host.pid, number));
    const held = openSync(`/proc/${host.pid}/fd/${fd}`, 'w');
    t.after(() => closeSync(held));
    host.kill('SIGKILL');
    await gone(mark, 1_200);
    await until(() => !isAlive(guardian), 'it has gone', 2_000);
  });

  test('has a table that a command can neither shorten nor write', async (t) => {
    const mark = newMark();
    const host = await guarded(
      t,
      `${runs(mark)} process.stdin.once('data', async () => { await Promise.all(Array.from({ length: 50 }, () => engine.run(programs.nothing))); say('ran'); });`,
    );
    await host.next();
    const tables = descriptorsOf(host.pid).filter(([, target]) => target.includes('escher-guardian'));
    assert.ok(tables.length > 0, 'the host has a table');
    for (const [fd] of tables) {
      const table = openSync(`/proc/${host.pid}/fd/${fd}`, 'r+');
      assert.throws(() => ftruncateSync(table, 0), { code: 'EPERM' });
      assert.throws(() => ftruncateSync(table, 1 << 30), { code: 'EPERM' });
      assert.throws(() => writeSync(table, Buffer.alloc(4096), 0, 4096, 8192), { code: 'EPERM' });
      assert.throws(() => openSync(`/proc/${host.pid}/fd/${fd}`, 'w'), { code: 'EPERM' });
      closeSync(table);
    }
    host.child.stdin.write('go\n');
    assert.equal(
      await until(async () => {
        const line = await host.next();
        return line === 'ran' && line;
      }, 'the host continues'),
      'ran',
    );
    host.kill('SIGKILL');
    await gone(mark);
  });

  test("starts no process, from the host's end to its own", async (t) => {
    if (spawnSync('strace', ['-V']).status !== 0) return t.skip('there is no strace');
    const mark = newMark();
    const host = await guarded(t, runs(mark));
    await host.next();
    const guardian = await guardianOf(host.pid);
    const log = path.join(folder(t), 'calls');
    const strace = spawn('strace', ['-f', '-o', log, '-e', 'trace=process,kill,pidfd_send_signal', '-p', String(guardian)], {
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => strace.on('exit', resolve));
    await until(() => Number(statusOf(guardian, 'TracerPid')) > 0 || strace.exitCode !== null, 'it is traced');
    if (strace.exitCode !== null) return t.skip('strace may not trace here');
    host.kill('SIGKILL');
    await ended;
    await gone(mark);
    const calls = readFileSync(log, 'utf8');
    assert.match(calls, /SIGTERM/);
    assert.doesNotMatch(calls, /execve|fork|clone/);
  });

  test('whose first look at the processes takes longer than the grace period, which begins with the stop signal', async (t) => {
    if (spawnSync('strace', ['-V']).status !== 0) return t.skip('there is no strace');
    const [mark, done] = [newMark(), path.join(folder(t), 'done')];
    const line = `trap 'sleep 0.2; : > ${done}; exit' TERM; echo ready; while :; do sleep 0.01; : ${mark}; done`;
    const host = await guarded(
      t,
      `engine.on('stdout', ({ line }) => say(line)); engine.execute(programs.shell(${JSON.stringify(line)}));`,
      {
        config: { killGraceMs: 2_000 },
      },
    );
    assert.equal(await host.next(), 'ready');
    const guardian = await guardianOf(host.pid);
    const slow = ['-e', 'trace=getdents64', '-e', 'inject=getdents64:delay_enter=3000000:when=1'];
    const strace = spawn('strace', ['-f', '-o', '/dev/null', ...slow, '-p', String(guardian)], { stdio: 'ignore' });
    t.after(() => strace.kill('SIGKILL'));
    await until(() => Number(statusOf(guardian, 'TracerPid')) > 0 || strace.exitCode !== null, 'it is traced');
    if (strace.exitCode !== null) return t.skip('strace may not trace here');
    host.kill('SIGKILL');
    await until(() => existsSync(done) || !isAlive(guardian), 'it has ended the tree', 60_000);
    assert.ok(existsSync(done), 'the clean-up has had its time');
    await until(() => !isAlive(guardian), 'it has gone', 60_000);
  });

  test('ends the trees of a user that may start no further process', async (t) => {
    const uid = 300_000 + (process.pid % 100_000);
    const wrapper = ['prlimit', '--nproc=80', 'setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    const tried =
      process.getuid() === 0 &&
      spawnSync(wrapper[0], [
        ...wrapper.slice(1),
        process.execPath,
        '--input-type=module',
        '-e',
        `await import(${JSON.stringify(new URL('../index.js', import.meta.url).href)})`,
      ]);
    if (tried?.status !== 0) return t.skip('no process of another user can load the package here');
    const line = 'trap "" TERM; while :; do sleep 1000 & done 2>/dev/null';
    const host = await guarded(
      t,
      `engine.on('started', () => say('started')); engine.execute({ command: { type: 'shell', command: ${JSON.stringify(line)}, shell: '${SHELL}' } });`,
      { wrapper },
    );
    await host.next();
    const own = () => readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && isAlive(Number(entry)) && ownerOf(entry) === uid);
    t.after(() => own().forEach((pid) => process.kill(Number(pid), 'SIGKILL')));
    let before = -1;
    await until(async () => {
      const count = own().length;
      const isFull = count > 20 && count === before;
      before = count;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return isFull;
    }, 'the user has no room left');
    host.kill('SIGKILL');
    await until(() => own().length === 0, `no process is left: ${own().length}`, 2_500);
  });
});

const ownerOf = (pid) => {
  try {
    return Number(statusOf(pid, 'Uid').split('\t')[0]);
  } catch {
    return -1;
  }
};

/** Whether a descriptor of a process can be written. */
const isWritable = (pid, fd) => (parseInt(/^flags:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))[1], 8) & 3) !== 0;
