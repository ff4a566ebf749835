// Many commands at once, in many groups.
import { createRequire } from 'node:module';

import { measureThenObserve, repeat } from '../harness/observe.mjs';
import { program } from './short-commands.mjs';

/** So many groups have one command each that runs, and others that wait. */
const GROUPS = 1_000;

/** Commands per second when all of them are given at once, with 8 slots; each is in one group, or in none. */
export async function grouped(contender, { count }) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const engine = new ExecutionEngine({ maxConcurrentExecutions: 8 });
  const request = { command: { type: 'exec', program } };
  let next = 0;
  const one = async () => {
    const options = contender === 'grouped' ? { groups: [`group-${next++ % GROUPS}`] } : {};
    const { exitCode } = await engine.run(request, options);
    if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}`);
  };
  await repeat(count / 10, 8, one);
  const seen = await measureThenObserve(() => repeat(count, count, one));
  await engine.shutdown();
  return {
    value: count / seen.seconds,
    columns: { ...seen.columns, cpuMicros: seen.cpuMicros / count, growthMiB: seen.growthMiB },
  };
}
