// Too few threads, processes or descriptors, at every number: each execution runs exactly or is refused with an error that names the
// limit, nothing hangs, the host runs, and when there is room again the engine works.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';

import { until } from './helpers/programs.mjs';
import { repeatedly } from './helpers/repeats.mjs';

const PACKAGE = new URL('../index.js', import.meta.url).href;
const COMMANDS = 50;

const HOST = `
  import { createInterface } from 'node:readline';
  import { ExecutionEngine } from ${JSON.stringify(PACKAGE)};
  const shell = (command) => ({ command: { type: 'shell', command, shell: '/bin/sh' } });
  const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const word = (error) => [error.code, error.errno, error.message].join(' ');
  console.log('node is there');
  await input.next();
  let engine;
  const make = () => new ExecutionEngine({ maxConcurrentExecutions: ${COMMANDS}, queueTimeoutMs: 1_500 });
  const one = (i) => engine.run(shell('echo ' + i + '; exec sleep 0.05')).then((result) => (result.status === 'completed' && result.stdout === i + '\\n' ? 'exact' : JSON.stringify(result)), word);
  let ends;
  try {
    engine = make();
    ends = await Promise.all(Array.from({ length: ${COMMANDS} }, (_, i) => one(i)));
  } catch (error) {
    ends = [word(error)];
  }
  console.log(JSON.stringify(ends));
  await input.next();
  engine ??= make();
  console.log(JSON.stringify(await Promise.all([1, 2, 3].map(one))));
  await engine.shutdown();
  process.exit(0);
`;

/**
 * Runs the host under a limit, which is raised when all ends are known.
 * @returns `undefined` where Node.js itself cannot start.
 */
async function under(words, raise) {
  const [program, ...args] = [...words, process.execPath, '--input-type=module', '-e', HOST];
  const child = spawn(program, args, { env: { ...process.env, NODE_OPTIONS: '' }, stdio: ['pipe', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), 40_000);
  child.stdin.on('error', () => {});
  let wrong = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (wrong += text));
  const closed = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  try {
    if ((await lines.next()).done) return undefined;
    await raise(child.pid, false);
    child.stdin.write('go\n');
    const first = (await lines.next()).value;
    await raise(child.pid, true);
    child.stdin.write('on\n');
    const second = (await lines.next()).value;
    const code = await closed;
    assert.equal(code, 0, `the host ended with ${code}: ${first} ${second} ${wrong}`);
    assert.doesNotMatch(wrong, /panicked/);
    return { ends: JSON.parse(first), again: JSON.parse(second) };
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
  }
}

/** Tries every number, and says how many executions ran under it. */
async function sweep(t, numbers, limit, refusal) {
  const ran = [];
  let [refused, tried] = [0, 0];
  await repeatedly(numbers.length, 3, async (index) => {
    const number = numbers[index];
    const { words, raise, close } = limit(number);
    const ended = await under(words, raise);
    await close?.();
    if (!ended) return;
    tried += 1;
    for (const end of ended.ends) assert.ok(end === 'exact' || refusal.test(end), `with ${number}: ${end}`);
    assert.deepEqual(ended.again, Array(3).fill('exact'), `with ${number}: there is room again`);
    const exact = ended.ends.filter((end) => end === 'exact').length;
    refused += ended.ends.length - exact;
    ran.push(`${number}: ${exact}`);
  });
  t.diagnostic(ran.join(', '));
  assert.ok(tried > 3 && refused > 0, 'there was room for all: this test is none');
}

const from = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);
const can = (program, ...args) => !spawnSync(program, args).error;
const linux = process.platform === 'linux' && can('prlimit', '--version');
const as = (user) => [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];

/** Sets a limit of a process; `words` stand before the command that does it. */
function prlimit(pid, what, ...words) {
  const [program, ...args] = [...words, 'prlimit', '--pid', String(pid), what];
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

describe('too few', { skip: !linux && 'prlimit is missing' }, () => {
  test('descriptors', async (t) => {
    const limit = (number) => ({
      words: ['prlimit', '--nofile=256:1024'],
      raise: (pid, up) => prlimit(pid, up ? '--nofile=1024:1024' : `--nofile=${number}:1024`),
    });
    await sweep(t, [...from(18, 40), 45, 50, 60, 70, 80], limit, /^SPAWN_FAILED EMFILE .*too many files are open .*ulimit -n/);
  });

  const root = process.getuid?.() === 0 && can('setpriv', '--version');
  test('threads and processes of a user', { skip: !root && 'only root can be another user' }, async (t) => {
    let user = 1_000_000 + (process.pid % 100_000) * 100;
    const limit = (number) => {
      const own = (user += 1);
      return {
        words: ['prlimit', '--nproc=1000:1000', 'setpriv', ...as(own)],
        // Only the same user may raise the limit everywhere.
        raise: (pid, up) => prlimit(pid, up ? '--nproc=1000:1000' : `--nproc=${number}:1000`, 'setpriv', ...as(own)),
      };
    };
    await sweep(t, [...from(9, 26), 30, 40, 60], limit, /^SPAWN_FAILED EAGAIN .*no room for another process .*ulimit -u/);
  });

  const group = root && processGroups();
  test('processes of a control group', { skip: !group && 'no control group with a limit can be made here' }, async (t) => {
    const limit = (number) => {
      const dir = path.join(group, `escher-test-${process.pid}-${number}`);
      mkdirSync(dir);
      return {
        words: [],
        raise(pid, up) {
          if (!up) writeFileSync(path.join(dir, 'cgroup.procs'), String(pid));
          writeFileSync(path.join(dir, 'pids.max'), up ? 'max' : String(number));
        },
        close: () => until(() => isRemoved(dir), 'the group is empty'),
      };
    };
    await sweep(t, [...from(9, 24), 30, 40], limit, /^SPAWN_FAILED EAGAIN .*no room for another process .*pids\.max/);
  });
});

function isRemoved(dir) {
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    if (error.code !== 'EBUSY') throw error;
    return false;
  }
}

/** Returns where control groups with a limit on processes can be made, if anywhere. */
function processGroups() {
  for (const dir of ['/sys/fs/cgroup/pids', '/sys/fs/cgroup']) {
    const trial = path.join(dir, `escher-test-${process.pid}`);
    try {
      mkdirSync(trial);
      const has = existsSync(path.join(trial, 'pids.max')) && readFileSync(path.join(trial, 'pids.max'), 'utf8') !== '';
      rmdirSync(trial);
      if (has) return dir;
    } catch {
      // They cannot be made here.
    }
  }
  return undefined;
}
