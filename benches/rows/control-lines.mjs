import { linesRow } from '../workloads/lines.mjs';
import { listener } from '../workloads/readers.mjs';
import { contenders } from '../workloads/short-commands.mjs';

const { engine } = contenders;

export default linesRow({
  name: 'control-lines',
  title: '1 M lines (71 MB) to a listener, by the engine against itself: the noise of ratios of lines',
  readers: { engine: listener.engine, 'engine again': listener.engine },
  contenders: { engine, 'engine again': engine },
  bound: 'the noise of the machine, as `control`',
  ratios: [{ of: 'engine again', to: 'engine', goal: '= 1' }],
});
