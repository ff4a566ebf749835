// Many engines in one process.
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

import { repeat } from '../harness/observe.mjs';
import { program } from './short-commands.mjs';

const PARALLEL = 8;
const THREADS = '/proc/self/task';

/**
 * Returns the microseconds for each of `count` engines, of which `atOnce` exist at a time: each starts, runs a command and is shut down.
 */
export async function lifeOfEngines({ atOnce, count }) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const rounds = Math.ceil(count / atOnce);
  const times = { startMicros: 0, commandMicros: 0, stopMicros: 0 };
  let threads = 0;
  const useOnce = async () => {
    let engines;
    times.startMicros += await microsOf(() => {
      engines = Array.from({ length: atOnce }, () => new ExecutionEngine());
    });
    let next = 0;
    times.commandMicros += await microsOf(() => repeat(atOnce, PARALLEL, () => runIn(engines[next++])));
    threads = Math.max(threads, existsSync(THREADS) ? readdirSync(THREADS).length : 0);
    times.stopMicros += await microsOf(() => Promise.all(engines.map((engine) => engine.shutdown())));
  };
  await useOnce();
  for (const key of Object.keys(times)) times[key] = 0;
  await repeat(rounds, 1, useOnce);
  const each = Object.fromEntries(Object.entries(times).map(([key, micros]) => [key, micros / (rounds * atOnce)]));
  const value = each.startMicros + each.commandMicros + each.stopMicros;
  return { value, columns: { ...each, threads } };
}

async function microsOf(work) {
  const start = performance.now();
  await work();
  return (performance.now() - start) * 1000;
}

async function runIn(engine) {
  const { exitCode } = await engine.run({ command: { type: 'exec', program } });
  if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}`);
}
