// One line that is longer than the longest string of V8.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

import { observe } from '../harness/observe.mjs';

const BYTES = 1024 ** 3;
const WARM_UP_BYTES = 1024 ** 2;

const scriptFor = (bytes) => `head -c ${bytes} /dev/zero | tr '\\0' x`;

/** The contenders. Each passes every line, or every piece of a line, to `take`. */
const open = {
  engine() {
    const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
    const engine = new ExecutionEngine();
    let take;
    engine.on('stdout', ({ line }) => take(line));
    const read = async (script, taker) => {
      take = taker;
      const { exitCode } = await engine.run({ command: { type: 'shell', command: script } });
      checkExit(exitCode);
    };
    return { read, close: () => engine.shutdown() };
  },

  readline() {
    const read = async (script, take) => {
      const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
      const closed = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
      createInterface({ input: child.stdout, crlfDelay: Infinity }).on('line', take);
      checkExit(await closed);
    };
    return { read };
  },

  async execa() {
    const { execa } = await import('execa-10');
    const read = async (script, take) => {
      for await (const line of execa('sh', ['-c', script], { buffer: false })) take(line);
    };
    return { read };
  },

  async tinyexec() {
    const { x } = await import('tinyexec');
    const read = async (script, take) => {
      for await (const line of x('sh', ['-c', script], { throwOnError: true })) take(line);
    };
    return { read };
  },

  async 'nano-spawn'() {
    const { default: nanoSpawn } = await import('nano-spawn');
    const read = async (script, take) => {
      for await (const line of nanoSpawn('sh', ['-c', script])) take(line);
    };
    return { read };
  },
};

function checkExit(code) {
  if (code !== 0) throw new Error(`the command ended with ${code}`);
}

/** Returns by how many MiB the host grows; at least a hundredth, so that it can be compared. */
export async function growthOf(contender) {
  const { read, close } = await open[contender]();
  await pass(read, WARM_UP_BYTES);
  const seen = await observe(() => pass(read, BYTES));
  await close?.();
  return { value: Math.max(seen.growthMiB, 0.01), columns: { ...seen.columns, seconds: seen.seconds } };
}

async function pass(read, bytes) {
  let came = 0;
  await read(scriptFor(bytes), (piece) => {
    came += piece.length;
  });
  if (came !== bytes) throw new Error(`${came} characters came, not ${bytes}`);
}
