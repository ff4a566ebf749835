// Many commands that do nothing: what remains is the cost of running one.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

import { most } from '../harness/goals.mjs';
import { askLimit } from '../harness/limit.mjs';
import { growthColumn, hold, loopColumns, measureThenObserve, observe, repeat } from '../harness/observe.mjs';
import { median } from '../harness/statistics.mjs';
import { open } from './runners.mjs';

export const program = existsSync('/bin/true') ? '/bin/true' : '/usr/bin/true';

/** The contenders, and what each needs. */
export const contenders = {
  engine: '@escher/execution-engine',
  child_process: null,
  execFile: null,
  execa: 'execa-10',
  tinyexec: 'tinyexec',
  'nano-spawn': 'nano-spawn',
  zx: 'zx',
  'Bun.spawn': 'bun',
  'Deno.Command': 'deno',
  limit: 'limit',
  'limit (handed over)': 'limit',
};

const ON_THIS_THREAD =
  'it starts each child on the JavaScript thread, which saves two hand-overs between threads, and blocks the event loop until the program runs';

/** Why these may lead. */
export const ahead = { 'Bun.spawn': ON_THIS_THREAD, 'Deno.Command': ON_THIS_THREAD };

export const columns = [...loopColumns, { key: 'cpuMicros', title: 'CPU µs/command', digits: 0 }];

export const cpuGoal = most(200, 'µs/command', { what: 'CPU', key: 'cpuMicros' });
export const goals = [
  most(5, 'ms', { what: 'loop p99', key: 'loopP99Ms' }),
  most(15, 'ms', { what: 'loop max', key: 'loopMaxMs' }),
  cpuGoal,
];

const isLimit = (contender) => contenders[contender] === 'limit';

/** Returns the ratios of the engine to all others; some of these have goals. */
export function ratios(wanted) {
  const others = Object.keys(contenders).filter((name) => name !== 'engine');
  const limitsFirst = [...others.filter(isLimit), ...others.filter((name) => !isLimit(name))];
  return limitsFirst.map((to) => ({ of: 'engine', to, goal: wanted[to] }));
}

/** Returns the number of commands: enough to measure, and not for minutes, since the packages are several times slower than the rest. */
export const countFor = (contender) => (['execFile', 'execa', 'tinyexec', 'nano-spawn', 'zx'].includes(contender) ? 500 : 1500);

/** The memory to add, in MiB: with it, a host of Node.js is a small one, which has 75 to 90 MiB. An empty host is not realistic. */
export const SMALL_HOST_MIB = 16;

/** Returns the commands per second, `parallel` at a time, by a host that holds `hostMiB` more than an empty one. */
export async function throughput(contender, { limit, count, parallel, hostMiB = 0 }) {
  if (isLimit(contender)) {
    const { asked, loop } = await watchedLimit(contender, limit, count, parallel);
    return { value: asked.perSecond, columns: { ...loop, cpuMicros: asked.cpuMicros / count } };
  }
  const held = hold(hostMiB);
  const { one, close } = await open[contender](program, parallel);
  // V8 compiles what runs often within the first thousand; a host that runs commands has that behind it.
  await repeat(count, parallel, one);
  const seen = await measureThenObserve(() => repeat(count, parallel, one));
  await close?.();
  stillHeld(held, hostMiB);
  return { value: count / seen.seconds, columns: { ...seen.columns, cpuMicros: seen.cpuMicros / count } };
}

/**
 * Makes the engine read the variables of this process by JavaScript from now on, as in a worker: it does so wherever the prototype of all
 * objects has a `code`, since its probe of `process.env` is an error that gets one.
 */
export function letJavaScriptRead() {
  Object.defineProperty(Object.prototype, 'code', { value: undefined, writable: true, configurable: true });
}

/** Uses the memory after the measurement, so that no part of it was collected before. */
function stillHeld(held, hostMiB) {
  if (held.length !== hostMiB) throw new Error('the host is not as large as it should be');
}

/**
 * Measures the limit; and once more, beside the event loop of this Node.js, which does nothing meanwhile: its delay is what the machine
 * leaves to every program.
 */
async function watchedLimit(contender, limit, count, parallel) {
  const ask = () => askToSpawn(contender, limit, count, parallel);
  const asked = await ask();
  const { columns: loop } = await observe(ask);
  return { asked, loop };
}

/** Measures one of the two limits. */
export function askToSpawn(contender, limit, count, parallel) {
  const handedOver = contender === 'limit' ? [] : ['--handed-over'];
  return askLimit(limit, ['spawn', '--count', count, '--parallel', parallel, '--program', program, ...handedOver]);
}

/** Returns the median of milliseconds from the call to the result, one command after the other. */
export async function latency(contender, { limit, count, hostMiB }) {
  if (isLimit(contender)) {
    const { asked, loop } = await watchedLimit(contender, limit, count, 1);
    const columns = { ...loop, p99Ms: asked.p99Micros / 1000, cpuMicros: asked.cpuMicros / count };
    return { value: asked.p50Micros / 1000, columns };
  }
  const held = hold(hostMiB);
  const { one, close } = await open[contender](program, 1);
  const times = [];
  const timed = async () => {
    const start = performance.now();
    await one();
    times.push(performance.now() - start);
  };
  await repeat(count, 1, one);
  const seen = await measureThenObserve(() => repeat(count, 1, timed));
  await close?.();
  stillHeld(held, hostMiB);
  // The times of the run that is reported come after them.
  times.length = count;
  const p99Ms = times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)];
  return { value: median(times), columns: { ...seen.columns, p99Ms, cpuMicros: seen.cpuMicros / count } };
}

/** Returns the time of calls of `run` in a row, with warm caches. The calls wait for a slot, so none of them starts a child. */
async function callsInARow(engine, count) {
  const { maxConcurrentExecutions } = engine.config;
  const held = Array.from({ length: maxConcurrentExecutions }, () =>
    engine.run({ command: { type: 'exec', program: 'sleep', args: ['60'] } }),
  );
  const times = [];
  const waiting = Array.from({ length: count }, () => {
    const start = performance.now();
    const running = engine.run({ command: { type: 'exec', program } });
    times.push(performance.now() - start);
    return running;
  });
  await engine.cancelAll();
  await Promise.all([...held, ...waiting]);
  return times;
}

/** Returns where the milliseconds of one command at a time are, by the engine's own times: the median of each part. */
export async function phases(count) {
  const { ExecutionEngine } = createRequire(import.meta.url)(contenders.engine);
  const engine = new ExecutionEngine();
  const parts = { totalMs: [], callMs: [], queuedMs: [], durationMs: [], restMs: [] };
  const one = async () => {
    const start = performance.now();
    const running = engine.run({ command: { type: 'exec', program } });
    const callMs = performance.now() - start;
    const { queuedMs, durationMs } = await running;
    const totalMs = performance.now() - start;
    const seen = { totalMs, callMs, queuedMs, durationMs, restMs: totalMs - queuedMs - durationMs };
    for (const [key, ms] of Object.entries(seen)) parts[key].push(ms);
  };
  await repeat(count, 1, one);
  for (const times of Object.values(parts)) times.length = 0;
  await repeat(count, 1, one);
  const warmCallMs = median(await callsInARow(engine, count));
  await engine.shutdown();
  return { ...Object.fromEntries(Object.entries(parts).map(([key, times]) => [key, median(times)])), warmCallMs };
}

/**
 * Returns a row like short-commands with a large host. A fork copies its page tables, so those that fork get fewer commands; of the
 * packages only execa is here, since all of them run theirs by `spawn` of child_process and share what it costs.
 */
export function largeHostRow({ name, title, hostMiB, forked, goal }) {
  const { engine, child_process, execFile, execa, limit, ...others } = contenders;
  return {
    name,
    title: `true, 8 at a time, by a host that holds ${title}`,
    unit: 'commands/s',
    better: 'higher',
    heavy: true,
    needsMiB: hostMiB + 512,
    // The small host is measured in the same row: a ratio across rows would compare two states of the machine.
    contenders: { engine, 'engine (empty host)': engine, child_process, execFile, execa, ...native(others), limit },
    ratios: [
      { of: 'engine', to: 'child_process', goal },
      { of: 'engine', to: 'engine (empty host)', goal: '≥ 0.9' },
      { of: 'engine', to: 'limit', goal: '≥ 0.8' },
    ],
    goals,
    columns,
    run(contender, { limit }) {
      const isEmpty = contender === 'engine (empty host)';
      const isForking = ['child_process', 'execFile', 'execa'].includes(contender);
      const count = isForking ? forked : 1500;
      return throughput(isEmpty ? 'engine' : contender, { limit, count, parallel: 8, hostMiB: isEmpty ? 0 : hostMiB });
    },
  };
}

const native = (others) => Object.fromEntries(Object.entries(others).filter(([, need]) => need === 'bun' || need === 'deno'));

export const queueColumns = [...columns, growthColumn];

/** Returns the commands per second when all of them are given at once, and 8 run at a time. */
export async function queued(contender, { limit, count }) {
  if (contender === 'limit') return throughput('limit', { limit, count, parallel: 8 });
  const { one, close } = await open.engine(program, 8);
  await repeat(count / 10, 8, one);
  const lanes = contender === 'engine' ? count : 8;
  const seen = await measureThenObserve(() => repeat(count, lanes, one));
  await close();
  return {
    value: count / seen.seconds,
    columns: { ...seen.columns, cpuMicros: seen.cpuMicros / count, growthMiB: seen.growthMiB },
  };
}
