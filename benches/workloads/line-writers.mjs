// Many children at once that write their lines one by one, and one host that reads all of them.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

import { loopColumns, observe, repeat } from '../harness/observe.mjs';

const CHILDREN = 100;
const LINES = 1000;
const TEXT = 'one of the lines of a child, which has a write of its own as in many logs';
/** A shell's own echo: a write for each line, and no process. */
const script = `i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo "${TEXT}"; done`;

export const columns = [...loopColumns, { key: 'cpuMicros', title: 'CPU µs/line', digits: 1 }];

/** The contenders. Each returns `one`, which starts such a child, passes its lines to `take`, and resolves when the child has ended. */
const open = {
  engine() {
    const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
    const engine = new ExecutionEngine({ maxConcurrentExecutions: CHILDREN });
    let take;
    engine.on('stdout', ({ line }) => take(line));
    const one = async (taker) => {
      take = taker;
      // The default shell of the engine is bash: the children of all contenders must be the same.
      const { exitCode } = await engine.run({ command: { type: 'exec', program: 'sh', args: ['-c', script] } });
      if (exitCode !== 0) throw new Error(`a child ended with ${exitCode}`);
    };
    return { one, close: () => engine.shutdown() };
  },

  readline() {
    const one = (take) =>
      new Promise((resolve, reject) => {
        const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
        createInterface({ input: child.stdout, crlfDelay: Infinity }).on('line', take);
        child.on('error', reject);
        child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`a child ended with ${code}`))));
      });
    return { one };
  },

  async execa() {
    const { execa } = await import('execa-10');
    return {
      one: async (take) => {
        for await (const line of execa('sh', ['-c', script], { stdin: 'ignore', buffer: false })) take(line);
      },
    };
  },

  async tinyexec() {
    const { x } = await import('tinyexec');
    return {
      one: async (take) => {
        for await (const line of x('sh', ['-c', script], { throwOnError: true, nodeOptions: { stdio: ['ignore', 'pipe', 'pipe'] } }))
          take(line);
      },
    };
  },

  async 'nano-spawn'() {
    const { default: nanoSpawn } = await import('nano-spawn');
    return {
      one: async (take) => {
        for await (const line of nanoSpawn('sh', ['-c', script], { stdin: 'ignore' })) take(line);
      },
    };
  },
};

/** Returns the lines per second of all children together. */
export async function linesPerSecond(contender) {
  const { one, close } = await open[contender]();
  let lines = 0;
  const take = (line) => {
    if (line !== TEXT) throw new Error(`${JSON.stringify(line)} is not what was written`);
    lines++;
  };
  await one(take);
  lines = 0;
  const seen = await observe(() => repeat(CHILDREN, CHILDREN, () => one(take)));
  await close?.();
  if (lines !== CHILDREN * LINES) throw new Error(`${lines} lines came, not ${CHILDREN * LINES}`);
  return { value: lines / seen.seconds, columns: { ...seen.columns, cpuMicros: seen.cpuMicros / lines } };
}
