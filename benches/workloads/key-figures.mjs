// The figures of several rows for one contender, in the runtime that it is in.
import { scaled } from '../harness/scale.mjs';
import { perSecond } from './lines.mjs';
import { iteration, listener } from './readers.mjs';
import { SMALL_HOST_MIB, countFor, latency, throughput } from './short-commands.mjs';

/** The names of readers of lines, where they differ from those of runners of commands. */
const READERS = { child_process: 'readline', 'Bun.spawn': 'Bun.spawn + split', 'Deno.Command': 'Deno.Command + split' };

/** Returns commands per second, and the other figures of a contender: a name of short-commands.mjs, with its runtime behind it. */
export async function keyFigures(contender, { data, limit, quick }) {
  const [name] = contender.split(' (');
  const count = scaled(countFor(name), quick);
  const rate = await throughput(name, { limit, count, parallel: 8, hostMiB: SMALL_HOST_MIB });
  const single = await latency(name, { limit, count, hostMiB: SMALL_HOST_MIB });
  const { cpuMicros, loopP99Ms } = rate.columns;
  const columns = { p50Ms: single.value, cpuMicros, loopP99Ms };
  const reader = READERS[name] ?? name;
  if (reader in listener) columns.listenedLines = (await perSecond(listener[reader], data)).value;
  if (reader in iteration) columns.awaitedLines = (await perSecond(iteration[reader], data)).value;
  return { value: rate.value, columns };
}
