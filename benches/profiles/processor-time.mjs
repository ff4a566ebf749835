import { fileURLToPath } from 'node:url';

import { sample, whatOf, whyNoPerf } from '../harness/perf.mjs';

const COUNT = 3000;
const PARALLEL = 8;
/** The least share that is worth a line. */
const LEAST_SHARE = 0.004;

export default {
  name: 'processor-time',
  title: `${COUNT} times true, ${PARALLEL} at a time, after a warm-up of as many: processor time by thread, from perf`,
  columns: ['threads', 'what', '% of all', 'µs for each command'],
  whyNot: whyNoPerf,
  run() {
    const { host, micros, samples } = sample(fileURLToPath(new URL('../workloads/profiled.mjs', import.meta.url)), [COUNT, PARALLEL]);
    const threadsOf = ({ comm, pid, tid }) => {
      if (pid !== host) return 'the commands';
      if (pid === tid) return 'the JavaScript thread';
      return comm.startsWith('escher') ? "the engine's threads" : 'the threads of Node.js and V8';
    };
    const owners = groupBy(samples, threadsOf);
    const line = (name, what, count) => [name, what, percent(count / samples.length), String(Math.round((count * micros) / COUNT))];
    return [...owners].flatMap(([name, own]) => {
      const parts = [...groupBy(own, ({ frames }) => whatOf(frames))].filter(([, part]) => part.length / samples.length >= LEAST_SHARE);
      return [line(`**${name}**`, '', own.length), ...parts.map(([what, part]) => line('', what, part.length))];
    });
  },
};

const percent = (part) => (100 * part).toFixed(1);

/** Returns the groups, the largest one first. */
function groupBy(all, keyOf) {
  const groups = new Map();
  for (const one of all) {
    const key = keyOf(one);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(one);
  }
  return new Map([...groups].sort(([, a], [, b]) => b.length - a.length));
}
