// Commands from many worker threads of one process.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

import { observe, repeat } from '../harness/observe.mjs';
import { open } from './runners.mjs';
import { program } from './short-commands.mjs';

/** The number of commands that each thread runs before it is measured. */
const WARM_UP = 20;

if (!isMainThread && workerData?.contender) await work();

/** Returns the microseconds for each of `count` commands, which `threads` threads run in equal parts, one at a time each. */
export async function commandsInThreads(contender, { threads, count }) {
  const rssBefore = process.memoryUsage.rss();
  const workers = Array.from({ length: threads }, () => new Worker(fileURLToPath(import.meta.url), { workerData: { contender } }));
  const all = (work) => Promise.all(workers.map(work));
  await all((worker) => once(worker, 'message'));
  const threadMiB = (process.memoryUsage.rss() - rssBefore) / 2 ** 20 / threads;
  const each = Math.ceil(count / threads);
  const seen = await observe(() =>
    all((worker) => {
      worker.postMessage(each);
      return once(worker, 'message');
    }),
  );
  await all((worker) => {
    worker.postMessage(0);
    return once(worker, 'exit');
  });
  const ran = each * threads;
  return { value: (seen.seconds * 1e6) / ran, columns: { ...seen.columns, cpuMicros: seen.cpuMicros / ran, threadMiB } };
}

/** Runs in a thread: reports that it is ready, runs as many commands as it is given, reports so, and ends at 0. */
async function work() {
  const { one, close } = await open[workerData.contender](program, 1);
  await repeat(WARM_UP, 1, one);
  for (;;) {
    parentPort.postMessage('done');
    const [count] = await once(parentPort, 'message');
    if (count === 0) break;
    await repeat(count, 1, one);
  }
  await close?.();
  parentPort.close();
}
