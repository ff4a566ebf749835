// The guardian itself: what it is, how many there are, and what it leaves alone.
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

import { descriptorsOf, guarded, guardianOf, guardiansOf, isAlive, statOf, statusOf } from './helpers/guardians.mjs';
import { until } from './helpers/programs.mjs';
import { NO_OWN_IMAGE } from './helpers/waits.mjs';

const linux = process.platform === 'linux' ? {} : { skip: 'it is looked at by /proc' };
const RUNS_ONE = 'engine.on("started", ({ pid }) => say(pid)); engine.execute(programs.forever);';

describe('guardian', { concurrency: 3, ...linux }, () => {
  test('comes with the first execution and goes with the host', async (t) => {
    const host = await guarded(
      t,
      'say("idle"); await new Promise((resolve) => process.stdin.once("data", resolve)); await engine.run(programs.nothing); say("ran");',
    );
    assert.equal(await host.next(), 'idle');
    assert.deepEqual(guardiansOf(host.pid), [], 'a host that runs nothing needs none');
    host.child.stdin.write('go\n');
    assert.equal(await host.next(), 'ran');
    const guardian = await guardianOf(host.pid);
    host.kill('SIGKILL');
    await until(() => !isAlive(guardian), 'it has gone', 2_000);
  });

  test('sits in the root directory, in a session of its own, and ignores what a terminal sends', async (t) => {
    const host = await guarded(t, RUNS_ONE);
    const child = await host.next();
    const guardian = await guardianOf(host.pid);
    await until(() => readlinkSync(`/proc/${guardian}/cwd`) === '/', 'it is in the root directory');
    const { group, session } = statOf(guardian);
    assert.deepEqual([group, session], [guardian, guardian]);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGPIPE']) process.kill(guardian, signal);
    await sleep(200);
    assert.deepEqual(guardiansOf(host.pid), [guardian], 'it is the same as before');
    assert.ok(isAlive(child));
    host.kill('SIGKILL');
    await until(() => !isAlive(child) && !isAlive(guardian), 'both are gone', 2_000);
  });

  test('has a command line that no pattern for a command matches', { skip: NO_OWN_IMAGE }, async (t) => {
    const host = await guarded(t, RUNS_ONE);
    await host.next();
    const guardian = await guardianOf(host.pid);
    assert.equal(readFileSync(`/proc/${guardian}/cmdline`, 'latin1'), 'escher-guardian\0');
    assert.equal(readFileSync(`/proc/${guardian}/environ`, 'latin1'), '');
    await until(() => readFileSync(`/proc/${guardian}/comm`, 'latin1') === 'escher-guardian\n', 'it has set its name', 2_000);
    host.kill('SIGKILL');
  });

  test('costs less than 2 MiB and no processor time', { skip: NO_OWN_IMAGE }, async (t) => {
    const startedAt = performance.now();
    const host = await guarded(t, 'for (let i = 0; i < 300; i++) await engine.run(programs.nothing); say("ran");');
    await host.next();
    const guardian = await guardianOf(host.pid);
    const kib = Number.parseInt(statusOf(guardian, 'VmRSS'), 10);
    assert.ok(kib < 2048, `${kib} KiB`);
    const switches = ['voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches'].map((field) => Number(statusOf(guardian, field)));
    // A health check wakes it once a second.
    const most = 20 + (performance.now() - startedAt) / 1_000;
    assert.ok(switches[0] < most, `300 executions did not wake it: ${switches}`);
    host.kill('SIGKILL');
  });

  test('is alone with its lifeline: no child holds either end', async (t) => {
    const host = await guarded(
      t,
      'engine.on("started", ({ pid }) => say(pid)); for (let i = 0; i < 20; i++) engine.execute(programs.forever);',
    );
    const children = [];
    while (children.length < 20) children.push(await host.next());
    const guardian = await guardianOf(host.pid);
    const lifeline = new Map(descriptorsOf(guardian)).get(0);
    assert.match(lifeline, /^pipe:/);
    const ends = descriptorsOf(host.pid).filter(([, target]) => target === lifeline);
    assert.ok(ends.length >= 1, 'the host holds an end');
    for (const child of children) {
      const held = descriptorsOf(child).map(([, target]) => target);
      assert.ok(!held.includes(lifeline), `a child has ${held}`);
      assert.ok(!held.some((target) => target.includes('escher-guardian')), 'nor the table');
    }
    host.kill('SIGKILL');
    await until(() => !children.some(isAlive), 'the trees are gone', 2_000);
  });

  test('holds nothing of the host but its lifeline and a descriptor of it', async (t) => {
    const host = await guarded(t, RUNS_ONE);
    await host.next();
    const guardian = await guardianOf(host.pid);
    const shape = () =>
      descriptorsOf(guardian)
        .sort(([a], [b]) => a - b)
        .map(([fd, target]) => [fd, target.replace(/\[\d+\]/, '')]);
    const expected = [
      [0, 'pipe:'],
      [1, '/dev/null'],
      [2, '/dev/null'],
      [4, 'anon_inode:[pidfd]'],
    ];
    // A kernel before 5.3 has no descriptors of processes; it closes its own image and the table first.
    await until(
      () => [expected, expected.slice(0, 3)].some((known) => isDeepStrictEqual(shape(), known)),
      `it holds ${shape().join(' ')}`,
      2_000,
    );
    host.kill('SIGKILL');
  });

  test('is one for several engines and workers', async (t) => {
    const host = await guarded(
      t,
      `
      const engines = [engine, new ExecutionEngine(), new ExecutionEngine({ guardian: true })];
      await Promise.all(engines.map((one) => one.run(programs.nothing)));
      const worker = new URL('./running-worker.mjs', ${JSON.stringify(new URL('./helpers/x', import.meta.url).href)});
      await Promise.all(Array.from({ length: 3 }, () => new Promise((resolve, reject) => {
        const thread = new Worker(worker, { workerData: Array(5).fill(programs.nothing), execArgv: [] });
        thread.once('message', resolve);
        thread.once('error', reject);
      })));
      await engine.run(programs.nothing);
      say('ran');
    `,
    );
    assert.equal(await host.next(), 'ran');
    assert.equal(guardiansOf(host.pid).length, 1);
    host.kill('SIGKILL');
  });

  test('is none with `guardian: false`', async (t) => {
    const host = await guarded(
      t,
      'let reported = 0; engine.on("degraded", () => reported++); await Promise.all(Array.from({ length: 10 }, () => engine.run(programs.nothing))); say(reported);',
      { config: { guardian: false } },
    );
    assert.equal(await host.next(), 0, 'no `degraded` event is emitted');
    assert.deepEqual(guardiansOf(host.pid), []);
    host.kill('SIGKILL');
  });

  test('comes with an engine that wants it after one that did not', async (t) => {
    const host = await guarded(t, 'await engine.run(programs.nothing); await new ExecutionEngine().run(programs.nothing); say("ran");', {
      config: { guardian: false },
    });
    await host.next();
    assert.equal(guardiansOf(host.pid).length, 1);
    host.kill('SIGKILL');
  });

  test('leaves alone what had ended, leftovers included', async (t) => {
    const host = await guarded(
      t,
      `
      const result = await engine.run(programs.shell('sleep 300 >/dev/null 2>&1 & echo $!'));
      say(Number(result.stdout));
    `,
    );
    const leftover = await host.next();
    const guardian = await guardianOf(host.pid);
    host.kill('SIGKILL');
    await until(() => !isAlive(guardian), 'it has gone', 2_000);
    assert.ok(isAlive(leftover), 'a browser that a command opened keeps running');
    process.kill(leftover, 'SIGKILL');
  });
});
