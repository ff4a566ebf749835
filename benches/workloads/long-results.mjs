// Many long results, one after the other, of which nothing is kept.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const BYTES = 5_000_000;
const RESULTS = 300;
const MOST = 2 * BYTES;

/** Each opens `{ read, close? }`; `read` resolves with the child's output as text. */
const open = {
  engine() {
    const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
    const engine = new ExecutionEngine({ maxInMemoryExecutions: 0 });
    return {
      read: async (file) => (await engine.run({ command: { type: 'exec', program: 'cat', args: [file] } })).stdout,
      close: () => engine.shutdown(),
    };
  },

  execFile() {
    const run = promisify(execFile);
    return { read: async (file) => (await run('cat', [file], { maxBuffer: MOST })).stdout };
  },

  async execa() {
    const { execa } = await import('execa');
    return { read: async (file) => (await execa('cat', [file], { maxBuffer: MOST, stripFinalNewline: false })).stdout };
  },
};

export const longFile = {
  prepare() {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'engine-bench-'));
    const file = path.join(folder, 'long');
    writeFileSync(file, 'a'.repeat(BYTES));
    return { folder, file };
  },
  cleanup: ({ folder }) => rmSync(folder, { recursive: true, force: true }),
};

/** The largest resident memory of the host, in MiB. */
export async function readLongResults(contender, { data: { file } }) {
  const { read, close } = await open[contender]();
  let peak = 0;
  const startedAt = performance.now();
  for (let result = 0; result < RESULTS; result += 1) {
    const text = await read(file);
    if (text.length !== BYTES || text.at(-1) !== 'a') throw new Error(`what came (${text.length} characters) is not what was printed`);
    peak = Math.max(peak, process.memoryUsage.rss());
  }
  const seconds = (performance.now() - startedAt) / 1000;
  await close?.();
  return { value: peak / 2 ** 20, columns: { seconds } };
}
