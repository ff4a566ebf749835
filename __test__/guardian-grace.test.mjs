// When its host is gone, a tree gets from the guardian the stop signal, its grace period, and then SIGKILL.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { gone, guarded, guardianOf, marked, newMark, SHELL } from './helpers/guardians.mjs';
import { file, folder, isAlive, until } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

const linux = process.platform === 'linux' ? {} : { skip: 'processes are looked for in /proc' };

const PERL =
  'use POSIX; $SIG{TERM} = "IGNORE"; my $end = time + 20; while (time < $end) { my $child = fork; exit if $child; next if !defined $child; POSIX::setsid(); select(undef, undef, undef, 0.003) }';

/** Runs a shell line in a host, which says each line of its output. */
const runs = (command) => `
  engine.on('stdout', ({ line }) => say(line));
  engine.execute({ command: { type: 'shell', command: ${JSON.stringify(command)}, shell: '${SHELL}' } });
`;

describe('after the host is gone', { concurrency: 2, ...linux }, () => {
  const WAYS = {
    'process.exit': 'process.stdin.once("data", () => process.exit(0));',
    'an uncaught exception': 'process.stdin.once("data", () => { throw new Error("on purpose"); });',
    'its natural end': 'process.stdin.once("data", () => { engine.unref(); clearInterval(stays); process.stdin.destroy(); });',
    SIGKILL: '',
  };
  for (const [way, source] of Object.entries(WAYS)) {
    test(`a trap of SIGTERM removes its lock file: ${way}`, async (t) => {
      const [mark, lock] = [newMark(), path.join(folder(t), 'lock')];
      const line = `trap 'rm "${lock}"; exit 0' TERM; : > "${lock}"; sleep 1000.${mark} & echo ready; wait`;
      const host = await guarded(t, `${runs(line)} ${source}`, { config: { killGraceMs: 5_000 } });
      assert.equal(await host.next(), 'ready');
      if (source) host.child.stdin.write('go\n');
      else host.kill('SIGKILL');
      await host.exited;
      await until(() => !existsSync(lock), 'the lock file is removed', 3_000);
      await gone(mark);
    });
  }

  test('a tree that ignores SIGTERM keeps running for its grace period and is killed within a second after it', async (t) => {
    const [mark, graceMs] = [newMark(), 1_000];
    const host = await guarded(t, runs(`trap '' TERM; sleep 1000.${mark} & echo ready; while :; do sleep 0.1; : ${mark}; done`), {
      config: { killGraceMs: graceMs },
    });
    await host.next();
    const killedAt = performance.now();
    host.kill('SIGKILL');
    await host.exited;
    await gone(mark, graceMs);
    const ms = performance.now() - killedAt;
    t.diagnostic(`killed ${ms.toFixed()} ms after the host`);
    assert.ok(ms >= graceMs, `killed after ${ms} ms`);
  });

  test('what a command of a pipeline writes while it cleans up reaches the next one, and its other output does not block it', async (t) => {
    const [mark, dir] = [newMark(), folder(t)];
    // This is more than a pipe holds, to both. The second command begins to read when a guardian would have taken much of it.
    const reads = path.join(dir, 'reads');
    const cleansUp = "trap 'head -c 300000 /dev/zero >&3; head -c 300000 /dev/zero; exit' TERM";
    const writes = `${cleansUp}; while [ ! -e "${reads}" ]; do sleep 0.02; done; echo ready >&3; while :; do sleep 0.02; : ${mark}; done`;
    const line = `exec 3>&1; (${writes}) | (trap '' TERM; : > "${reads}"; sleep 0.5; cat > "${dir}/taken"; mv "${dir}/taken" "${dir}/copy") 3>&-`;
    const host = await guarded(t, runs(line), { config: { killGraceMs: 30_000 } });
    await host.next();
    host.kill('SIGKILL');
    await host.exited;
    await until(() => existsSync(path.join(dir, 'copy')), 'the pipeline has ended', 20_000);
    assert.equal(statSync(path.join(dir, 'copy')).size, 300_000);
    await gone(mark);
  });

  test('a stop signal is sent once', async (t) => {
    const [mark, log] = [newMark(), path.join(folder(t), 'log')];
    const host = await guarded(t, runs(`trap 'echo TERM >> "${log}"' TERM; echo ready; while :; do sleep 0.02; : ${mark}; done`), {
      config: { killGraceMs: 3_000 },
    });
    await host.next();
    host.kill('SIGKILL');
    await until(() => existsSync(log), 'the signal came', 3_000);
    await gone(mark, 3_000);
    const { readFileSync } = await import('node:fs');
    assert.equal(readFileSync(log, 'utf8'), 'TERM\n');
  });

  test('a process without the tag in a session of its own is ended while its parent runs', async (t) => {
    const mark = newMark();
    const host = await guarded(t, runs(`env -i setsid sleep 1000.${mark} & echo ready; wait; : ${mark}`));
    await host.next();
    await until(() => marked(mark).length >= 2, 'the tree has grown');
    host.kill('SIGKILL');
    await gone(mark);
  });

  const CHAINS = {
    'a chain of shells': (dir, mark) =>
      `/bin/sh ${file(dir, 'chain', 'trap "" TERM\nsleep 0.003\nsetsid /bin/sh "$0" "$1" &\n', 0o755)} 1000.${mark}`,
    'a chain of forks, 3 ms each': (dir, mark) => `perl ${file(dir, 'chain.pl', PERL)} 1000.${mark}`,
  };
  for (const controlGroups of [true, false]) {
    for (const [name, chain] of Object.entries(CHAINS)) {
      const skip = name.includes('fork') && spawnSync('perl', ['-e', '1']).status !== 0 && 'there is no perl';
      test(`${name}, each in a session of its own, does not survive, controlGroups ${controlGroups}`, { skip }, async (t) => {
        const dir = folder(t);
        await repeatedly(Math.ceil(REPEATS / 10), 1, async () => {
          const mark = newMark();
          const line = `${chain(dir, mark)} & sleep 1000.${mark} & echo ready; wait`;
          const host = await guarded(t, runs(line), { config: { controlGroups } });
          await host.next();
          const guardian = await guardianOf(host.pid);
          host.kill('SIGKILL');
          // A look between two generations of the chain would find none: the guardian knows when it has ended it.
          await until(() => !isAlive(guardian), 'the guardian has done its work', 4_000);
          for (let round = 0; round < 20; round++) {
            assert.deepEqual(marked(mark), []);
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
        });
      });
    }
  }
});
