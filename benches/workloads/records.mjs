// What remembering costs: a run beside many records, and the day on which they all leave.
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { observe, repeat } from '../harness/observe.mjs';

/** An engine with so many ended executions without output; none of them leaves by itself, unless the settings say so. */
async function engineWith(records, settings = { enableAutoCleanup: false, executionRetentionSecs: 0 }) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const engine = new ExecutionEngine({ maxConcurrentExecutions: 8, maxInMemoryExecutions: 10_000_000, ...settings });
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

/**
 * The longest call into an engine, in ms, while so many records leave by themselves; or, for comparison, for as long while
 * they stay.
 */
export async function pauseOfCleanup(records, { leaving }) {
  const seconds = 20;
  const retention = leaving ? { executionRetentionSecs: seconds, cleanupIntervalSecs: 1 } : undefined;
  const engine = await engineWith(records, retention);
  const filter = { limit: 1 };
  let [longest, above] = [0, 0];
  const end = performance.now() + (seconds + (leaving ? 60 : 0)) * 1000;
  engine.listExecutions(filter);
  while (engine.listExecutions(filter).length > 0 && performance.now() < end) {
    const start = performance.now();
    engine.listExecutions(filter);
    const took = performance.now() - start;
    longest = Math.max(longest, took);
    if (took > 5) above += 1;
    await new Promise(setImmediate);
  }
  const left = engine.listExecutions(filter).length;
  if (left !== (leaving ? 0 : 1)) throw new Error('not those records left that were to leave');
  await engine.shutdown();
  return { value: longest, columns: { above } };
}

/**
 * Bytes that a record takes, from two measurements with so many records between them: what an engine costs by itself, and
 * the room that the first records found in the heap, are in both.
 */
export async function sizeOfRecord(contender) {
  const [request, options, first, more] = {
    // They have the shape of all records without output, and cost no process.
    'never started': [{ program: 'true' }, { signal: AbortSignal.abort() }, 20_000, 100_000],
    'has run': [{ program: 'true' }, undefined, 1000, 5000],
  }[contender];
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const engine = new ExecutionEngine({ maxInMemoryExecutions: 10_000_000, enableAutoCleanup: false, executionRetentionSecs: 0 });
  const add = (count) => repeat(count, 8, () => engine.run({ command: { type: 'exec', ...request } }, options));
  await add(first);
  const before = residentBytes();
  await add(more);
  const after = residentBytes();
  const { total } = engine.getStats();
  if (total !== first + more) throw new Error(`there are ${total} records`);
  await engine.shutdown();
  return { value: (after - before) / more, columns: { records: total } };
}

/** Without what JavaScript could forget: results that nobody holds are not records. */
function residentBytes() {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  for (let times = 0; times < 3; times++) collect();
  return process.memoryUsage.rss();
}
