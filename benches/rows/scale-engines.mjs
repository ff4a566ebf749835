import { most } from '../harness/goals.mjs';
import { SCALE_GOAL, scaled } from '../harness/scale.mjs';
import { lifeOfEngines } from '../workloads/engines.mjs';
import { contenders } from '../workloads/short-commands.mjs';

const { engine } = contenders;
const COUNT = 500;

export default {
  name: 'scale-engines',
  title: '500 engines in one process, 10 and 500 at once: start, a command, shutdown; time for each engine',
  unit: 'µs/engine',
  better: 'lower',
  heavy: true,
  contenders: { '10 at once': engine, '500 at once': engine },
  bound: 'the command of each engine, which is what `short-commands` shows for the limit',
  ratios: [
    { of: '500 at once', to: '10 at once', goal: SCALE_GOAL },
    { of: '500 at once', to: '10 at once', key: 'startMicros', goal: SCALE_GOAL },
    { of: '500 at once', to: '10 at once', key: 'stopMicros', goal: SCALE_GOAL },
  ],
  goals: [
    most(200, 'µs', { what: 'start of one of 500', key: 'startMicros', of: '500 at once' }),
    most(64, 'threads', { what: 'for 500 engines,', key: 'threads', of: '500 at once' }),
  ],
  columns: [
    { key: 'startMicros', title: 'start µs', digits: 0 },
    { key: 'commandMicros', title: 'command µs', digits: 0 },
    { key: 'stopMicros', title: 'shutdown µs', digits: 0 },
    { key: 'threads', title: 'threads of the process', digits: 0, worst: true },
  ],
  run: (contender, { quick }) => lifeOfEngines({ atOnce: scaled(Number.parseInt(contender, 10), quick), count: scaled(COUNT, quick) }),
};
