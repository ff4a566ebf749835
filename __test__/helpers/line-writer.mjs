// A child that writes many lines, for a reader that does not keep up.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { folder, nodeProgram, until } from './programs.mjs';

const WRITER = `
  const fs = require('node:fs');
  const [progress] = process.argv.slice(1);
  const line = Buffer.from('x'.repeat(1023) + '\\n');
  for (let count = 1; count <= 100_000; count += 1) {
    fs.writeSync(1, line);
    if (count % 64 === 0) fs.writeFileSync(progress, String(count));
  }
`;

/** Returns a command that writes up to 100 000 lines of 1 KiB; how many it has written; and the same once it writes no more. */
export function lineWriter(t) {
  const progress = path.join(folder(t), 'progress');
  const written = () => {
    try {
      return Number(readFileSync(progress, 'utf8'));
    } catch {
      return 0;
    }
  };
  const stalled = () => {
    let last = -1;
    return until(async () => {
      const before = last;
      last = written();
      if (last > 0 && last === before) return last;
      await sleep(400);
      return 0;
    }, 'the child stops writing');
  };
  return { request: nodeProgram(WRITER, progress), written, stalled };
}
