// A guardian that runs and cannot do its work: with limits that keep it from reading, traced, or frozen. It is replaced.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { gone, guarded, guardianOf, guardiansOf, isAlive, newMark, statOf, statusOf } from './helpers/guardians.mjs';
import { until } from './helpers/programs.mjs';

const linux = process.platform === 'linux' ? {} : { skip: 'it is looked at by /proc' };

/** Runs a host with a command, whose guardian is `guardian`. */
async function attacked(t) {
  const mark = newMark();
  const host = await guarded(
    t,
    `engine.on('degraded', ({ message }) => say(message)); engine.on('started', () => say('started')); engine.execute(programs.shell('setsid sleep 1000.${mark} & sleep 1000.${mark}'));`,
  );
  assert.equal(await host.next(), 'started');
  return { mark, host, guardian: await guardianOf(host.pid) };
}

/** Checks that the event says why, and that another guardian ends what runs. */
async function isReplaced({ mark, host, guardian }, reported) {
  assert.match(await host.next(), reported);
  await guardianOf(host.pid, guardian);
  host.kill('SIGKILL');
  await gone(mark);
}

describe('guardian', { concurrency: 3, ...linux }, () => {
  for (const limit of ['nofile=0:0', 'nofile=5:5', 'cpu=0:0', 'stack=1:1']) {
    test(`with the limit ${limit} is replaced`, {
      skip: spawnSync('prlimit', ['--version']).status !== 0 && 'there is no prlimit',
    }, async (t) => {
      const host = await attacked(t);
      assert.equal(spawnSync('prlimit', [`--pid=${host.guardian}`, `--${limit}`]).status, 0);
      await isReplaced(host, /^the guardian had been given lower limits than its host has and was replaced \(replacement 1 /);
    });
  }

  test('that is held by a tracer is replaced', async (t) => {
    const attach = `
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
sys.exit('no') if libc.ptrace(16, int(sys.argv[1]), None, None) != 0 else time.sleep(60)
`;
    if (spawnSync('python3', ['-c', '']).status !== 0) return t.skip('there is no python');
    const host = await attacked(t);
    const tracer = spawn('python3', ['-c', attach, String(host.guardian)], { stdio: 'ignore' });
    t.after(() => tracer.kill('SIGKILL'));
    const isTraced = () => Number(statusOf(host.guardian, 'TracerPid')) > 0;
    await until(() => tracer.exitCode !== null || isTraced(), 'it is traced');
    if (tracer.exitCode !== null) return t.skip('no process may trace it here');
    await isReplaced(host, /^the guardian (did not answer for three seconds|had been stopped)/);
  });

  for (const [name, { root, list, file, frozen, thawed }] of Object.entries({
    'version 1': { root: '/sys/fs/cgroup/freezer', list: 'tasks', file: 'freezer.state', frozen: 'FROZEN', thawed: 'THAWED' },
    'version 2': { root: '/sys/fs/cgroup', list: 'cgroup.procs', file: 'cgroup.freeze', frozen: '1', thawed: '0' },
    'version 2 beside version 1': { root: '/sys/fs/cgroup/unified', list: 'cgroup.procs', file: 'cgroup.freeze', frozen: '1', thawed: '0' },
  })) {
    test(`that is frozen by a control group of ${name} is replaced`, async (t) => {
      const group = path.join(root, `guardian-${newMark()}`);
      try {
        mkdirSync(group);
      } catch {
        return t.skip('no group can be made here');
      }
      let guardian = 0;
      t.after(async () => {
        if (guardian !== 0) writeFileSync(path.join(group, file), thawed);
        await until(() => guardian === 0 || !isAlive(guardian), 'the frozen one is dead');
        await until(() => isRemoved(group), 'the group is removed');
      });
      if (!existsSync(path.join(group, file))) return t.skip('this group cannot be frozen');
      const host = await attacked(t);
      writeFileSync(path.join(group, list), String(host.guardian));
      writeFileSync(path.join(group, file), frozen);
      guardian = host.guardian;
      await isReplaced(host, /^the guardian did not answer for three seconds/);
    });
  }

  test('that works is kept through many health checks', async (t) => {
    const { mark, host, guardian } = await attacked(t);
    await sleep(6_000);
    assert.deepEqual(guardiansOf(host.pid), [guardian]);
    await until(() => statOf(guardian).state === 'S', 'it sleeps');
    assert.ok(Number(statusOf(guardian, 'voluntary_ctxt_switches')) < 20, 'it is woken once a second');
    host.kill('SIGKILL');
    await gone(mark);
  });
});

function isRemoved(group) {
  try {
    rmdirSync(group);
    return true;
  } catch {
    return false;
  }
}
