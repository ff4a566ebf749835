// A host that is stopped (SIGSTOP, a debugger) and continued: exits and deadlines meanwhile count from when they happened.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { startHost } from './helpers/hosts.mjs';
import { repeatedly } from './helpers/repeats.mjs';

const posix = process.platform === 'win32' ? { skip: 'there is no SIGSTOP' } : {};

/** Starts a command in a host, stops the host from then on for so long, and gives its result. */
async function stopped(t, ms, request, options = {}) {
  const { child, lines, ended } = startHost(`
    const engine = new ExecutionEngine({ defaultTimeoutMs: 60_000 });
    const started = new Promise((resolve) => engine.once('started', resolve));
    const run = engine.run(${request}, ${JSON.stringify(options)});
    await started;
    console.log('started');
    console.log(JSON.stringify(await run));
  `);
  t.after(() => child.kill('SIGKILL'));
  await lines.next();
  child.kill('SIGSTOP');
  await sleep(ms);
  child.kill('SIGCONT');
  const result = JSON.parse((await lines.next()).value);
  await ended;
  return result;
}

test('an exit that came first goes before a timeout and an idle timeout', posix, async (t) => {
  await repeatedly(8, 4, async () => {
    const request = "{ ...programs.shell('sleep 0.3; echo done'), timeoutMs: 3000 }";
    const { status, stdout } = await stopped(t, 4_000, request, { idleTimeoutMs: 2_500 });
    assert.deepEqual([status, stdout], ['completed', 'done\n']);
  });
});

test('what was written meanwhile is no silence', posix, async (t) => {
  await repeatedly(4, 4, async () => {
    const { status, stdout } = await stopped(t, 3_000, "programs.shell('sleep 0.5; echo some; sleep 4; echo more')", {
      idleTimeoutMs: 2_500,
    });
    assert.deepEqual([status, stdout], ['completed', 'some\nmore\n']);
  });
});

test('a command whose time is up ends when the host goes on', posix, async (t) => {
  const { status, reason, durationMs } = await stopped(t, 1_000, "{ ...programs.shell('exec sleep 300'), timeoutMs: 400 }");
  assert.deepEqual([status, reason], ['timeout', 'timeout']);
  assert.ok(durationMs >= 950, `${durationMs} ms: the clock continues`);
});

test('what is in the queue until its time is up has timed out when the host goes on, although a slot was free', posix, async (t) => {
  const { child, lines, ended } = startHost(`
    const engine = new ExecutionEngine({ maxConcurrentExecutions: 1, queueTimeoutMs: 2_000 });
    const started = new Promise((resolve) => engine.once('started', resolve));
    const first = engine.run(programs.shell('sleep 0.5; echo done'));
    const second = engine.run(programs.nothing);
    await started;
    console.log('started');
    console.log(JSON.stringify(await Promise.all([first, second])));
  `);
  t.after(() => child.kill('SIGKILL'));
  await lines.next();
  child.kill('SIGSTOP');
  await sleep(3_000);
  child.kill('SIGCONT');
  const [first, second] = JSON.parse((await lines.next()).value);
  await ended;
  assert.deepEqual([first.status, first.stdout], ['completed', 'done\n']);
  assert.deepEqual([second.status, second.reason], ['timeout', 'queue_timeout']);
});
