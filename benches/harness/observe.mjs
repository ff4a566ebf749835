// What a row's run measures with. It runs in every runtime that harness/runtimes.mjs knows.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * For a row's `columns`: how long the event loop took from one turn of a 1 ms timer to the next (idle: about 1.1 ms).
 * A long stall is one sample among those of many free milliseconds, so where the loop stands still look at the largest.
 */
export const loopColumns = [
  { key: 'loopP50Ms', title: 'loop p50 ms', digits: 1 },
  { key: 'loopP99Ms', title: 'loop p99 ms', digits: 1 },
  { key: 'loopMaxMs', title: 'loop max ms', digits: 1, worst: true },
];

/** For a row's `columns`: by how much the largest memory of this process exceeds what it had before. */
export const growthColumn = { key: 'growthMiB', title: 'peak RSS growth MiB', digits: 0, worst: true };

/** Does the work: wall time, the processor time of this process (all its threads, not its children), and its memory. */
export async function measure(work) {
  const rssBefore = process.memoryUsage.rss();
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  return {
    seconds,
    cpuMicros: cpu.user + cpu.system,
    // The peak is that of the whole life: what was taken and given back before counts for nothing only if it was less.
    growthMiB: Math.max(0, process.resourceUsage().maxRSS / 1024 - rssBefore / 1024 / 1024),
  };
}

/** Measures the work, and looks at the event loop's delay meanwhile. */
export async function observe(work) {
  const loop = watchLoop();
  // The first turn only sets the clock: without this pause a stall at the very start would not be seen.
  await sleep(5);
  const measured = await measure(work);
  // A stall at the very end is counted by the turn after it.
  await sleep(5);
  return { ...measured, columns: loop.stop() };
}

/**
 * Measures the work, and looks at the event loop's delay while it is done once more: a loop that is looked at has a turn each
 * millisecond, and commands that take less than that would pay for it.
 */
export async function measureThenObserve(work) {
  const measured = await measure(work);
  const { columns } = await observe(work);
  return { ...measured, columns };
}

/** Node.js watches its own loop. The others' monitors leave the timer's millisecond out, or see no stall at all. */
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
 * Makes this process as large as a real host. The memory is spread over many buffers, and each page is written: only
 * pages that are there cost a fork something.
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
