import { growthColumn, loopColumns } from '../harness/observe.mjs';
import { SCALE_GOAL } from '../harness/scale.mjs';
import { files } from '../workloads/lines.mjs';
import { linesToListeners } from '../workloads/listeners.mjs';
import { contenders } from '../workloads/short-commands.mjs';

const { engine } = contenders;

export default {
  name: 'scale-listeners',
  title: 'lines of a child to 8 listeners, 50 000 and 1 M lines: time for each call of a listener',
  unit: 'ns/call',
  better: 'lower',
  heavy: true,
  contenders: { '1 M, 8 listeners': engine, '50 000, 8 listeners': engine, '1 M, 1 listener': engine, 'readline, 1 M, 8 listeners': null },
  ratios: [
    { of: '1 M, 8 listeners', to: '50 000, 8 listeners', goal: SCALE_GOAL },
    { of: '1 M, 8 listeners', to: '1 M, 1 listener', goal: SCALE_GOAL },
    { of: '1 M, 8 listeners', to: 'readline, 1 M, 8 listeners' },
  ],
  columns: [...loopColumns, growthColumn],
  ...files,
  run: linesToListeners,
};
