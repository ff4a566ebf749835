// What a measurement runs in: Node.js, or another runtime that has a way of its own to run commands.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** Before the script's name. Deno would otherwise take this project's package.json for its own. */
const FLAGS = { node: [], bun: ['run'], deno: ['run', '--allow-all', '--no-config', '--no-lock', '--quiet'] };

/** The needs of a contender that name a runtime and no package. */
export const otherRuntimes = ['bun', 'deno'];

const found = new Map([['node', { program: process.execPath, version: process.versions.node }]]);

/** Gives `{ program, version }`, or `{ why }` it is not there. */
export function findRuntime(name) {
  if (!found.has(name)) found.set(name, look(name));
  return found.get(name);
}

/** The command line that runs a script in it. */
export function inRuntime(name, ...script) {
  return [findRuntime(name).program, ...FLAGS[name], ...script];
}

/** In this project first, where `npm install --no-save` puts it, and then on the PATH. Installed one by one they would displace each other. */
function look(name) {
  const installed = path.join(root, 'node_modules', '.bin', name);
  const program = existsSync(installed) ? installed : name;
  const { status, error, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const version = /\d+\.\d+\.\d+/.exec(stdout ?? '')?.[0];
  if (status === 0 && version) return { program, version };
  if (error?.code === 'ENOENT') return { why: `${name} is not installed; npm install --no-save ${otherRuntimes.join(' ')}` };
  return { why: `${name} --version fails: ${error?.message ?? `it ended with ${status}`}` };
}
