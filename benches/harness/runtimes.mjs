// Runs a contender in this Node.js, or in another runtime.
import { spawnSync } from 'node:child_process';

import { fetchRuntime } from '../../scripts/fetched-runtimes.mjs';

export const ENGINE = '@escher/execution-engine';

/** Values of `contenders` that name a runtime instead of a package, and their names for people. */
const OTHERS = { 'node-24': 'Node.js', 'node-26': 'Node.js', bun: 'Bun', deno: 'Deno' };

/** Arguments before the script's name. Without them Deno would use the package.json of this project. */
const FLAGS = { bun: ['run'], deno: ['run', '--allow-all', '--no-config', '--no-lock', '--quiet'] };

/** The major versions of Node.js that packages need, and the runtime for them where this Node.js is older. */
const NEEDED_NODE = { 'execa-10': 22 };
const NEWER_NODE = 'node-24';
const thisMajor = Number.parseInt(process.versions.node, 10);

const found = new Map([['node', { program: process.execPath, version: process.versions.node }]]);

/** Returns `{ runtime, packages, isLimit }` of what a contender needs: a name, a list of names, or null. */
export function placeOf(need) {
  const needs = [need].flat().filter((name) => name !== null);
  const packages = needs.filter((name) => !(name in OTHERS) && name !== 'limit');
  const isTooNew = packages.some((name) => NEEDED_NODE[name] > thisMajor);
  const runtime = needs.find((name) => name in OTHERS) ?? (isTooNew ? NEWER_NODE : 'node');
  return { runtime, packages, isLimit: needs.includes('limit') };
}

/** Returns the peers among contenders, as `{ package, runtime }` without repetition: their versions belong to a result. */
export function peersOf(contenders) {
  const peers = Object.values(contenders).flatMap((need) => {
    const { runtime, packages } = placeOf(need);
    const others = packages.filter((name) => name !== ENGINE);
    if (others.length > 0) return others.map((name) => ({ package: name, runtime }));
    return runtime === 'node' ? [] : [{ runtime }];
  });
  return [...new Map(peers.map((peer) => [JSON.stringify(peer), peer])).values()];
}

/** Returns `{ program, version }`, or `{ why }` if it is missing. */
export function findRuntime(name) {
  if (!found.has(name)) found.set(name, look(name));
  return found.get(name);
}

/** The name of a runtime for people. */
export const runtimeName = (name) => OTHERS[name] ?? 'Node.js';

/** Returns the command line that runs a script in it. */
export function inRuntime(name, ...script) {
  return [findRuntime(name).program, ...(FLAGS[name] ?? []), ...script];
}

/** Fetches it, or searches the PATH. A version of Node.js has no name of its own there. */
function look(name) {
  const fetched = fetchRuntime(name);
  if (!fetched && name.startsWith('node-')) return { why: `${name} cannot be fetched here` };
  const { status, error, stdout } = spawnSync(fetched ?? name, ['--version'], { encoding: 'utf8' });
  const version = /\d+\.\d+\.\d+/.exec(stdout ?? '')?.[0];
  if (status === 0 && version) return { program: fetched ?? name, version };
  if (error?.code === 'ENOENT') return { why: `${name} cannot be fetched here, and is not installed` };
  return { why: `${name} --version fails: ${error?.message ?? `it ended with ${status}`}` };
}
