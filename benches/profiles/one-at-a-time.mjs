import { askLimit } from '../harness/limit.mjs';
import { median } from '../harness/statistics.mjs';
import { phases, program } from '../workloads/short-commands.mjs';

const COUNT = 1000;

/** What is timed in each process, and what it is. */
const PARTS = {
  totalMs: '**the engine: from the call to its result**',
  callMs: 'of it in the call itself: JavaScript, the submission, and waking a thread that may block',
  warmCallMs: 'such a call when others were made just before, and nobody is woken',
  queuedMs: 'from the acceptance, which is a part of the call, until that thread spawns',
  durationMs: 'from the spawn until the exit is noticed: pipes, `clone`, the command, and waking the thread that watches',
  restMs: 'before the acceptance and after the exit: JavaScript, and waking its thread',
};

export default {
  name: 'one-at-a-time',
  title: `true, one at a time, ${COUNT} after as many others: where the milliseconds are`,
  columns: ['ms', 'what'],
  needsLimit: true,
  whyNot: () => null,
  async run({ limit, rounds, inProcess }) {
    const seen = [];
    const limits = { plain: [], handedOver: [] };
    const args = ['spawn', '--count', COUNT, '--parallel', 1, '--program', program];
    for (let round = 0; round < rounds; round++) {
      seen.push(await inProcess());
      limits.plain.push((await askLimit(limit, args)).p50Micros / 1000);
      limits.handedOver.push((await askLimit(limit, [...args, '--handed-over'])).p50Micros / 1000);
    }
    const engine = Object.entries(PARTS).map(([key, what]) => [median(seen.map((one) => one[key])), what]);
    const all = [...engine, [median(limits.plain), '**the limit**'], [median(limits.handedOver), '**the limit, each command handed to another thread and back**']];
    return all.map(([ms, what]) => [ms.toFixed(3), what]);
  },
  /** What one process of `inProcess` does. */
  measure: () => phases(COUNT),
};
