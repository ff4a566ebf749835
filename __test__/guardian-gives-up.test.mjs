// The guardian gives up what even SIGKILL does not end, as on a disk that has gone, and nothing else.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { gone, guarded, guardianOf, isAlive, newMark, statusOf } from './helpers/guardians.mjs';
import { folder, until, untilWritten } from './helpers/programs.mjs';

/** Returns a control group of version 1 that freezes its members, or why there is none. */
function freezer() {
  try {
    const mount = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((line) => line.includes(' - cgroup ') && line.split(' ').at(-1).split(',').includes('freezer'));
    if (!mount) return { skip: 'there is no freezer of version 1' };
    const group = path.join(mount.split(' ')[4], `escher-test-${process.pid}`);
    mkdirSync(group);
    return { group };
  } catch (error) {
    return { skip: `no group could be made in the freezer: ${error.code}` };
  }
}

const { group, skip } = process.platform === 'linux' ? freezer() : { skip: 'there are no control groups' };

/** Freezes a process until the test is over. */
async function freeze(t, pid) {
  mkdirSync(group, { recursive: true });
  const state = path.join(group, 'freezer.state');
  t.after(async () => {
    writeFileSync(state, 'THAWED');
    await until(() => !isAlive(pid), 'it ends when it can');
    await until(() => {
      try {
        rmdirSync(group);
        return true;
      } catch (error) {
        if (error.code !== 'EBUSY') throw error;
      }
    }, 'the group is removed');
  });
  writeFileSync(path.join(group, 'cgroup.procs'), String(pid));
  writeFileSync(state, 'FROZEN');
  await until(() => readFileSync(state, 'utf8').trim() === 'FROZEN', 'it is frozen');
}

test('a guardian gives up a process that does not end, whatever grace period another tree had', { skip }, async (t) => {
  const host = await guarded(
    t,
    `
    engine.on('stdout', ({ line }) => say(line.split(' ').map(Number)));
    const run = (killGraceMs) =>
      engine.execute({ command: { type: 'shell', command: \`echo \${killGraceMs} $$; exec sleep 1000\` } }, { killGraceMs });
    await run(600_000);
    await run(0);
  `,
  );
  const pidOf = new Map([await host.next(), await host.next()]);
  const [patient, frozen] = [pidOf.get(600_000), pidOf.get(0)];
  await freeze(t, frozen);
  const guardian = await guardianOf(host.pid);
  host.kill('SIGKILL');
  await until(() => !isAlive(patient), 'the other tree has ended by the stop signal');
  await until(() => !isAlive(guardian), 'the guardian has ended', 40_000);
});

test('a guardian does not count the time in which it was stopped', { skip }, async (t) => {
  const STOPPED_MS = 11_000;
  const host = await guarded(
    t,
    `engine.on('stdout', ({ line }) => say(Number(line)));
    engine.execute({ command: { type: 'shell', command: 'echo $$; exec sleep 1000' } }, { killGraceMs: 0 });`,
    { config: { controlGroups: false } },
  );
  const frozen = await host.next();
  await freeze(t, frozen);
  const guardian = await guardianOf(host.pid);
  host.kill('SIGKILL');
  const SIGKILL = 1n << 8n;
  await until(() => BigInt(`0x${statusOf(frozen, 'ShdPnd')}`) & SIGKILL, 'it was killed');
  // Many scans have killed it.
  await sleep(500);
  process.kill(guardian, 'SIGSTOP');
  await sleep(STOPPED_MS);
  process.kill(guardian, 'SIGCONT');
  const before = performance.now();
  await until(() => !isAlive(guardian), 'the guardian has ended', 40_000);
  const left = performance.now() - before;
  assert.ok(left > 5_000, `it has given up after ${left} ms more`);
});

const linux = { skip: process.platform !== 'linux' && 'processes are looked for in /proc' };
test('a guardian that was stopped while it ended a tree ends it when it continues', linux, async (t) => {
  const GRACE_MS = 1_000;
  /** The guardian gives up what it has tried to kill for so long. */
  const LONGEST_KILLING_MS = 10_000;
  const [mark, signals] = [newMark(), path.join(folder(t), 'signals')];
  const line = `setsid sleep 1000.${mark} & trap 'echo TERM > "${signals}"' TERM; echo ready; while :; do sleep 0.02; : ${mark}; done`;
  const host = await guarded(
    t,
    `engine.on('stdout', ({ line }) => say(line));
    engine.execute({ command: { type: 'shell', command: ${JSON.stringify(line)} } });`,
    { config: { controlGroups: false, killGraceMs: GRACE_MS } },
  );
  await host.next();
  const guardian = await guardianOf(host.pid);
  host.kill('SIGKILL');
  await untilWritten(signals);
  process.kill(guardian, 'SIGSTOP');
  await sleep(GRACE_MS + LONGEST_KILLING_MS);
  process.kill(guardian, 'SIGCONT');
  await gone(mark);
});
