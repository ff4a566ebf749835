// Separate Node.js processes, for tests that would end or change this one.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { SLOWNESS } from './pace.mjs';
import { until } from './programs.mjs';

const PACKAGE = new URL('../../index.js', import.meta.url).href;
const PROGRAMS = new URL('./programs.mjs', import.meta.url).href;

const prelude = `import { ExecutionEngine, ExecutionError } from ${JSON.stringify(PACKAGE)}; import * as programs from ${JSON.stringify(PROGRAMS)};\n`;

/** Starts such a process and leaves it to the test: the child, its lines one after the other, and a promise of its end. */
export function startHost(source) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', prelude + source], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  return { child, ended, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

/** Runs a module with the package's names, and the child programs as `programs`, in a Node.js process of its own. */
export function host(source, { flags = [], env = {}, limitMs = 20_000, stdin = 'ignore' } = {}) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', prelude + source], {
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      stdio: [stdin, 'pipe', 'pipe'],
    });
    const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
      const chunks = [];
      stream.on('data', (chunk) => chunks.push(chunk));
      return () => Buffer.concat(chunks).toString();
    });
    const limit = setTimeout(() => child.kill('SIGKILL'), SLOWNESS * limitMs);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      resolve({ code, signal, stdout: stdout(), stderr: stderr(), ms: performance.now() - startedAt });
    });
  });
}

/** Stops a process by SIGSTOP, and waits until all its threads have stopped: on a busy machine they run for some ms after the signal. */
export async function stop(child) {
  child.kill('SIGSTOP');
  await until(() => isStopped(child.pid), 'each thread has stopped');
}

function isStopped(pid) {
  // Elsewhere a process has one state.
  if (process.platform !== 'linux') return /^T/.test(spawnSync('ps', ['-o', 'state=', '-p', String(pid)]).stdout);
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.every((thread) => /^State:\tT/m.test(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')));
  } catch {
    // A thread has ended meanwhile.
    return false;
  }
}
