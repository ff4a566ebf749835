// Lets system calls of a host fail, one kind and one error at a time, while it runs commands, and checks each time that
// every execution ended exactly once, that no process and no descriptor is left, and that the next command works.
//
//   node scripts/faults.mjs [--only pipe2] [--calls 3]        needs strace
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { host: { type: 'boolean' }, only: { type: 'string' }, calls: { type: 'string', default: '3' } },
});

// `write` is not among them: the runtimes of the host itself wake their threads by it, and Node aborts when that fails.
const CALLS = ['clone3,clone,vfork', 'pipe2', 'pidfd_open', 'epoll_ctl', 'openat', 'fcntl', 'wait4'];
const ERRORS = ['EMFILE', 'ENOMEM', 'EAGAIN', 'ENOSPC', 'EIO'];
const COMMANDS = 6;

if (values.host) await host();
else process.exitCode = await sweep();

async function host() {
  const { ExecutionEngine } = await import('../index.js');
  const engine = new ExecutionEngine({ maxConcurrentExecutions: 3, queueTimeoutMs: 4000, defaultTimeoutMs: 8000 });
  const ends = new Map();
  let after = 0;
  engine.on('event', ({ type, executionId }) => {
    if (ends.has(executionId)) after++;
    if (['completed', 'failed', 'cancelled', 'timeout'].includes(type)) ends.set(executionId, type);
  });
  const run = (command) => engine.run({ command: { type: 'shell', command } }).then((result) => result.status, (error) => (error.code === 'INTERNAL' ? error.message : error.code));
  await run('true');
  process.stdin.resume();
  const base = descriptors();
  console.log('ready');
  const [go] = await once(createInterface({ input: process.stdin }), 'line');
  const outcomes = await Promise.all(Array.from({ length: COMMANDS }, (_, index) => run(`echo ${index}; sleep 0.05 & wait`)));
  console.log(JSON.stringify({ outcomes }));
  await once(createInterface({ input: process.stdin }), 'line');
  const next = await run('echo fine');
  await settled(() => descriptors() <= base && tagged().length === 0);
  const report = { go, next, ended: ends.size, after, descriptors: descriptors() - base, tagged: tagged() };
  console.log(JSON.stringify(report));
  process.exit(0);
}

/** Waits for a condition, for two seconds at most; what is reported is looked at again. */
async function settled(condition) {
  for (let tries = 0; tries < 100 && !condition(); tries++) await new Promise((resolve) => setTimeout(resolve, 20));
}

function descriptors() {
  return readdirSync('/proc/self/fd').length;
}

/** Living processes with the tag of an execution, this host aside. */
function tagged() {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
    try {
      const mine = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[1] === String(process.pid);
      return mine && readFileSync(`/proc/${pid}/environ`, 'latin1').includes('ESCHER_EXECUTION_ID=');
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
  let failures = 0;
  let rounds = 0;
  const outcomes = {};
  for (const call of CALLS.filter((name) => !values.only || name.includes(values.only))) {
    for (const error of ERRORS) {
      for (let count = 1; count <= Number(values.calls); count++) {
        const { problems, told } = await round(call, error, count);
        rounds++;
        for (const outcome of told) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        if (problems.length > 0) {
          failures++;
          console.error(`${call} × ${error} × first ${count}: ${problems.join('; ')}`);
        }
      }
    }
    console.log(`${call}: done`);
  }
  console.log(`${rounds} rounds, ${failures} with problems; outcomes of the commands:`, outcomes);
  return failures === 0 ? 0 : 1;
}

async function round(call, error, count) {
  const child = spawn(process.execPath, [new URL(import.meta.url).pathname, '--host'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  await lines.next();
  const inject = `inject=${call}:error=${error}:when=1..${count}`;
  const tracer = spawn('strace', ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', inject, '-p', String(child.pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // Attached when the kernel names a tracer.
  for (let tries = 0; tries < 500; tries++) {
    if (!/TracerPid:\t0\n/.test(readFileSync(`/proc/${child.pid}/status`, 'latin1'))) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  child.stdin.write('go\n');
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const first = (await lines.next()).value;
  tracer.kill('SIGINT');
  await once(tracer, 'exit');
  child.stdin.write('on\n');
  const second = (await lines.next()).value;
  const [code, signal] = await exited;
  clearTimeout(timer);
  if (first === undefined || second === undefined) return { problems: [`the host ended: ${code ?? signal}`], told: [] };
  const { outcomes } = JSON.parse(first);
  const report = JSON.parse(second);
  const problems = [];
  if (report.ended !== COMMANDS + 2) problems.push(`${report.ended} of ${COMMANDS + 2} executions ended`);
  if (report.after > 0) problems.push(`${report.after} events after an end`);
  if (report.next !== 'completed') problems.push(`the next command: ${report.next}`);
  if (report.descriptors > 0) problems.push(`${report.descriptors} descriptors left`);
  if (report.tagged.length > 0) problems.push(`processes left: ${report.tagged}`);
  return { problems, told: outcomes };
}
