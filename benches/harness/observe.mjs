// What a row's run measures with.
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

/**
 * Does the work and looks at the process meanwhile: wall time, the event loop's delay, and the processor time of this
 * process (all its threads, not its children).
 */
export async function observe(work) {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  // The first turn only sets the clock: without this pause a stall at the very start would not be seen.
  await sleep(5);
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  // A stall at the very end is counted by the turn after it.
  await sleep(5);
  loop.disable();
  return {
    seconds,
    cpuMicros: cpu.user + cpu.system,
    columns: {
      loopP50Ms: loop.percentile(50) / 1e6,
      loopP99Ms: loop.percentile(99) / 1e6,
      loopMaxMs: loop.max / 1e6,
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
