import { growthColumn, loopColumns } from '../harness/observe.mjs';
import { SCALE_GOAL } from '../harness/scale.mjs';
import { files } from '../workloads/lines.mjs';
import { linesToListeners } from '../workloads/listeners.mjs';
import { contenders } from '../workloads/short-commands.mjs';

const { engine } = contenders;

export default {
  name: 'scale-listeners',
  title: 'lines of a child to listeners, 50 000 and 1 M lines × 8 listeners: time for each call of a listener',
  unit: 'ns/call',
  better: 'lower',
  heavy: true,
  contenders: { '1 M × 8': engine, '50 000 × 8': engine, '1 M × 1': engine, 'readline 1 M × 8': null },
  ratios: [
    { of: '1 M × 8', to: '50 000 × 8', goal: SCALE_GOAL },
    { of: '1 M × 8', to: '1 M × 1', goal: SCALE_GOAL },
    { of: '1 M × 8', to: 'readline 1 M × 8' },
  ],
  columns: [...loopColumns, growthColumn],
  ...files,
  run: linesToListeners,
};
