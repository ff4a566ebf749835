// Adapts tests to a slow or busy machine: by bounds that grow with its load, and by further attempts.
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
 * Calls `attempt` with a time limit in ms, and doubles the limit until the attempt succeeds; returns what it gives. It is for a limit that has
 * to suffice for a command to reach some point, however slow the machine is.
 */
export async function withEnoughTime(firstMs, attempt) {
  for (let ms = firstMs; ms <= 64 * firstMs; ms *= 2) {
    const outcome = await attempt(ms);
    if (outcome) return outcome;
  }
  throw new Error(`${64 * firstMs} ms were not enough`);
}

/**
 * Calls `attempt` until it succeeds, five times at most. It is for a time limit of the engine that no test can change, such as the half second
 * for which the exit of a host waits, and that a busy machine may exceed.
 */
export async function succeedsOnce(attempt) {
  for (let tries = 0; tries < 5; tries++) if (await attempt()) return;
  throw new Error('no attempt of five had enough time');
}

/** Returns a bound that is `ms` on an idle machine, and longer by the time of five looks on a busy one. */
export const allowed = (ms) => SLOWNESS * (ms + 5 * lookMs());
