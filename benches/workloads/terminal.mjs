// The output of a command in a terminal, read and discarded.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

import { observe } from '../harness/observe.mjs';
import { LINE_LENGTH, LINES } from './lines.mjs';

const WARM_UP_LINES = 50_000;
/** A terminal ends a line with two bytes. */
const bytesOf = (lines) => lines * (LINE_LENGTH + 2);

/**
 * The contenders. Each opens `{ read, close? }`; `read` passes each piece of the output to `take`, and resolves when the command has ended.
 */
const open = {
  engine() {
    const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
    const engine = new ExecutionEngine();
    let take;
    engine.on('data', ({ data }) => take(data.length));
    const read = async (file, taker) => {
      take = taker;
      const request = { command: { type: 'exec', program: 'cat', args: [file] } };
      const { exitCode } = await engine.run(request, { terminal: true, encoding: 'buffer' });
      checkExit(exitCode);
    };
    return { read, close: () => engine.shutdown() };
  },

  // `script` of util-linux copies a terminal to its standard output, which is a pipe here.
  script() {
    const read = (file, take) => {
      const child = spawn('script', ['-q', '-e', '-c', `exec cat '${file}'`, '/dev/null'], { stdio: ['ignore', 'pipe', 'inherit'] });
      return readAll(child, take);
    };
    return { read };
  },

  // Python does what node-pty does, without its copies: it forks with a terminal, and passes on what it reads.
  'python pty'() {
    const program = `import os, pty, sys
status = pty.spawn(['cat', sys.argv[1]], lambda fd: os.read(fd, 65536))
sys.exit(os.waitstatus_to_exitcode(status))`;
    const read = (file, take) => readAll(spawn('python3', ['-c', program, file], { stdio: ['ignore', 'pipe', 'inherit'] }), take);
    return { read };
  },
};

async function readAll(child, take) {
  const closed = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  child.stdout.on('data', (piece) => take(piece.length));
  checkExit(await closed);
}

function checkExit(code) {
  if (code !== 0) throw new Error(`the command ended with ${code}`);
}

/** Returns the milliseconds from the call to the end of the output. */
export async function throughTerminal(contender, { data: { file, warmUp } }) {
  const { read, close } = await open[contender]();
  await pass(read, warmUp, WARM_UP_LINES);
  const seen = await observe(() => pass(read, file, LINES));
  await close?.();
  return { value: seen.seconds * 1000, columns: { ...seen.columns, cpuMs: seen.cpuMicros / 1000, growthMiB: seen.growthMiB } };
}

async function pass(read, file, lines) {
  let came = 0;
  await read(file, (bytes) => {
    came += bytes;
  });
  if (came !== bytesOf(lines)) throw new Error(`${came} bytes came, not ${bytesOf(lines)}`);
}
