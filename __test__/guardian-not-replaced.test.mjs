// A guardian that cannot be replaced, or is killed again and again: the executions that run have a `degraded` event.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';

import { gone, guarded, guardianOf, isAlive, newMark } from './helpers/guardians.mjs';
import { until } from './helpers/programs.mjs';

const linux = process.platform === 'linux' ? {} : { skip: 'it is looked at by /proc' };
const RUNS = `engine.on('degraded', ({ message }) => say(message)); engine.on('started', () => say('started'));`;

describe('guardian', linux, () => {
  test('that is killed again and again: it is reported, and works in the end', async (t) => {
    const mark = newMark();
    const host = await guarded(t, `${RUNS} engine.execute(programs.shell('sleep 1000.${mark}'));`);
    assert.equal(await host.next(), 'started');
    let guardian;
    for (let time = 0; time < 3; time++) {
      guardian = await guardianOf(host.pid, guardian);
      process.kill(guardian, 'SIGKILL');
      await until(() => !isAlive(guardian), 'it is dead');
    }
    assert.match(await host.next(), /^3 guardians in a row have ended soon .*signal 9/);
    await guardianOf(host.pid, guardian);
    host.kill('SIGKILL');
    await gone(mark);
  });

  test('that the user has no room for: it is reported, and replaced when there is room', async (t) => {
    const uid = 200_000 + (process.pid % 100_000);
    const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    const loads = [
      process.execPath,
      '--input-type=module',
      '-e',
      `await import(${JSON.stringify(new URL('../index.js', import.meta.url).href)})`,
    ];
    const tried = process.getuid() === 0 && spawnSync('prlimit', ['--nproc=80', ...user, ...loads]);
    if (tried?.status !== 0) return t.skip('no process of another user can load the package here');
    const mark = newMark();
    const host = await guarded(t, `${RUNS} engine.execute(programs.shell('sleep 1000.${mark}'));`, {
      wrapper: ['prlimit', '--nproc=80', ...user],
    });
    assert.equal(await host.next(), 'started');
    const guardian = await guardianOf(host.pid);
    const limit = (processes) => spawnSync(user[0], [...user.slice(1), 'prlimit', `--pid=${host.pid}`, `--nproc=${processes}`]).status;
    // The limit has the effect of other processes of the user that take every place.
    assert.equal(limit('1:80'), 0);
    process.kill(guardian, 'SIGKILL');
    assert.match(await host.next(), /^the guardian has ended \(signal 9\), and there is no other yet: the guardian cannot be started: /);
    assert.equal(limit('80:80'), 0);
    await guardianOf(host.pid, guardian);
    host.kill('SIGKILL');
    await gone(mark);
  });
});
