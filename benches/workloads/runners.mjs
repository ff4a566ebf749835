// Runs a program with each contender, and returns its exit code and its output.
import { execFile, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';

/**
 * Opens a contender: `one` runs the program, which must print nothing, and throws unless it succeeded; `close` is what to
 * do at the end. Each as its documentation shows it, but without a pipe for standard input, which the engine's children do not get either;
 * only `execFile` has no option for that.
 */
export const open = {
  engine(program, parallel) {
    const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
    const engine = new ExecutionEngine({ maxConcurrentExecutions: parallel });
    const one = async () => {
      const { exitCode, stdout, stderr } = await engine.run({ command: { type: 'exec', program } });
      check(exitCode, stdout + stderr);
    };
    return { one, close: () => engine.shutdown() };
  },

  child_process(program) {
    const one = () =>
      new Promise((resolve, reject) => {
        const child = spawn(program, { stdio: ['ignore', 'pipe', 'pipe'] });
        const stdout = [];
        const stderr = [];
        child.stdout.on('data', (chunk) => stdout.push(chunk));
        child.stderr.on('data', (chunk) => stderr.push(chunk));
        child.on('error', reject);
        child.on('close', (code) => resolve([code, Buffer.concat(stdout).toString() + Buffer.concat(stderr).toString()]));
      }).then(([code, output]) => check(code, output));
    return { one };
  },

  execFile(program) {
    const run = promisify(execFile);
    return {
      // This contender rejects for every exit code but 0.
      one: async () => {
        const { stdout, stderr } = await run(program);
        check(0, stdout + stderr);
      },
    };
  },

  async execa(program) {
    const { execa } = await import('execa-10');
    return {
      one: async () => {
        const { exitCode, stdout, stderr } = await execa(program, { stdin: 'ignore' });
        check(exitCode, stdout + stderr);
      },
    };
  },

  async tinyexec(program) {
    const { x } = await import('tinyexec');
    return {
      one: async () => {
        const { exitCode, stdout, stderr } = await x(program, [], { nodeOptions: { stdio: ['ignore', 'pipe', 'pipe'] } });
        check(exitCode, stdout + stderr);
      },
    };
  },

  async 'nano-spawn'(program) {
    const { default: nanoSpawn } = await import('nano-spawn');
    return {
      // This contender rejects for every exit code but 0.
      one: async () => {
        const { stdout, stderr } = await nanoSpawn(program, { stdin: 'ignore' });
        check(0, stdout + stderr);
      },
    };
  },

  /** This contender runs a shell for every command, which is its purpose. */
  async zx(program) {
    const { $ } = await import('zx');
    return {
      one: async () => {
        const { exitCode, stdout, stderr } = await $({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })`${program}`;
        check(exitCode, stdout + stderr);
      },
    };
  },

  'Bun.spawn'(program) {
    return {
      one: async () => {
        const child = globalThis.Bun.spawn([program], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
        const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
        check(exitCode, stdout + stderr);
      },
    };
  },

  'Deno.Command'(program) {
    const text = new TextDecoder();
    return {
      one: async () => {
        const command = new globalThis.Deno.Command(program, { stdin: 'null', stdout: 'piped', stderr: 'piped' });
        const { code, stdout, stderr } = await command.output();
        check(code, text.decode(stdout) + text.decode(stderr));
      },
    };
  },
};

function check(exitCode, output) {
  if (exitCode !== 0 || output !== '') throw new Error(`the command ended with ${exitCode}: ${output}`);
}
