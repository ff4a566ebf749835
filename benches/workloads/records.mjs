// Measures the cost of records: a run beside many records, and the moment at which they all leave.
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { observe, repeat } from '../harness/observe.mjs';

/** Returns an engine with so many ended executions without output; retention removes none of them, unless the settings say so. */
async function engineWith(records, settings = { enableAutoCleanup: false, executionRetentionSecs: 0 }) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const engine = new ExecutionEngine({ maxConcurrentExecutions: 8, maxInMemoryExecutions: 10_000_000, ...settings });
  // The executions never spawn: their signal has fired already.
  const signal = AbortSignal.abort();
  await repeat(records, 100, () => engine.run({ command: { type: 'exec', program: 'true' } }, { signal }));
  if (engine.listExecutions().length !== records) throw new Error('the records are not there');
  return engine;
}

/** Returns the microseconds for each command, 8 at a time, beside so many records. */
export async function runsBeside(records, count) {
  const engine = await engineWith(records);
  const one = async () => {
    const { success } = await engine.run({ command: { type: 'exec', program: 'true' } });
    if (!success) throw new Error('the command did not succeed');
  };
  await repeat(Math.ceil(count / 10), 8, one);
  const seen = await observe(() => repeat(count, 8, one));
  await engine.shutdown();
  return { value: (seen.seconds * 1e6) / count, columns: { ...seen.columns, cpuMicros: seen.cpuMicros / count } };
}

/** Returns the nanoseconds for each record that `cleanup()` removes: `records` at a time, until `total` are removed. */
export async function cleanupOf(records, total) {
  const calls = Math.ceil(total / records);
  let ms = 0;
  let rssMiB = 0;
  for (let call = 0; call < calls; call++) {
    const engine = await engineWith(records);
    rssMiB = process.memoryUsage.rss() / 2 ** 20;
    const start = performance.now();
    const count = engine.cleanup();
    ms += performance.now() - start;
    if (count !== records) throw new Error(`${count} records left`);
    await engine.shutdown();
  }
  return { value: (ms * 1e6) / (calls * records), columns: { callMs: ms / calls, rssMiB } };
}

/**
 * Returns the longest call into an engine, in ms, while so many records leave by themselves; or, for comparison, for as long while they
 * stay.
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
 * Returns the bytes that a record takes, from two measurements with so many records between them: what an engine costs by itself is in
 * both. Room that V8 has taken and does not use is left out: it is there for the next objects, and no record's.
 */
export async function sizeOfRecord(contender) {
  const { first, more, options } = {
    // These records have the shape of all records without output, and cost no process.
    'never started': { first: 50_000, more: 100_000, options: { signal: AbortSignal.abort() } },
    'has run': { first: 10_000, more: 20_000 },
  }[contender];
  const engine = await engineWith(0);
  const add = (count) => repeat(count, 8, () => engine.run({ command: { type: 'exec', program: 'true' } }, options));
  await add(first);
  const before = memory();
  await add(more);
  const after = memory();
  const { total, completed } = engine.getStats();
  const records = engine.listExecutions({ limit: 1_000_000 }).length;
  if (records !== first + more || completed !== (options ? 0 : total))
    throw new Error(`${records} records, ${completed} of ${total} completed`);
  await engine.shutdown();
  const unused = ({ heapTotal, heapUsed }) => heapTotal - heapUsed;
  const idleBytes = (unused(after) - unused(before)) / more;
  return { value: (after.rss - before.rss) / more - idleBytes, columns: { records, idleBytes } };
}

/** Returns the used memory without what JavaScript could free: results without references are not records. */
function memory() {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  for (let times = 0; times < 3; times++) collect();
  return process.memoryUsage();
}
