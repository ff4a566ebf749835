import { SCALE_GOAL, scaled } from '../harness/scale.mjs';
import { contenders } from '../workloads/short-commands.mjs';
import { manyTerminals } from '../workloads/terminals.mjs';

const { engine } = contenders;
const COUNT = 500;

export default {
  name: 'scale-terminals',
  title: 'shells in terminals, 10 and 100 open at once, each answers a line: time for each terminal',
  unit: 'µs/terminal',
  better: 'lower',
  heavy: true,
  contenders: { '100 at once': engine, '10 at once': engine },
  bound: 'the start of a shell, and the kernel, which opens and closes a terminal',
  ratios: [
    { of: '100 at once', to: '10 at once', goal: SCALE_GOAL },
    { of: '100 at once', to: '10 at once', key: 'cpuMicros', goal: SCALE_GOAL },
  ],
  columns: [
    { key: 'cpuMicros', title: 'CPU µs/terminal', digits: 0 },
    { key: 'threads', title: 'threads of the process', digits: 0, worst: true },
    { key: 'descriptors', title: 'descriptors left', digits: 0, worst: true },
  ],
  run: (contender, { quick }) => manyTerminals({ atOnce: scaled(Number.parseInt(contender, 10), quick), count: scaled(COUNT, quick) }),
};
