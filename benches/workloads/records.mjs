// What remembering costs: a run beside many records, and the day on which they all leave.
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

import { observe, repeat } from '../harness/observe.mjs';

/** An engine with so many ended executions without output, none of which leaves by itself. */
async function engineWith(records) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const engine = new ExecutionEngine({ maxConcurrentExecutions: 8, maxInMemoryExecutions: 10_000_000, enableAutoCleanup: false, executionRetentionSecs: 0 });
  // They never spawn: their signal has fired already.
  const signal = AbortSignal.abort();
  await repeat(records, 100, () => engine.run({ command: { type: 'exec', program: 'true' } }, { signal }));
  if (engine.listExecutions().length !== records) throw new Error('the records are not there');
  return engine;
}

/** Commands per second, 8 at a time, beside so many records. */
export async function runsBeside(records, count) {
  const engine = await engineWith(records);
  const one = async () => {
    const { success } = await engine.run({ command: { type: 'exec', program: 'true' } });
    if (!success) throw new Error('the command did not succeed');
  };
  await repeat(Math.ceil(count / 10), 8, one);
  const seen = await observe(() => repeat(count, 8, one));
  await engine.shutdown();
  return { value: count / seen.seconds, columns: { ...seen.columns, cpuMicros: seen.cpuMicros / count } };
}

/** Milliseconds in which so many records leave by `cleanup()`. */
export async function cleanupOf(records) {
  const engine = await engineWith(records);
  const before = process.memoryUsage.rss();
  const start = performance.now();
  const count = engine.cleanup();
  const value = performance.now() - start;
  if (count !== records) throw new Error(`${count} records left`);
  await engine.shutdown();
  return { value, columns: { rssMiB: before / 2 ** 20 } };
}
