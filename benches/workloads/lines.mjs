// A file of lines that a child prints, and the check of a reader's count.
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { askLimit } from '../harness/limit.mjs';
import { growthColumn, loopColumns, observe } from '../harness/observe.mjs';

export const LINES = 1_000_000;
export const WARM_UP_LINES = 50_000;
/** The length of a line without its end: 71 MB in all. */
export const LINE_LENGTH = 70;
export const BYTES = LINES * (LINE_LENGTH + 1);
/** The number of passes: one takes a tenth of a second, which is too short to measure. */
const PASSES = 3;

/** Writes lines like those of a server's log, no two the same, all of one length so that the sum of lengths is known. */
function writeLines(file, count) {
  const fd = openSync(file, 'w');
  const batch = 10_000;
  for (let from = 0; from < count; from += batch) {
    let text = '';
    for (let number = from; number < Math.min(from + batch, count); number++) {
      const line = `${String(number).padStart(7, '0')} info worker-${number % 16}: GET /items/${(number * 7919) % 100003} 200 in ${number % 997} ms `;
      text += `${line.padEnd(LINE_LENGTH, '.')}\n`;
    }
    writeSync(fd, text);
  }
  closeSync(fd);
  return file;
}

/** The files that rows of lines have in common, given out by `cat`. A program that makes its lines could be what is measured. */
export const files = {
  prepare() {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-lines-'));
    return {
      folder,
      file: writeLines(path.join(folder, 'lines'), LINES),
      warmUp: writeLines(path.join(folder, 'warm-up'), WARM_UP_LINES),
    };
  },
  cleanup: ({ folder }) => rmSync(folder, { recursive: true, force: true }),
};

const columns = [...loopColumns, { key: 'cpuMs', title: 'CPU ms/M lines', digits: 0 }, growthColumn];

/** Returns a row that reads a million lines; `readers` are some of those in readers.mjs. */
export function linesRow({ readers, ...row }) {
  return {
    unit: 'lines/s',
    better: 'higher',
    columns,
    ...files,
    ...row,
    run: (contender, { data, limit }) => (contender === 'limit' ? ofLimit(data, limit) : perSecond(readers[contender], data)),
  };
}

/** Returns the lines per second of a reader, and the columns of such a row. */
export async function perSecond(open, { file, warmUp }) {
  const { read, close, passes = PASSES } = await open();
  await pass(read, warmUp, WARM_UP_LINES);
  const seen = await observe(async () => {
    for (let number = 0; number < passes; number++) await pass(read, file, LINES);
  });
  await close?.();
  return {
    value: (passes * LINES) / seen.seconds,
    columns: { ...seen.columns, cpuMs: seen.cpuMicros / 1000 / passes, growthMiB: seen.growthMiB },
  };
}

async function ofLimit({ file }, limit) {
  const { seconds, cpuMicros } = await askLimit(limit, ['read', '--bytes', BYTES, '--program', '/bin/cat', '--arg', file]);
  return { value: LINES / seconds, columns: { cpuMs: cpuMicros / 1000 } };
}

/** Reads once, and compares the lines and bytes with what must come: a reader that loses lines is fast, too. */
async function pass(read, file, lines) {
  let count = 0;
  let length = 0;
  const take = (line) => {
    count++;
    length += line.length;
  };
  // The reader without a listener produces no lines, but returns the number of bytes.
  const bytes = await read(file, take);
  if (bytes !== undefined) {
    if (bytes !== lines * (LINE_LENGTH + 1)) throw new Error(`${bytes} bytes went by, not ${lines * (LINE_LENGTH + 1)}`);
  } else if (count !== lines || length !== lines * LINE_LENGTH) {
    throw new Error(`${count} lines of ${length} characters came, not ${lines} of ${lines * LINE_LENGTH}`);
  }
}
