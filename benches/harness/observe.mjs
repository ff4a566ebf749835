// Measures time, processor time, memory and the event loop for a row. Runs in every runtime of harness/runtimes.mjs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

const STATUS = '/proc/self/status';
const CLEAR_REFS = '/proc/self/clear_refs';
const MIB = 2 ** 20;

/**
 * The time from one turn of a 1 ms timer to the next (idle: about 1.1 ms), for a row's `columns`. A long stall is one sample among many
 * short ones, so where the loop is blocked for long, the largest value is the one to look at.
 */
export const loopColumns = [
  { key: 'loopP50Ms', title: 'loop p50 ms', digits: 1 },
  { key: 'loopP99Ms', title: 'loop p99 ms', digits: 1 },
  { key: 'loopMaxMs', title: 'loop max ms', digits: 1, worst: true },
];

/** The peak memory of this process, minus its memory before the work, for a row's `columns`. */
export const growthColumn = { key: 'growthMiB', title: 'peak RSS growth MiB', digits: 0, worst: true };

/**
 * Returns the largest resident memory of this process. `resourceUsage` of Linux also counts its parent's, whose memory it has between fork
 * and exec, so it is only for other systems.
 */
export function peakRssMiB() {
  const line = existsSync(STATUS) && /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(STATUS, 'utf8'));
  return (line ? Number(line[1]) : process.resourceUsage().maxRSS) / 1024;
}

/** Lets the peak begin anew, where the system can. */
function resetPeak() {
  try {
    if (existsSync(CLEAR_REFS)) writeFileSync(CLEAR_REFS, '5');
  } catch {
    // Some containers allow no writes there: the peak is then that of the whole life.
  }
}

/** Does the work, and measures wall time, the processor time of this process (all threads, no children), and its memory. */
export async function measure(work) {
  resetPeak();
  const rssBefore = process.memoryUsage.rss();
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  return {
    seconds,
    cpuMicros: cpu.user + cpu.system,
    // Without a reset, the peak is that of the whole life of the process: memory that was freed before the work can hide growth.
    growthMiB: Math.max(0, peakRssMiB() - rssBefore / MIB),
  };
}

/** Measures the work and, at the same time, the delay of the event loop. */
export async function observe(work) {
  const loop = watchLoop();
  // The first turn only starts the clock: without this pause a stall at the very beginning would not be measured.
  await sleep(5);
  const measured = await measure(work);
  // The turn after a stall counts it, also at the very end.
  await sleep(5);
  return { ...measured, columns: loop.stop() };
}

/**
 * Measures the work, and then the delay of the event loop while the work is done once more: measuring the loop gives it a turn each
 * millisecond, which would slow commands that take less than that.
 */
export async function measureThenObserve(work) {
  const measured = await measure(work);
  const { columns } = await observe(work);
  return { ...measured, columns };
}

/**
 * Watches the event loop by the monitor of Node.js, which alone measures stalls. Other runtimes leave the timer's millisecond out, or miss
 * stalls.
 */
function watchLoop() {
  return process.versions.bun || process.versions.deno ? watchByTimer() : watchByMonitor();
}

function watchByMonitor() {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  return {
    stop() {
      loop.disable();
      const [loopP50Ms, loopP99Ms, loopMaxMs] = [loop.percentile(50), loop.percentile(99), loop.max].map((nanos) => nanos / 1e6);
      return { loopP50Ms, loopP99Ms, loopMaxMs };
    },
  };
}

function watchByTimer() {
  const turns = [];
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    turns.push(now - last);
    last = now;
  }, 1);
  return {
    stop() {
      clearInterval(timer);
      turns.sort((a, b) => a - b);
      const [loopP50Ms, loopP99Ms, loopMaxMs] = [0.5, 0.99, 1].map((part) => turns[Math.ceil(part * turns.length) - 1]);
      return { loopP50Ms, loopP99Ms, loopMaxMs };
    },
  };
}

/** Does something `count` times, `parallel` of them at a time. */
export async function repeat(count, parallel, one) {
  let left = count;
  const lane = async () => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: parallel }, lane));
}

/**
 * Makes this process as large as a real host. The memory is spread over many buffers, and each page is written: a fork copies
 * only the entries of pages that exist.
 */
export function hold(mebibytes) {
  const held = [];
  for (let count = 0; count < mebibytes; count++) {
    const buffer = Buffer.alloc(1024 * 1024);
    for (let offset = 0; offset < buffer.length; offset += 4096) buffer[offset] = 1;
    held.push(buffer);
  }
  return held;
}
