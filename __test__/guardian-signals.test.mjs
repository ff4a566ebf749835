// However a host goes, no tree survives it; and its signals are its own.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import { gone, guarded, guardianOf, isAlive, KINDS, marked, newMark, SHELL } from './helpers/guardians.mjs';
import { until } from './helpers/programs.mjs';

/** The command line of a process; empty if it is gone. */
function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

const linux = process.platform === 'linux' ? {} : { skip: 'processes are looked for in /proc' };

/** The ways in which the host ends, and its exit status then. */
const WAYS = {
  'the end of the program': { request: 'end', code: 0 },
  'process.exit': { request: 'exit', code: 3 },
  'an uncaught exception': { request: 'throw', code: 1 },
  'an unhandled rejection': { request: 'reject', code: 1 },
  'process.abort': { request: 'abort', signal: 'SIGABRT' },
  SIGTERM: { signal: 'SIGTERM' },
  SIGINT: { signal: 'SIGINT' },
  SIGHUP: { signal: 'SIGHUP' },
  SIGSEGV: { signal: 'SIGSEGV' },
};

const treesAnd = (mark, handlers = '') => `
  ${handlers}
  const kinds = ${JSON.stringify(Object.values(KINDS).map((kind) => kind(mark)))};
  let started = 0;
  engine.on('started', () => { if (++started === kinds.length) say('started'); });
  for (const command of kinds) engine.execute({ command: { type: 'shell', command, shell: '${SHELL}' } });
  process.stdin.once('data', (word) => ({
    end() { engine.unref(); clearInterval(stays); process.stdin.destroy(); },
    exit() { process.exit(3); },
    throw() { throw new Error('on purpose'); },
    reject() { Promise.reject(new Error('on purpose')); },
    abort() { process.abort(); },
  })[String(word).trim()]());
`;

/** Runs a host with a tree of every kind. */
async function running(t, handlers) {
  const mark = newMark();
  const host = await guarded(t, treesAnd(mark, handlers), { flags: ['--no-warnings'] });
  await host.next();
  await until(() => marked(mark).length >= 2 * Object.keys(KINDS).length, 'the trees have grown');
  return { host, mark };
}

describe('no tree survives', { concurrency: 2, ...linux }, () => {
  for (const [way, { request, code = null, signal = null }] of Object.entries(WAYS)) {
    test(way, async (t) => {
      const { host, mark } = await running(t);
      if (request) host.child.stdin.write(`${request}\n`);
      else host.kill(signal);
      assert.deepEqual(await host.exited, { code, signal });
      const ms = await gone(mark);
      t.diagnostic(`gone ${ms.toFixed()} ms after the host`);
    });
  }
});

describe('the signals of the host', { concurrency: 2, ...linux }, () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
    test(`a handler of ${signal} keeps its meaning`, async (t) => {
      const { host, mark } = await running(t, `process.on('${signal}', (name) => say(name));`);
      // Some of a tree are shells that are about to end.
      const stays = marked(mark).filter((pid) => commandOf(pid).startsWith('sleep'));
      assert.ok(stays.length > 0);
      host.kill(signal);
      assert.equal(await host.next(), signal);
      assert.ok(isAlive(host.pid), 'the host continues');
      assert.deepEqual(stays.filter(isAlive), stays, 'and so do its trees');
      assert.ok(isAlive(await guardianOf(host.pid)));
      host.kill('SIGKILL');
      await gone(mark);
    });
  }

  test('a handler may shut down by itself', async (t) => {
    const { host, mark } = await running(
      t,
      'process.on("SIGTERM", async () => { await engine.shutdown({ graceMs: 0 }); say("down"); process.exit(9); });',
    );
    host.kill('SIGTERM');
    assert.equal(await host.next(), 'down');
    assert.deepEqual(await host.exited, { code: 9, signal: null });
    await gone(mark);
  });

  test("SIGCHLD is the host's", async (t) => {
    const { host, mark } = await running(
      t,
      `import { spawn } from 'node:child_process';
       process.stdin.on('data', () => {}); process.on('SIGUSR2', () => spawn('sh', ['-c', 'exit 5']).on('exit', (code) => say(code)));`,
    );
    host.kill('SIGUSR2');
    assert.equal(await host.next(), 5);
    host.kill('SIGKILL');
    await gone(mark);
  });
});
