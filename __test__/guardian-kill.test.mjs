// `kill -9` of the host: no tree survives.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { gone, guarded, guardianOf, isAlive, KINDS, marked, newMark, SHELL } from './helpers/guardians.mjs';
import { until } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

const linux = process.platform === 'linux' ? {} : { skip: 'processes are looked for in /proc' };

/** Starts so many trees, of all kinds in turn, and says `started` when each has. */
const trees = (mark, count) => `
  const kinds = ${JSON.stringify(Object.values(KINDS).map((kind) => kind(mark)))};
  let started = 0;
  engine.on('started', () => { if (++started === ${count}) say('started'); });
  for (let i = 0; i < ${count}; i++) engine.execute({ command: { type: 'shell', command: kinds[i % kinds.length], shell: '${SHELL}' } });
`;

describe('a killed host', { concurrency: 1, ...linux }, () => {
  test('of 100 trees leaves no process', async (t) => {
    const mark = newMark();
    const host = await guarded(t, trees(mark, 100));
    await host.next();
    await until(() => marked(mark).length >= 120, 'the trees have grown');
    host.kill('SIGKILL');
    const ms = await gone(mark);
    t.diagnostic(`100 trees were gone after ${ms.toFixed()} ms`);
  });

  test('in the middle of starting leaves no process', async (t) => {
    // A host for each: a fifth of the other races' number is what a run has time for.
    await repeatedly(Math.ceil(REPEATS / 5), 2, async (round) => {
      const mark = newMark();
      const host = await guarded(t, `engine.once('started', () => say('first')); ${trees(mark, 12)}`);
      await host.next();
      // The delay covers all cases from the first of them to all of them.
      await sleep((round * 7) % 50);
      host.kill('SIGKILL');
      await gone(mark);
    });
  });

  for (const [kind, command] of Object.entries(KINDS)) {
    test(`leaves no process of a tree with: ${kind}`, async (t) => {
      const mark = newMark();
      const host = await guarded(
        t,
        `engine.on('started', () => say('started')); engine.execute({ command: { type: 'shell', command: ${JSON.stringify(command(mark))}, shell: '${SHELL}' } });`,
      );
      await host.next();
      const least = kind === 'job control' ? 3 : 2;
      await until(() => marked(mark).length >= least, 'the tree has grown');
      host.kill('SIGKILL');
      await gone(mark);
    });
  }

  test('whose guardian was killed before leaves no process', async (t) => {
    const mark = newMark();
    const host = await guarded(t, trees(mark, 20));
    await host.next();
    let guardian = await guardianOf(host.pid);
    for (let round = 0; round < Math.max(3, REPEATS); round++) {
      // A guardian that ends sooner than this is taken for one that does not work here, and waited for.
      await sleep(25);
      process.kill(guardian, 'SIGKILL');
      const startedAt = performance.now();
      const next = await guardianOf(host.pid, guardian);
      assert.ok(performance.now() - startedAt < 2_500, 'it is replaced soon');
      assert.ok(!isAlive(guardian));
      guardian = next;
    }
    host.kill('SIGKILL');
    const ms = await gone(mark);
    t.diagnostic(`20 trees were gone after ${ms.toFixed()} ms`);
  });

  test('whose guardian is stopped leaves no process once that continues', async (t) => {
    const mark = newMark();
    const host = await guarded(t, trees(mark, 5));
    await host.next();
    const guardian = await guardianOf(host.pid);
    process.kill(guardian, 'SIGSTOP');
    host.kill('SIGKILL');
    await host.exited;
    process.kill(guardian, 'SIGCONT');
    await gone(mark);
  });

  test('that was stopped leaves no process', async (t) => {
    const mark = newMark();
    const host = await guarded(t, trees(mark, 5));
    await host.next();
    host.kill('SIGSTOP');
    host.kill('SIGKILL');
    await gone(mark);
  });
});
