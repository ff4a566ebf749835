// The readers of the contenders for the output of `cat file`. Each opens `{ read(file, take), close?, passes? }`: `read` passes every line
// to `take` and resolves when the child has ended. The readers of `discarding` produce no lines: `read` resolves with the number of bytes.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const cat = (file) => ({ command: { type: 'exec', program: 'cat', args: [file] } });

function newEngine() {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  return new ExecutionEngine();
}

/** Joins the pieces of lines, each of which is an event: returns a function that receives events and passes whole lines on. */
function joined(take) {
  let piece = '';
  return (event) => {
    if (event.partial || event.continued) piece += event.line;
    else if (piece === '') take(event.line);
    else {
      take(piece + event.line);
      piece = '';
    }
  };
}

/** Starts cat by child_process, with an end to wait for. */
export function startCat(file) {
  const child = spawn('cat', [file], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.resume();
  child.closed = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  }).then(checkExit);
  return child;
}

function checkExit(code) {
  if (code !== 0) throw new Error(`cat ended with ${code}`);
}

/** Splits text that comes in pieces into lines: the floor for JavaScript. */
function splitter(take) {
  let rest = '';
  return {
    push(text) {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) take(line);
    },
    end() {
      if (rest !== '') take(rest);
    },
  };
}

/** These packages produce lines only by iteration. */
const packages = {
  async execa() {
    const { execa } = await import('execa-10');
    const read = async (file, take) => {
      // The documentation of the package iterates over lines like this. Nothing is buffered on top, which only makes it faster.
      for await (const line of execa('cat', [file], { buffer: false })) take(line);
    };
    return { read };
  },

  async tinyexec() {
    const { x } = await import('tinyexec');
    const read = async (file, take) => {
      for await (const line of x('cat', [file], { throwOnError: true })) take(line);
    };
    return { read };
  },

  async 'nano-spawn'() {
    const { default: nanoSpawn } = await import('nano-spawn');
    const read = async (file, take) => {
      for await (const line of nanoSpawn('cat', [file])) take(line);
    };
    // This reader takes seconds for a million lines.
    return { read, passes: 1 };
  },

  async zx() {
    const { $ } = await import('zx');
    const read = async (file, take) => {
      for await (const line of $({ quiet: true })`cat ${file}`) take(line);
    };
    return { read, passes: 1 };
  },
};

export const listener = {
  engine() {
    const engine = newEngine();
    let take;
    engine.on('stdout', (event) => take(event));
    const read = async (file, taker) => {
      take = joined(taker);
      const { exitCode } = await engine.run(cat(file));
      checkExit(exitCode);
    };
    return { read, close: () => engine.shutdown() };
  },

  readline() {
    const read = async (file, take) => {
      const child = startCat(file);
      createInterface({ input: child.stdout, crlfDelay: Infinity }).on('line', take);
      await child.closed;
    };
    return { read };
  },

  // This is sufficient for a program that needs neither events nor limits nor an end on time.
  'data + split'() {
    const read = async (file, take) => {
      const child = startCat(file);
      const { push, end } = splitter(take);
      child.stdout.setEncoding('utf8').on('data', push);
      await child.closed;
      end();
    };
    return { read };
  },

  ...packages,

  // This is the other way of the package to see lines, meant for changing them.
  async 'execa transform'() {
    const { execa } = await import('execa-10');
    const read = async (file, take) => {
      // biome-ignore lint/correctness/useYield: what a transform yields would be output again
      const stdout = function* (line) {
        take(line);
      };
      await execa('cat', [file], { buffer: false, stdout });
    };
    return { read };
  },
};

export const iteration = {
  engine() {
    const engine = newEngine();
    const read = async (file, take) => {
      const stream = engine.stream(cat(file));
      const takeEvent = joined(take);
      for await (const event of stream) if (event.type === 'stdout') takeEvent(event);
      const { exitCode } = await stream.result;
      checkExit(exitCode);
    };
    return { read, close: () => engine.shutdown() };
  },

  'engine (batches)'() {
    const engine = newEngine();
    const read = async (file, take) => {
      const stream = engine.stream(cat(file));
      const takeEvent = joined(take);
      for await (const events of stream.batches()) for (const event of events) if (event.type === 'stdout') takeEvent(event);
      const { exitCode } = await stream.result;
      checkExit(exitCode);
    };
    return { read, close: () => engine.shutdown() };
  },

  readline() {
    const read = async (file, take) => {
      const child = startCat(file);
      for await (const line of createInterface({ input: child.stdout, crlfDelay: Infinity })) take(line);
      await child.closed;
    };
    return { read };
  },

  'data + split'() {
    const read = async (file, take) => {
      const child = startCat(file);
      const { push, end } = splitter(take);
      for await (const text of child.stdout.setEncoding('utf8')) push(text);
      await child.closed;
      end();
    };
    return { read };
  },

  ...packages,

  // Neither of the two has lines of its own.
  'Bun.spawn + split'() {
    const read = async (file, take) => {
      const child = globalThis.Bun.spawn(['cat', file], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
      await splitChunks(child.stdout, take);
      checkExit(await child.exited);
    };
    return { read };
  },

  'Deno.Command + split'() {
    const read = async (file, take) => {
      const child = startInDeno(file);
      await splitChunks(child.stdout, take);
      checkExit((await child.status).code);
    };
    return { read };
  },
};

async function splitChunks(stream, take) {
  const text = new TextDecoder();
  const { push, end } = splitter(take);
  for await (const chunk of stream) push(text.decode(chunk, { stream: true }));
  end();
}

function startInDeno(file) {
  return new globalThis.Deno.Command('cat', { args: [file], stdin: 'null', stdout: 'piped', stderr: 'inherit' }).spawn();
}

export const discarding = {
  engine() {
    const engine = newEngine();
    const read = async (file) => {
      const { exitCode, stdoutBytes } = await engine.run(cat(file));
      checkExit(exitCode);
      return stdoutBytes;
    };
    return { read, close: () => engine.shutdown() };
  },

  child_process() {
    const read = async (file) => {
      const child = startCat(file);
      let bytes = 0;
      child.stdout.on('data', (chunk) => (bytes += chunk.length));
      await child.closed;
      return bytes;
    };
    return { read };
  },

  async execa() {
    const { execa } = await import('execa-10');
    const read = async (file) => {
      const child = execa('cat', [file], { buffer: false });
      let bytes = 0;
      child.stdout.on('data', (chunk) => (bytes += chunk.length));
      await child;
      return bytes;
    };
    return { read };
  },

  'Bun.spawn'() {
    const read = async (file) => {
      const child = globalThis.Bun.spawn(['cat', file], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
      let bytes = 0;
      for await (const chunk of child.stdout) bytes += chunk.length;
      checkExit(await child.exited);
      return bytes;
    };
    return { read };
  },

  'Deno.Command'() {
    const read = async (file) => {
      const child = startInDeno(file);
      let bytes = 0;
      for await (const chunk of child.stdout) bytes += chunk.length;
      checkExit((await child.status).code);
      return bytes;
    };
    return { read };
  },
};
