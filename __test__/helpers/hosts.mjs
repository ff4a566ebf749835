// Node.js processes of their own, for what would end or upset this one.
import { spawn } from 'node:child_process';

const PACKAGE = new URL('../../index.js', import.meta.url).href;
const PROGRAMS = new URL('./programs.mjs', import.meta.url).href;

/** Runs a module with the package's names, and the child programs as `programs`, in a Node.js process of its own. */
export function host(source, { flags = [], env = {}, limitMs = 20_000, stdin = 'ignore' } = {}) {
  const prelude = `import { ExecutionEngine, ExecutionError } from ${JSON.stringify(PACKAGE)}; import * as programs from ${JSON.stringify(PROGRAMS)};\n`;
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', prelude + source], {
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      stdio: [stdin, 'pipe', 'pipe'],
    });
    const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
      const chunks = [];
      stream.on('data', (chunk) => chunks.push(chunk));
      return () => Buffer.concat(chunks).toString();
    });
    const limit = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      resolve({ code, signal, stdout: stdout(), stderr: stderr(), ms: performance.now() - startedAt });
    });
  });
}
