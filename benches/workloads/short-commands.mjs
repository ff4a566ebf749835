// Many commands that do nothing: what remains is the cost of running one.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';

import { askLimit } from '../harness/limit.mjs';
import { hold, loopColumns, observe, repeat } from '../harness/observe.mjs';
import { median } from '../harness/statistics.mjs';

const program = existsSync('/bin/true') ? '/bin/true' : '/usr/bin/true';

/** Who runs them, and what each needs. */
export const contenders = {
  engine: '@escher/execution-engine',
  child_process: null,
  execFile: null,
  execa: 'execa',
  limit: 'limit',
};

export const columns = [...loopColumns, { key: 'cpuMicros', title: 'CPU µs/command', digits: 0 }];

/** Opens a contender: a function that runs one command and throws unless it succeeded, and what to do at the end. */
const open = {
  engine(parallel) {
    const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
    const engine = new ExecutionEngine({ maxConcurrentExecutions: parallel });
    const one = async () => {
      const { success, exitCode } = await engine.run({ command: { type: 'exec', program } });
      check(success && exitCode === 0);
    };
    return { one, close: () => engine.shutdown() };
  },

  child_process() {
    // Without a pipe for standard input, which the engine's children do not get either.
    const one = () =>
      new Promise((resolve, reject) => {
        const child = spawn(program, { stdio: ['ignore', 'pipe', 'pipe'] });
        const stdout = [];
        const stderr = [];
        child.stdout.on('data', (chunk) => stdout.push(chunk));
        child.stderr.on('data', (chunk) => stderr.push(chunk));
        child.on('error', reject);
        child.on('close', (code) => {
          const output = Buffer.concat(stdout).toString() + Buffer.concat(stderr).toString();
          if (code === 0 && output === '') resolve();
          else reject(new Error(`the command ended with ${code}: ${output}`));
        });
      });
    return { one };
  },

  execFile() {
    const run = promisify(execFile);
    return { one: () => run(program) };
  },

  async execa() {
    const { execa } = await import('execa');
    return { one: async () => check((await execa(program)).exitCode === 0) };
  },
};

function check(isFine) {
  if (!isFine) throw new Error('the command did not succeed');
}

/** Commands per second, `parallel` at a time, by a host that holds `hostMiB` more than an empty one. */
export async function throughput(contender, { limit, count, parallel, hostMiB = 0 }) {
  if (contender === 'limit') {
    const asked = askLimit(limit, ['spawn', '--count', count, '--parallel', parallel, '--program', program]);
    return { value: asked.perSecond, columns: { cpuMicros: asked.cpuMicros / count } };
  }
  const held = hold(hostMiB);
  const { one, close } = await open[contender](parallel);
  await repeat(Math.ceil(count / 10), parallel, one);
  const seen = await observe(() => repeat(count, parallel, one));
  await close?.();
  // Used after the measurement, so that nothing of it was collected before.
  check(held.length === hostMiB);
  return { value: count / seen.seconds, columns: { ...seen.columns, cpuMicros: seen.cpuMicros / count } };
}

/** The median of milliseconds from the call to the result, one command after the other. */
export async function latency(contender, { limit, count }) {
  if (contender === 'limit') {
    const asked = askLimit(limit, ['spawn', '--count', count, '--parallel', 1, '--program', program]);
    const columns = { p99Ms: asked.p99Micros / 1000, cpuMicros: asked.cpuMicros / count };
    return { value: asked.p50Micros / 1000, columns };
  }
  const { one, close } = await open[contender](1);
  const times = [];
  const timed = async () => {
    const start = performance.now();
    await one();
    times.push(performance.now() - start);
  };
  await repeat(Math.ceil(count / 10), 1, one);
  const seen = await observe(() => repeat(count, 1, timed));
  await close?.();
  const p99Ms = times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)];
  return { value: median(times), columns: { ...seen.columns, p99Ms, cpuMicros: seen.cpuMicros / count } };
}

/** A row like short-commands with a large host: a fork copies its page tables, so the forking ones get fewer commands. */
export function largeHostRow({ name, title, hostMiB, forked, goal }) {
  return {
    name,
    title: `${program.split('/').pop()}, 8 at a time, by a host that holds ${title}`,
    unit: 'commands/s',
    better: 'higher',
    heavy: true,
    // The empty host takes its turns in the same row: a ratio across rows would compare two moods of the machine.
    contenders: { ...contenders, 'engine (empty host)': contenders.engine },
    ratios: [
      { of: 'engine', to: 'child_process', goal },
      { of: 'engine', to: 'engine (empty host)', goal: '≥ 0.9' },
      { of: 'engine', to: 'limit', goal: '≥ 0.8' },
    ],
    goals: 'loop p99 ≤ 5 ms, max ≤ 15 ms; CPU ≤ 200 µs/command',
    columns,
    run(contender, { limit }) {
      const isEmpty = contender === 'engine (empty host)';
      const isForking = ['child_process', 'execFile', 'execa'].includes(contender);
      const count = isForking ? forked : 1500;
      return throughput(isEmpty ? 'engine' : contender, { limit, count, parallel: 8, hostMiB: isEmpty ? 0 : hostMiB });
    },
  };
}
