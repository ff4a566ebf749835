// Kills a host with SIGKILL while it runs trees of every kind, many times, and counts what is alive a second
// after the grace period.
//
//   node scripts/decapitate.mjs [--rounds 200] [--trees 64] [--guardian-first]
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { readArguments } from './arguments.mjs';

const { values } = readArguments({
  options: {
    rounds: { type: 'number', default: 200 },
    trees: { type: 'number', default: 64 },
    host: { type: 'string', own: true },
    'guardian-first': { type: 'boolean', default: false },
  },
});

/** The time of the trees for clean-up, in ms, which the guardian gives them when their host is gone. */
const GRACE_MS = 200;
/** The kinds of trees; every process carries the mark in its arguments. */
const KINDS = [
  (mark) => `sleep 1000.${mark} & sleep 1000.${mark}`,
  (mark) => `setsid sleep 1000.${mark} & sleep 1000.${mark}`,
  (mark) => `(setsid sh -c 'setsid sleep 1000.${mark} & :' &) ; sleep 1000.${mark}`,
  (mark) => `trap '' TERM; sleep 1000.${mark} & while :; do sleep 0.1; : ${mark}; done`,
  (mark) => `sleep 1000.${mark} & kill -STOP $!; kill -STOP $$; : ${mark}`,
  (mark) => `yes ${mark}`,
  (mark) => `set -m; sleep 1000.${mark} & env -i sleep 1000.${mark} & exec sleep 1000.${mark}`,
];

if (values.host !== undefined) await host(values.host);
else process.exitCode = await main();

/** Runs the trees until it is killed. */
async function host(mark) {
  const { ExecutionEngine } = await import('../index.js');
  const engine = new ExecutionEngine({ maxConcurrentExecutions: 1000, killGraceMs: GRACE_MS });
  engine.on('stdout', () => {});
  for (let tree = 0; tree < values.trees; tree++) {
    const command = KINDS[tree % KINDS.length](mark);
    engine.run({ command: { type: 'shell', command } });
  }
  engine.once('started', () => process.stdout.write('started\n'));
}

async function main() {
  const { rounds } = values;
  let survivors = 0;
  let worst = 0;
  for (let round = 1; round <= rounds; round++) {
    // Digits only: the mark is the fraction of a number of seconds.
    const mark = String(BigInt(`0x${randomUUID().replaceAll('-', '').slice(0, 12)}`)).padStart(15, '1');
    const args = [import.meta.filename ?? new URL(import.meta.url).pathname, '--host', mark, '--trees', String(values.trees)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await sleep(randomInt(0, 400));
    if (values['guardian-first']) await beheadGuardian(child.pid);
    const alive = marked(mark).length;
    child.kill('SIGKILL');
    await sleep(GRACE_MS + 1000);
    const left = marked(mark);
    survivors += left.length;
    worst = Math.max(worst, left.length);
    if (left.length > 0) {
      console.error(`round ${round}: ${left.length} of ${alive} survived`, left.slice(0, 5));
      for (const { pid } of left) end(pid);
    }
    if (round % 20 === 0) console.log(`${round} rounds, ${survivors} survivors`);
  }
  console.log(`survivors 1 s after the grace period: ${survivors} (${rounds} rounds of ${values.trees} trees, worst round ${worst})`);
  return survivors === 0 ? 0 : 1;
}

/** Returns the processes with the mark in their arguments. */
function marked(mark) {
  return processes().filter(({ command }) => command.includes(mark) && !command.includes('--host'));
}

/** Kills a process that may be gone by now. */
function end(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Kills the guardian of a host and waits for the next one. */
async function beheadGuardian(host) {
  const [old] = guardiansOf(host);
  process.kill(old, 'SIGKILL');
  for (let tries = 0; tries < 200; tries++) {
    if (guardiansOf(host).some((pid) => pid !== old)) return;
    await sleep(10);
  }
  throw new Error('no guardian followed the one that was killed');
}

/** Returns the guardians whose parent is the host. */
function guardiansOf(host) {
  return processes()
    .filter(({ command, parent }) => parent === host && command.includes('escher-guardian'))
    .map(({ pid }) => pid);
}

function processes() {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const command = readFileSync(`/proc/${entry}/cmdline`, 'latin1').replaceAll('\0', ' ');
      return state === 'Z' ? [] : [{ pid: Number(entry), parent: Number(parent), command }];
    } catch {
      return [];
    }
  });
}
