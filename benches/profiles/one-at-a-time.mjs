import { median } from '../harness/statistics.mjs';
import { askToSpawn, phases } from '../workloads/short-commands.mjs';

const COUNT = 1000;

/** What is timed in each process, and what it is. */
const PARTS = {
  totalMs: '**the engine: from the call to its result**',
  callMs: 'of it in the call itself: JavaScript, the submission, and waking a thread that may block',
  warmCallMs: 'such a call when others were made just before, and it has to wait for a place',
  queuedMs: 'from the acceptance, which is a part of the call, until that thread spawns',
  durationMs: 'from the spawn until the exit is noticed: pipes, `clone`, the command, and waking the thread that watches',
  restMs: 'before the acceptance and after the exit: JavaScript, and waking its thread',
};

export default {
  name: 'one-at-a-time',
  title: `true, one at a time, ${COUNT} after as many others: where the milliseconds are`,
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
  /** What one process of `inProcess` does. */
  measure: () => phases(COUNT),
};
