// Many requests in one turn of the event loop: how long it is blocked by them.
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

/** The ways to submit requests; each returns promises. */
const submit = {
  executeMany: (engine, requests) => [engine.executeMany(requests)],
  execute: (engine, requests) => requests.map((request) => engine.execute(request)),
};

/** Returns the milliseconds in which the calls block the event loop. None of the commands runs: another one has the only slot. */
export async function submitted(contender, { count }) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const engine = new ExecutionEngine({ maxConcurrentExecutions: 1, maxQueuedExecutions: count });
  await engine.execute({ command: { type: 'exec', program: 'sleep', args: ['600'] } });
  const once = async (some) => {
    const requests = Array.from({ length: some }, (_, index) => ({ command: { type: 'exec', program: 'true', args: [String(index)] } }));
    const start = performance.now();
    const calls = submit[contender](engine, requests);
    const blockedMs = performance.now() - start;
    const ids = (await Promise.all(calls)).flat();
    if (ids.length !== some || engine.getConcurrencyMetrics().currentlyPending !== some) throw new Error('some were not accepted');
    return blockedMs;
  };
  // V8 compiles what runs often within the first thousand.
  await once(1_000);
  await engine.cancelAll({ graceMs: 0 });
  await engine.execute({ command: { type: 'exec', program: 'sleep', args: ['600'] } });
  const value = await once(count);
  await engine.cancelAll({ graceMs: 0 });
  await engine.shutdown();
  return value;
}
