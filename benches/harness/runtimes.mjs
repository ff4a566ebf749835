// The runtime of a measurement: Node.js, or another runtime with its own API to run commands.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** Arguments before the script's name. Without them Deno would use the package.json of this project. */
const FLAGS = { node: [], bun: ['run'], deno: ['run', '--allow-all', '--no-config', '--no-lock', '--quiet'] };

/** Values of `contenders` that name a runtime instead of a package. */
export const otherRuntimes = ['bun', 'deno'];

const found = new Map([['node', { program: process.execPath, version: process.versions.node }]]);

/** Returns `{ program, version }`, or `{ why }` if it is missing. */
export function findRuntime(name) {
  if (!found.has(name)) found.set(name, look(name));
  return found.get(name);
}

/** The command line that runs a script in it. */
export function inRuntime(name, ...script) {
  return [findRuntime(name).program, ...FLAGS[name], ...script];
}

/** Searches this project, where `npm install --no-save` installs it, then the PATH. npm removes one when the other is installed alone. */
function look(name) {
  const installed = path.join(root, 'node_modules', '.bin', name);
  const program = existsSync(installed) ? installed : name;
  const { status, error, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const version = /\d+\.\d+\.\d+/.exec(stdout ?? '')?.[0];
  if (status === 0 && version) return { program, version };
  if (error?.code === 'ENOENT') return { why: `${name} is not installed; npm install --no-save ${otherRuntimes.join(' ')}` };
  return { why: `${name} --version fails: ${error?.message ?? `it ended with ${status}`}` };
}
