// A million lines of a child's output, one by one, to a listener.
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { loopColumns, observe } from '../harness/observe.mjs';

const LINES = 1_000_000;
const WARM_UP_LINES = 50_000;
/** Without its end: 71 MB in all. */
const LINE_LENGTH = 70;
/** One pass takes a tenth of a second, which is too short to trust. */
const PASSES = 3;

/** Each reads the output of `cat file` and hands every line to `take`; it is over when the child's end is known. */
const open = {
  engine() {
    const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
    const engine = new ExecutionEngine();
    let take;
    let piece = '';
    engine.on('stdout', (event) => {
      // A line may come in pieces; only its last one counts it.
      if (event.partial || event.continued) piece += event.line;
      else if (piece === '') take(event.line);
      else {
        take(piece + event.line);
        piece = '';
      }
    });
    const read = async (file, taker) => {
      take = taker;
      const { success } = await engine.run({ command: { type: 'exec', program: 'cat', args: [file] } });
      if (!success) throw new Error('cat failed');
    };
    return { read, close: () => engine.shutdown() };
  },

  readline() {
    const read = async (file, take) => {
      const child = cat(file);
      createInterface({ input: child.stdout, crlfDelay: Infinity }).on('line', take);
      await child.closed;
    };
    return { read };
  },

  // The floor for JavaScript: what anybody can write who needs neither events nor limits nor an end on time.
  'data + split'() {
    const read = async (file, take) => {
      const child = cat(file);
      let rest = '';
      child.stdout.setEncoding('utf8').on('data', (text) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop();
        for (const line of lines) take(line);
      });
      await child.closed;
      if (rest !== '') take(rest);
    };
    return { read };
  },

  async execa() {
    const { execa } = await import('execa');
    const read = async (file, take) => {
      // As its documentation iterates over lines. Nothing is buffered on top, which only makes it faster.
      for await (const line of execa('cat', [file], { buffer: false })) take(line);
    };
    return { read };
  },

  // Its other way to see lines, meant for changing them.
  async 'execa transform'() {
    const { execa } = await import('execa');
    const read = async (file, take) => {
      await execa('cat', [file], { buffer: false, *stdout(line) { take(line); } });
    };
    return { read };
  },
};

function cat(file) {
  const child = spawn('cat', [file], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.resume();
  child.closed = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`cat ended with ${code}`))));
  });
  return child;
}

/** Lines like those of a server's log, no two the same, all of one length so that the sum of lengths is known. */
function writeLines(file, count) {
  const fd = openSync(file, 'w');
  const batch = 10_000;
  for (let from = 0; from < count; from += batch) {
    let text = '';
    for (let number = from; number < from + batch; number++) {
      const line = `${String(number).padStart(7, '0')} info worker-${number % 16}: GET /items/${(number * 7919) % 100003} 200 in ${number % 997} ms `;
      text += `${line.padEnd(LINE_LENGTH, '.')}\n`;
    }
    writeSync(fd, text);
  }
  closeSync(fd);
  return file;
}

async function pass(read, file, lines) {
  let count = 0;
  let length = 0;
  // Both are compared with what must come: a reader that loses lines is fast, too.
  await read(file, (line) => {
    count++;
    length += line.length;
  });
  if (count !== lines || length !== lines * LINE_LENGTH) {
    throw new Error(`${count} lines of ${length} characters came, not ${lines} of ${lines * LINE_LENGTH}`);
  }
}

export default {
  name: 'million-lines',
  title: '1 M lines (71 MB) of a child to a listener, line by line',
  unit: 'lines/s',
  better: 'higher',
  contenders: {
    engine: '@escher/execution-engine',
    readline: null,
    'data + split': null,
    execa: 'execa',
    'execa transform': 'execa',
  },
  ratios: [
    { of: 'engine', to: 'readline', goal: '≥ 1.3' },
    { of: 'engine', to: 'execa', goal: '≥ 5' },
    { of: 'engine', to: 'execa transform' },
    { of: 'engine', to: 'data + split' },
  ],
  goals: 'loop p99 ≤ 20 ms',
  columns: [
    ...loopColumns,
    { key: 'cpuMs', title: 'CPU ms/M lines', digits: 0 },
    { key: 'growthMiB', title: 'peak RSS growth MiB', digits: 0 },
  ],

  prepare() {
    // A file, given out by `cat`: a program that makes its lines while it writes them could be what is measured.
    const folder = mkdtempSync(path.join(os.tmpdir(), 'million-lines-'));
    return {
      folder,
      file: writeLines(path.join(folder, 'lines'), LINES),
      warmUp: writeLines(path.join(folder, 'warm-up'), WARM_UP_LINES),
    };
  },
  cleanup: ({ folder }) => rmSync(folder, { recursive: true, force: true }),

  async run(contender, { data }) {
    const { read, close } = await open[contender]();
    await pass(read, data.warmUp, WARM_UP_LINES);
    const before = process.memoryUsage.rss();
    const seen = await observe(async () => {
      for (let number = 0; number < PASSES; number++) await pass(read, data.file, LINES);
    });
    const growthMiB = process.resourceUsage().maxRSS / 1024 - before / 1024 / 1024;
    await close?.();
    return {
      value: (PASSES * LINES) / seen.seconds,
      columns: { ...seen.columns, cpuMs: seen.cpuMicros / 1000 / PASSES, growthMiB },
    };
  },
};
