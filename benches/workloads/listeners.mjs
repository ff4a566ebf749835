// Lines of a child to many listeners.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

import { observe } from '../harness/observe.mjs';
import { LINES, WARM_UP_LINES } from './lines.mjs';
import { startCat } from './readers.mjs';

/**
 * The contenders. Each opens `{ read, close? }`: `read` passes each line to each of so many listeners, which call `take` with their number
 * and the line.
 */
const open = {
  engine(count, take) {
    const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
    const engine = new ExecutionEngine();
    for (let number = 0; number < count; number++) engine.on('stdout', ({ line }) => take(number, line));
    const read = async (file) => {
      const { exitCode } = await engine.run({ command: { type: 'exec', program: 'cat', args: [file] } });
      if (exitCode !== 0) throw new Error(`cat ended with ${exitCode}`);
    };
    return { read, close: () => engine.shutdown() };
  },

  readline(count, take) {
    const read = async (file) => {
      const child = startCat(file);
      const lines = createInterface({ input: child.stdout, crlfDelay: Infinity });
      for (let number = 0; number < count; number++) lines.on('line', (line) => take(number, line));
      await child.closed;
    };
    return { read };
  },
};

/** Returns the nanoseconds for each call of a listener. For few lines there are so many passes that the number of calls is the same. */
export async function linesToListeners(contender, { data: { file, warmUp }, quick }) {
  const count = contender.endsWith('× 1') ? 1 : 8;
  const isLong = contender.includes('1 M') && !quick;
  const passes = isLong || quick ? 1 : LINES / WARM_UP_LINES;
  const lengths = Array.from({ length: count }, () => 0);
  let calls = 0;
  const take = (number, line) => {
    calls += 1;
    lengths[number] += line.length;
  };
  const { read, close } = open[contender.startsWith('readline') ? 'readline' : 'engine'](count, take);
  await read(warmUp);
  calls = 0;
  const seen = await observe(async () => {
    for (let pass = 0; pass < passes; pass++) await read(isLong ? file : warmUp);
  });
  await close?.();
  const lines = passes * (isLong ? LINES : WARM_UP_LINES);
  if (calls !== count * lines || lengths.some((length) => length !== lengths[0]))
    throw new Error(`${calls} calls came, not ${count * lines}`);
  return { value: (seen.seconds * 1e9) / calls, columns: { ...seen.columns, growthMiB: seen.growthMiB } };
}
