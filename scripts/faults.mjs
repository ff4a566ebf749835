// Lets system calls of a host fail, one kind and one error at a time, while it runs commands, and checks each time that
// every execution ended exactly once, that no process and no descriptor is left, and that the next command works.
//
//   node scripts/faults.mjs [--only pipe2] [--calls 3]        needs strace and a C compiler
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { readArguments, refuse } from './arguments.mjs';

const { values } = readArguments({
  options: { host: { type: 'boolean', own: true }, only: { type: 'string' }, calls: { type: 'number', default: 3 } },
});

// The runtimes of the host wake their own threads by `write`, and Node aborts when that fails. So this call alone fails by
// a library that is loaded before libc, and only for pipes and files.
const CALLS = ['clone3,clone,vfork', 'pipe2', 'pidfd_open', 'epoll_ctl', 'openat', 'fcntl', 'wait4', 'write'];
const ERRORS = ['EMFILE', 'ENOMEM', 'EAGAIN', 'ENOSPC', 'EIO'];
const COMMANDS = 6;
/** The input of half of the commands: more than a pipe takes at once. */
const INPUT = 'x'.repeat(200_000);

const wanted = CALLS.filter((name) => !values.only || name.includes(values.only));
if (wanted.length === 0) refuse(`no call has ${values.only} in its name; there are ${CALLS.join(', ')}`);
if (values.host) await host();
else process.exitCode = await sweep();

async function host() {
  const { ExecutionEngine } = await import('../index.js');
  const engine = new ExecutionEngine({ maxConcurrentExecutions: 3, queueTimeoutMs: 4000, defaultTimeoutMs: 3000 });
  const ids = new Set();
  const ends = new Map();
  let after = 0;
  engine.on('event', ({ type, executionId }) => {
    ids.add(executionId);
    if (ends.has(executionId)) after++;
    if (['completed', 'failed', 'cancelled', 'timeout'].includes(type)) ends.set(executionId, type);
  });
  const run = (command, options) =>
    engine.run({ command: { type: 'shell', command } }, options).then(
      (result) => result.status,
      (error) => (error.code === 'INTERNAL' ? error.message : error.code),
    );
  await run('true');
  process.stdin.resume();
  const base = descriptors();
  console.log('ready');
  const [go] = await once(createInterface({ input: process.stdin }), 'line');
  const outcomes = await Promise.all(
    Array.from({ length: COMMANDS }, (_, index) => (index % 2 ? run('cat', { stdin: INPUT }) : run(`echo ${index}; sleep 0.05 & wait`))),
  );
  console.log(JSON.stringify({ outcomes }));
  await once(createInterface({ input: process.stdin }), 'line');
  const next = await run('echo fine');
  await settled(() => descriptors() <= base && tagged(ids).length === 0);
  const report = { go, next, ended: ends.size, after, descriptors: descriptors() - base, tagged: tagged(ids) };
  console.log(JSON.stringify(report));
  process.exit(0);
}

/** Waits for a condition, for two seconds at most; the condition is checked repeatedly. */
async function settled(condition) {
  for (let tries = 0; tries < 100 && !condition(); tries++) await new Promise((resolve) => setTimeout(resolve, 20));
}

function descriptors() {
  return readdirSync('/proc/self/fd').length;
}

/** Returns the processes, zombies apart, with the tag of one of these executions. */
function tagged(ids) {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const [, id] = /(?:^|\0)ESCHER_EXECUTION_ID=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'latin1')) ?? [];
      return ids.has(id);
    } catch {
      return false;
    }
  });
}

async function sweep() {
  if (spawnSync('strace', ['--version']).error) {
    console.error('SKIPPED: strace is not installed');
    return process.env.CI ? 1 : 0;
  }
  const dir = mkdtempSync(path.join(os.tmpdir(), 'faults-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  const library = path.join(dir, 'failing_writes.so');
  const source = new URL('../tests/preload/failing_writes.c', import.meta.url).pathname;
  if (spawnSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'], { stdio: 'inherit' }).status !== 0) {
    console.error('there is no C compiler, or it does not compile the library');
    return 1;
  }
  let failures = 0;
  let rounds = 0;
  let injected = 0;
  const outcomes = {};
  for (const call of wanted) {
    for (const error of ERRORS) {
      for (let count = 1; count <= values.calls; count++) {
        const inject = call === 'write' ? failingWrites(library, path.join(dir, 'control')) : failingCalls(call);
        const { problems, reported, failed } = await round(inject, error, count);
        rounds++;
        injected += failed > 0 ? 1 : 0;
        for (const outcome of reported) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        if (problems.length > 0) {
          failures++;
          console.error(`${call} × ${error} × first ${count}: ${problems.join('; ')}`);
        }
      }
    }
    console.log(`${call}: done`);
  }
  console.log(`${rounds} rounds, in ${injected} of which a call failed; ${failures} with problems; outcomes of the commands:`, outcomes);
  return failures === 0 ? 0 : 1;
}

/** Calls of the engine's threads that strace lets fail: Node's own end it when they fail. */
function failingCalls(call) {
  const log = path.join(mkdtempSync(path.join(os.tmpdir(), 'faults-')), 'log');
  let tracer;
  return {
    env: {},
    async start(pid, error, count) {
      const inject = `inject=${call}:error=${error}:when=1..${count}`;
      const threads = readdirSync(`/proc/${pid}/task`).filter((task) =>
        readFileSync(`/proc/${pid}/task/${task}/comm`, 'latin1').startsWith('escher'),
      );
      if (threads.length === 0) throw new Error('the host has no thread of the engine');
      tracer = spawn(
        'strace',
        ['-qq', '-o', log, '-e', `trace=${call}`, '-e', 'signal=none', '-e', inject, ...threads.flatMap((thread) => ['-p', thread])],
        {
          stdio: ['ignore', 'ignore', 'pipe'],
        },
      );
      // Attached when the kernel names a tracer of each.
      const isAttached = () => threads.every((task) => !/TracerPid:\t0\n/.test(readFileSync(`/proc/${pid}/task/${task}/status`, 'latin1')));
      for (let tries = 0; tries < 500 && !isAttached(); tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    async stop() {
      tracer.kill('SIGINT');
      await once(tracer, 'exit');
      const failed = readFileSync(log, 'latin1').split('(INJECTED)').length - 1;
      rmSync(path.dirname(log), { recursive: true, force: true });
      return failed;
    },
  };
}

/** Writes that a library lets fail, controlled by a file that it shares with the host: the error, how many are to fail, and how many did. */
function failingWrites(library, control) {
  const set = (error, rest, failed) => writeFileSync(control, Buffer.from(new Int32Array([error, rest, failed]).buffer), { flag: 'r+' });
  writeFileSync(control, Buffer.alloc(12));
  return {
    env: { LD_PRELOAD: library, FAILING_WRITES: control },
    start: (_pid, error, count) => set(os.constants.errno[error], count, 0),
    stop() {
      const failed = readFileSync(control).readInt32LE(8);
      set(0, 0, 0);
      return failed;
    },
  };
}

async function round(inject, error, count) {
  const child = spawn(process.execPath, [new URL(import.meta.url).pathname, '--host'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...inject.env },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  await lines.next();
  await inject.start(child.pid, error, count);
  child.stdin.write('go\n');
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const first = (await lines.next()).value;
  const failed = await inject.stop();
  child.stdin.write('on\n');
  const second = (await lines.next()).value;
  const [code, signal] = await exited;
  clearTimeout(timer);
  if (first === undefined || second === undefined) return { problems: [`the host ended: ${code ?? signal}`], reported: [], failed };
  const { outcomes } = JSON.parse(first);
  const report = JSON.parse(second);
  const problems = [];
  if (report.ended !== COMMANDS + 2) problems.push(`${report.ended} of ${COMMANDS + 2} executions ended`);
  if (report.after > 0) problems.push(`${report.after} events after an end`);
  if (report.next !== 'completed') problems.push(`the next command: ${report.next}`);
  if (report.descriptors > 0) problems.push(`${report.descriptors} descriptors left`);
  if (report.tagged.length > 0) problems.push(`processes left: ${report.tagged}`);
  return { problems, reported: outcomes, failed };
}
