// Guardians, the hosts that they guard, and the trees that must not outlive those.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { allowed } from './pace.mjs';
import { isAlive, until } from './programs.mjs';

const PACKAGE = new URL('../../index.js', import.meta.url).href;
const HELPERS = new URL('./', import.meta.url).href;

/** The grace period of a guarded host's trees, unless a test sets another one. */
const GRACE_MS = 200;

/** The shell that runs the kinds: bash has job control without a terminal, which busybox's shell leaves off. */
export const SHELL = existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh';

/** The kinds of trees that try to stay; each of their processes carries the mark in its command line. */
export const KINDS = {
  'a grandchild': (mark) => `sleep 1000.${mark} & sleep 1000.${mark}`,
  'a session of its own': (mark) => `setsid sleep 1000.${mark} & sleep 1000.${mark}`,
  'a daemon that forked twice': (mark) => `(setsid sh -c 'setsid sleep 1000.${mark} & :' &); sleep 1000.${mark}`,
  'SIGTERM and SIGHUP ignored': (mark) => `trap '' TERM HUP INT; sleep 1000.${mark} & while :; do sleep 0.1; : ${mark}; done`,
  stopped: (mark) => `sleep 1000.${mark} & kill -STOP $!; kill -STOP $$; : ${mark}`,
  'job control': (mark) => `set -m; sleep 1000.${mark} & env -i sleep 1000.${mark} & exec sleep 1000.${mark}`,
};

/** A mark that no other test has: digits, the fraction of a number of seconds. */
export const newMark = () => String(process.pid) + String(process.hrtime.bigint());

/**
 * Starts a module in a Node.js process of its own that stays: it has `engine` and `say`. `wrapper` is a command that becomes
 * the program named after it.
 */
export async function guarded(t, source, { config = {}, flags = [], wrapper = [] } = {}) {
  const prelude = `
    import { writeSync } from 'node:fs';
    import { Worker } from 'node:worker_threads';
    import { ExecutionEngine } from ${JSON.stringify(PACKAGE)};
    import * as programs from ${JSON.stringify(`${HELPERS}programs.mjs`)};
    const say = (value) => writeSync(1, JSON.stringify(value) + '\\n');
    const engine = new ExecutionEngine(${JSON.stringify({ maxConcurrentExecutions: 1000, killGraceMs: GRACE_MS, ...config })});
    const stays = setInterval(() => {}, 1000);
  `;
  const child = spawn(
    '/bin/sh',
    ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...wrapper, process.execPath, ...flags, '--input-type=module', '-e', prelude + source],
    {
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
  t.after(() => child.kill('SIGKILL'));
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the host has ended without a word');
    return JSON.parse(value);
  };
  return { child, pid: child.pid, next, exited, kill: (signal) => child.kill(signal) };
}

/** The processes with this mark. */
export const marked = (mark) =>
  processes()
    .filter(({ command }) => command.includes(`.${mark}`) || command.includes(`: ${mark}`))
    .map(({ pid }) => pid);

/** The guardians of a host. */
export const guardiansOf = (host) =>
  processes()
    .filter(({ command, parent }) => parent === host && command.includes('escher-guardian'))
    .map(({ pid }) => pid);

/** Returns the one guardian of a host. */
export async function guardianOf(host, other) {
  const found = () => guardiansOf(host).find((pid) => pid !== other);
  return until(found, 'the host has a guardian');
}

/** Waits until no process with this mark is left, a second after the grace period at most; returns the time, and ends what is left. */
export async function gone(mark, graceMs = GRACE_MS) {
  const startedAt = performance.now();
  const isGone = () => marked(mark).length === 0;
  try {
    // A machine that was too busy for it shows that by being busy still.
    await until(isGone, `the trees are gone: ${describe(mark)}`, graceMs + 1_000).catch(() =>
      until(isGone, 'the trees are gone', allowed(0)),
    );
  } catch (error) {
    const left = processes()
      .filter(({ pid }) => marked(mark).includes(pid))
      .map(
        ({ pid, command }) =>
          `${pid} ${command} ${JSON.stringify(statOf(pid))} ${/ESCHER_EXECUTION_ID=[^\0]*/.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'))?.[0] ?? 'without a tag'}`,
      );
    for (const pid of marked(mark)) process.kill(pid, 'SIGKILL');
    throw new Error(`${error.message}; left: ${left.join(', ')}`, { cause: error });
  }
  return performance.now() - startedAt;
}

const describe = (mark) => `${marked(mark).length} at first`;

/** A field of `/proc/<pid>/status`. */
export const statusOf = (pid, field) => new RegExp(`^${field}:\\t(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];

/** Returns what the descriptors of a process refer to. */
export function descriptorsOf(pid) {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [[Number(fd), readlinkSync(`/proc/${pid}/fd/${fd}`)]];
    } catch {
      return [];
    }
  });
}

/** Returns state, parent, group and session of a process. */
export function statOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const [state, parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state, parent: Number(parent), group: Number(group), session: Number(session) };
}

function processes() {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const { state, parent } = statOf(entry);
      const command = readFileSync(`/proc/${entry}/cmdline`, 'latin1').replaceAll('\0', ' ');
      return state === 'Z' ? [] : [{ pid: Number(entry), parent, command }];
    } catch {
      return [];
    }
  });
}

export { isAlive };
