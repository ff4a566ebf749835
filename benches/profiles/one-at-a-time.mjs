import { median } from '../harness/statistics.mjs';
import { askToSpawn, phases } from '../workloads/short-commands.mjs';

const COUNT = 1000;

/** The times that each process measures, and their names in the table. */
const PARTS = {
  totalMs: '**the engine: from the call to its result**',
  callMs: 'part of it: the call itself (JavaScript, the submission, waking a spawning thread)',
  warmCallMs: 'the same call with warm caches, when it waits for a slot',
  queuedMs: 'from the acceptance, which is a part of the call, to the spawn',
  durationMs: 'from the spawn to the observed exit: pipes, `clone`, the command, waking the waiting thread',
  restMs: 'before the acceptance and after the exit: JavaScript, waking its thread',
};

export default {
  name: 'one-at-a-time',
  title: `true, one at a time, ${COUNT} after a warm-up of as many: where the time is spent`,
  columns: ['ms', 'what'],
  needsLimit: true,
  async run({ limit, rounds, inProcess }) {
    const seen = [];
    const limits = { limit: [], 'limit (handed over)': [] };
    for (let round = 0; round < rounds; round++) {
      seen.push(await inProcess());
      for (const [contender, times] of Object.entries(limits)) times.push((await askToSpawn(contender, limit, COUNT, 1)).p50Micros / 1000);
    }
    const engine = Object.entries(PARTS).map(([key, what]) => [median(seen.map((one) => one[key])), what]);
    const others = Object.entries(limits).map(([contender, times]) => [median(times), `**the ${contender}**`]);
    return [...engine, ...others].map(([ms, what]) => [ms.toFixed(3), what]);
  },
  /** Measures in one process of `inProcess`. */
  measure: () => phases(COUNT),
};
