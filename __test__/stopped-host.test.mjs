// A host that is stopped (SIGSTOP, a debugger) and continued: exits and deadlines meanwhile count from when they happened.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { startHost, stop } from './helpers/hosts.mjs';
import { file, folder } from './helpers/programs.mjs';
import { repeatedly } from './helpers/repeats.mjs';

const posix = process.platform === 'win32' ? { skip: 'there is no SIGSTOP' } : {};

/** Starts what prints `started` in a host, stops the host for so long, and gives what it prints then. The file `GO` is made meanwhile. */
async function stopped(t, ms, source) {
  const dir = folder(t);
  const { child, lines, ended } = startHost(`const GO = ${JSON.stringify(path.join(dir, 'go'))};\n${source}`);
  t.after(() => child.kill('SIGKILL'));
  assert.equal((await lines.next()).value, 'started');
  await stop(child);
  file(dir, 'go');
  await sleep(ms);
  child.kill('SIGCONT');
  const results = JSON.parse((await lines.next()).value);
  await ended;
  return results;
}

/** The source of a host that runs one command. */
const running = (request, options = {}) => `
  const engine = new ExecutionEngine({ defaultTimeoutMs: 60_000 });
  const ready = new Promise((resolve) => engine.once('stdout', resolve));
  const run = engine.run(${request}, ${JSON.stringify(options)});
  await ready;
  console.log('started');
  console.log(JSON.stringify(await run));
`;

test('an exit that came first goes before a timeout and an idle timeout', posix, async (t) => {
  await repeatedly(8, 4, async () => {
    const request = "{ ...programs.untilFile(GO, 'echo done'), timeoutMs: 3000 }";
    const { status, stdout } = await stopped(t, 4_000, running(request, { idleTimeoutMs: 2_500 }));
    assert.deepEqual([status, stdout], ['completed', 'ready\ndone\n']);
  });
});

test('what was written meanwhile is no silence', posix, async (t) => {
  await repeatedly(4, 4, async () => {
    const request = "programs.untilFile(GO, 'echo some; sleep 4; echo more')";
    const { status, stdout } = await stopped(t, 3_000, running(request, { idleTimeoutMs: 2_500 }));
    assert.deepEqual([status, stdout], ['completed', 'ready\nsome\nmore\n']);
  });
});

test('a command whose time is up ends when the host goes on', posix, async (t) => {
  const { status, reason, durationMs } = await stopped(t, 1_000, running('{ ...programs.forever, timeoutMs: 400 }'));
  assert.deepEqual([status, reason], ['timeout', 'timeout']);
  assert.ok(durationMs >= 950, `${durationMs} ms: the clock continues`);
});

test('what is in the queue until its time is up has timed out when the host goes on, although a slot was free', posix, async (t) => {
  const [first, second] = await stopped(
    t,
    3_000,
    `
    const engine = new ExecutionEngine({ maxConcurrentExecutions: 1, queueTimeoutMs: 2_000 });
    const ready = new Promise((resolve) => engine.once('stdout', resolve));
    const first = engine.run(programs.untilFile(GO, 'echo done'));
    const second = engine.run(programs.nothing);
    await ready;
    console.log('started');
    console.log(JSON.stringify(await Promise.all([first, second])));
  `,
  );
  assert.deepEqual([first.status, first.stdout], ['completed', 'ready\ndone\n']);
  assert.deepEqual([second.status, second.reason], ['timeout', 'queue_timeout']);
});
