// Many commands at once, in many groups.
import { createRequire } from 'node:module';

import { measureThenObserve, repeat } from '../harness/observe.mjs';
import { program } from './short-commands.mjs';

/** The commands of a group, of which one runs and the others wait. */
const GROUP_SIZE = 10;

/**
 * Returns the microseconds for each of `count` commands, `waiting` of them submitted at once, with 8 slots; each is in one group, or in
 * none.
 */
export async function grouped({ waiting, count, hasGroups }) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const engine = new ExecutionEngine({ maxConcurrentExecutions: 8 });
  const request = { command: { type: 'exec', program } };
  const groups = Math.ceil(waiting / GROUP_SIZE);
  let next = 0;
  const one = async () => {
    const options = hasGroups ? { groups: [`group-${next++ % groups}`] } : {};
    const { exitCode } = await engine.run(request, options);
    if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}`);
  };
  await repeat(Math.ceil(count / 10), 8, one);
  const crowds = Math.ceil(count / waiting);
  const seen = await measureThenObserve(() => repeat(crowds, 1, () => repeat(waiting, waiting, one)));
  await engine.shutdown();
  const ran = crowds * waiting;
  return {
    value: (seen.seconds * 1e6) / ran,
    columns: { ...seen.columns, cpuMicros: seen.cpuMicros / ran, growthMiB: seen.growthMiB },
  };
}
