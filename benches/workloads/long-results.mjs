// Many long results, one after the other, of which nothing is kept.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { measure, peakRssMiB } from '../harness/observe.mjs';
import { openEngine } from './cat.mjs';

const BYTES = 2 ** 20;

/** The contenders. Each opens `{ read, close? }`; `read` resolves with the child's output as text. */
const open = {
  engine: () => openEngine({ maxInMemoryExecutions: 0 }),

  // Results stay readable by id until these bounds are reached.
  'engine with default retention': () => openEngine({}),

  child_process() {
    const read = (file) =>
      new Promise((resolve, reject) => {
        const child = spawn('cat', [file], { stdio: ['ignore', 'pipe', 'inherit'] });
        let text = '';
        child.stdout.setEncoding('utf8').on('data', (piece) => (text += piece));
        child.on('error', reject);
        child.on('close', (code) => (code === 0 ? resolve(text) : reject(new Error(`cat ended with ${code}`))));
      });
    return { read };
  },

  async execa() {
    const { execa } = await import('execa-10');
    return { read: async (file) => (await execa('cat', [file], { stdin: 'ignore', stripFinalNewline: false })).stdout };
  },
};

export const outputFile = {
  prepare() {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'engine-bench-'));
    const file = path.join(folder, 'long');
    writeFileSync(file, 'a'.repeat(BYTES));
    return { folder, file };
  },
  cleanup: ({ folder }) => rmSync(folder, { recursive: true, force: true }),
};

/** Returns the largest resident memory of the host, in MiB. */
export async function peakOfResults(contender, { data: { file }, count }) {
  const { read, close } = await open[contender]();
  const { seconds, growthMiB } = await measure(async () => {
    for (let result = 0; result < count; result++) {
      const text = await read(file);
      if (text.length !== BYTES || text.at(-1) !== 'a') throw new Error(`what came (${text.length} characters) is not what was printed`);
    }
  });
  const value = peakRssMiB();
  await close?.();
  return { value, columns: { growthMiB, seconds } };
}
