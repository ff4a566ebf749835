// Runs a command in a terminal inside your terminal, and passes on keys, colours and changes of the size.
//
//   node examples/terminal.mjs vi notes.txt
//   echo 'print(6 * 7)' | node examples/terminal.mjs python3
import { constants } from 'node:os';

import { ExecutionEngine } from '@escher/execution-engine';

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  console.error('usage: node examples/terminal.mjs PROGRAM [ARGUMENT…]');
  process.exit(2);
}

const { stdin, stdout } = process;
const size = () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 });
const engine = new ExecutionEngine();

// The output is bytes, which the other terminal takes unchanged. A slow terminal slows the command.
const session = engine.stream(
  { command: { type: 'exec', program, args }, timeoutMs: engine.config.maxTimeoutMs },
  { terminal: size(), encoding: 'buffer' },
);
// A command that has just ended takes no more input.
const ignore = () => {};
const id = await session.id.catch((error) => {
  console.error(error.message);
  process.exit(125);
});

// In raw mode Ctrl-C is an ordinary key, which the inner terminal converts into a signal.
if (stdin.isTTY) stdin.setRawMode(true);
let isOver = false;
stdin.on('data', (keys) => {
  stdin.pause();
  engine.write(id, keys).then(() => isOver || stdin.resume(), ignore);
});

// The end of a pipe becomes the end-of-file character (Ctrl-D). It is sent again whenever the command waits at an unfinished line: a
// program that changes the mode of its terminal, such as a REPL before a prompt, discards earlier input.
let hasEnded = false;
const endOfFile = () => engine.write(id, '\x04').catch(ignore);
stdin.on('end', () => {
  hasEnded = true;
  endOfFile();
});

stdout.on('resize', () => engine.resize(id, size()).catch(ignore));
process.on('SIGTERM', () => engine.cancel(id));
process.on('SIGHUP', () => engine.cancel(id));

for await (const event of session) {
  if (hasEnded && event.type === 'stdout' && event.partial) endOfFile();
  if (event.type === 'data' && !stdout.write(event.data)) await new Promise((resolve) => stdout.once('drain', resolve));
}

if (stdin.isTTY) stdin.setRawMode(false);
isOver = true;
stdin.pause();
const { exitCode, signal } = await session.result.catch((error) => {
  console.error(error.message);
  return { exitCode: 127, signal: null };
});
process.exitCode = exitCode ?? 128 + (signal ? constants.signals[/** @type {NodeJS.Signals} */ (signal)] : 0);
