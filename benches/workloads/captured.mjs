// The whole output of a command as one text, in the result.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

import { askLimit } from '../harness/limit.mjs';
import { observe } from '../harness/observe.mjs';
import { openEngine } from './cat.mjs';
import { BYTES } from './lines.mjs';

const MOST = 128 * 1024 * 1024;

/**
 * The contenders. Each opens `{ read, close? }`; `read` resolves with the child's output as text, and rejects unless the child succeeded.
 */
const open = {
  engine: () => openEngine({ maxOutputSizeBytes: MOST }),

  // The default behaviour: the beginning and the end of too much output.
  'engine (default cap)': () => openEngine({}),

  execFile() {
    const run = promisify(execFile);
    return { read: async (file) => (await run('cat', [file], { maxBuffer: MOST })).stdout };
  },

  async execa() {
    const { execa } = await import('execa-10');
    return { read: async (file) => (await execa('cat', [file], { maxBuffer: MOST, stripFinalNewline: false })).stdout };
  },

  async tinyexec() {
    const { x } = await import('tinyexec');
    return { read: async (file) => (await x('cat', [file], { throwOnError: true })).stdout };
  },

  // This package removes the last line end, and has no option against it.
  async 'nano-spawn'() {
    const { default: nanoSpawn } = await import('nano-spawn');
    return { read: async (file) => `${(await nanoSpawn('cat', [file])).stdout}\n` };
  },

  async zx() {
    const { $ } = await import('zx');
    return { read: async (file) => (await $({ quiet: true })`cat ${file}`).stdout };
  },

  'Bun.spawn'() {
    const read = async (file) => {
      const child = globalThis.Bun.spawn(['cat', file], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
      const [text, code] = await Promise.all([child.stdout.text(), child.exited]);
      if (code !== 0) throw new Error(`cat ended with ${code}`);
      return text;
    };
    return { read };
  },

  'Deno.Command'() {
    const read = async (file) => {
      const command = new globalThis.Deno.Command('cat', { args: [file], stdin: 'null', stdout: 'piped', stderr: 'inherit' });
      const { code, stdout } = await command.output();
      if (code !== 0) throw new Error(`cat ended with ${code}`);
      return new TextDecoder().decode(stdout);
    };
    return { read };
  },
};

/** Returns the milliseconds from the call to the text. */
export async function capture(contender, { data: { file, warmUp }, limit }) {
  if (contender === 'limit') {
    const asked = await askLimit(limit, ['read', '--bytes', BYTES, '--program', '/bin/cat', '--arg', file]);
    return { value: asked.seconds * 1000, columns: { cpuMs: asked.cpuMicros / 1000 } };
  }
  const { read, close } = await open[contender]();
  await read(warmUp);
  let text;
  const seen = await observe(async () => {
    text = await read(file);
  });
  await close?.();
  // The comparison comes after the measurement: this reads the file once more into memory.
  const wanted = readFileSync(file, 'utf8');
  if (contender === 'engine (default cap)') checkEnds(text, wanted);
  else if (text !== wanted) throw new Error(`what came (${text.length} characters) is not what was printed`);
  return { value: seen.seconds * 1000, columns: { ...seen.columns, cpuMs: seen.cpuMicros / 1000, growthMiB: seen.growthMiB } };
}

function checkEnds(text, wanted) {
  const [head, tail, ...more] = text.split(/\n?\[\.\.\. output truncated: \d+ of \d+ bytes omitted \.\.\.\]\n/);
  const kept = (head?.length ?? 0) + (tail?.length ?? 0);
  if (more.length > 0 || !tail || !wanted.startsWith(head) || !wanted.endsWith(tail) || Math.abs(kept - 10 * 1024 * 1024) > 256) {
    throw new Error(`what came (${text.length} characters) is not the beginning and the end of what was printed`);
  }
}
