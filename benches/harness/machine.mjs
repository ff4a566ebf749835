// Describes where and when a result was measured.
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { findRuntime } from './runtimes.mjs';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** @param peers `{ package, runtime }` of peersOf: their versions are part of the description. */
export function describeMachine(peers = []) {
  const cpus = os.cpus();
  return {
    date: new Date().toISOString(),
    cpu: cpus[0]?.model ?? 'unknown',
    cores: cpus.length,
    // Ratios stay comparable beside a little other work on the machine, not beside much.
    loadBefore: os.loadavg()[0],
    memoryMiB: Math.round(os.totalmem() / 1024 / 1024),
    // Two numbers of the version: what stands behind them names the builder of the kernel.
    os: `${os.type()} ${/^\d+\.\d+/.exec(os.release())?.[0] ?? ''} ${os.arch()}`,
    node: process.version,
    peers: Object.fromEntries(peers.flatMap(({ package: name }) => (name ? [[name, versionOf(name)]] : []))),
    runtimes: Object.fromEntries(peers.map(({ runtime }) => [runtime, findRuntime(runtime).version ?? null])),
    // Both settings change the cost of a short command or a fork, and neither is recorded elsewhere.
    autogroup: read('/proc/sys/kernel/sched_autogroup_enabled'),
    hugePages: read('/sys/kernel/mm/transparent_hugepage/enabled')?.match(/\[(\w+)\]/)?.[1] ?? null,
  };
}

/** Reads the version of a package from its file: a package need not let others import its package.json. */
function versionOf(name) {
  const text = read(path.join(root, 'node_modules', name, 'package.json'));
  return text && JSON.parse(text).version;
}

function read(file) {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return null;
  }
}
