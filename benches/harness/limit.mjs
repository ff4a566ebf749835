// The native limit (benches/limit.rs): finds, builds and runs it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expected } from './options.mjs';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** Returns `{ path }`, or `{ why }` if it cannot be built. Throws where the one that was given is missing. */
export function findLimit(given, say) {
  if (given && !existsSync(given)) throw expected(`there is no ${given}`);
  if (given) return { path: path.resolve(given) };
  say('building the limit (cargo bench --bench limit --no-run) …');
  const args = ['bench', '--bench', 'limit', '--no-run', '--message-format=json'];
  const { status, error, stdout } = spawnSync('cargo', args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (error) return { why: error.code === 'ENOENT' ? 'cargo is not installed' : error.message };
  if (status !== 0) return { why: 'cargo did not build it (see above)' };
  for (const line of stdout.split('\n')) {
    // Cargo's messages are JSON, one a line; a build script may print other things between them.
    if (!line.startsWith('{')) continue;
    const message = JSON.parse(line);
    if (message.reason === 'compiler-artifact' && message.target.name === 'limit' && message.executable) {
      return { path: message.executable };
    }
  }
  return { why: 'cargo did not report its path' };
}

/** Runs the limit and returns its measurement. This process does nothing meanwhile: delays of its event loop come from the machine. */
export async function askLimit(binary, args) {
  const limit = spawn(binary, args.map(String), { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks = [];
  limit.stdout.on('data', (chunk) => chunks.push(chunk));
  const [status] = await once(limit, 'close');
  if (status !== 0) throw new Error(`the limit ended with ${status}`);
  return JSON.parse(Buffer.concat(chunks).toString());
}
