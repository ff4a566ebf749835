// Measures how busy the machine is, for bounds that hold on an idle one.
import { spawnSync } from 'node:child_process';

const LOOK =
  'for file in /proc/[0-9]*/stat; do read -r line <"$file"; done 2>/dev/null; grep -ls no-process-has-this /proc/[0-9]*/environ; :';

/** The factor by which this machine is slower than one that is not emulated: the number in `ESCHER_TEST_SLOWNESS`. */
export const SLOWNESS = Number(process.env.ESCHER_TEST_SLOWNESS ?? 1);
if (!(SLOWNESS >= 1)) throw new Error(`ESCHER_TEST_SLOWNESS is no number from 1: ${process.env.ESCHER_TEST_SLOWNESS}`);

/** Returns how long one look at all processes takes now, as an engine or a guardian does it: some 10 ms on an idle machine. */
function lookMs() {
  const startedAt = performance.now();
  spawnSync('/bin/sh', ['-c', LOOK]);
  return performance.now() - startedAt;
}

/**
 * Calls `attempt` with a time in ms, twice as long each time, until it gives something: for a time in which a command has to come so far,
 * however slow the machine is.
 */
export async function withEnoughTime(firstMs, attempt) {
  for (let ms = firstMs; ms <= 64 * firstMs; ms *= 2) {
    const outcome = await attempt(ms);
    if (outcome) return outcome;
  }
  throw new Error(`${64 * firstMs} ms were not enough`);
}

/** A bound for an idle machine, and five looks more. */
export const allowed = (ms) => SLOWNESS * (ms + 5 * lookMs());
