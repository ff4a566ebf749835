// Child programs, by what they do.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { SLOWNESS } from './pace.mjs';

/** A request for a shell line. */
export const shell = (command, more) => ({ command: { type: 'shell', command }, ...more });

/** A request for a program. */
export const exec = (program, ...args) => ({ command: { type: 'exec', program, args } });

/** A request for a Node.js program. */
export const nodeProgram = (source, ...args) => exec(process.execPath, '-e', source, ...args);

/** Writes each argument, given in hexadecimal, with one write of its own. */
export const hexWrites = (...writes) =>
  nodeProgram("for (const hex of process.argv.slice(1)) require('node:fs').writeSync(1, Buffer.from(hex, 'hex'))", ...writes);

/** Ends at once, with success. */
export const nothing = exec('true');

/** A command that prints `ready`, then runs until it is ended. */
export const forever = shell('echo ready; exec sleep 300');

/** A command that prints `ready`, ignores SIGTERM, and runs until it is killed. */
export const stubborn = shell("trap '' TERM; echo ready; while :; do sleep 0.1; done");

/** Returns a command that prints `ready`, then runs until the file exists. */
export const untilFile = (file, after = ':') =>
  shell('echo ready; while [ ! -e "$FILE" ]; do sleep 0.01; done; ' + after, { env: { FILE: file } });

/** Writes numbered lines to standard output as fast as they are taken, without end. */
export const flood = shell('exec yes "0123456789 0123456789 0123456789 0123456789 0123456789"');

/** The lines that `seq` prints. */
export const numbers = (count) => Array.from({ length: count }, (_, index) => String(index + 1));

/** Whether this is Linux, and a program with these arguments succeeds: a test that needs it is skipped elsewhere. */
export const runsOnLinux = (program, ...args) => process.platform === 'linux' && spawnSync(program, args).status === 0;

/** Blocks this thread. */
export const blockThread = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** Makes an empty folder for one test. */
export function folder(t) {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'engine-test-')));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Makes a file in a folder. */
export function file(dir, name, text = '', mode = 0o644) {
  const full = path.join(dir, name);
  writeFileSync(full, text);
  chmodSync(full, mode);
  return full;
}

/** Waits for a marker: looks again until `condition` gives something, for so long on a machine that is not emulated. */
export async function until(condition, what, limitMs = 10_000) {
  const end = performance.now() + SLOWNESS * limitMs;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() > end) throw new Error(`waited ${SLOWNESS * limitMs} ms in vain: ${what}`);
    await sleep(5);
  }
}

/** Waits for a file with a whole line in it, and returns its text. */
export const untilWritten = (name) =>
  until(() => existsSync(name) && /\n$/.test(readFileSync(name, 'utf8')) && readFileSync(name, 'utf8'), `${name} is written`);

/** Whether a process runs; one that is dead and not yet reaped does not. */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
  if (process.platform !== 'linux') return true;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !'ZX'.includes(stat[stat.lastIndexOf(')') + 2]);
  } catch {
    return false;
  }
}

/** Whether the shell of this system is busybox's: it has no job control without a terminal, and reads a script as it goes. */
export const hasBusybox = isBusybox('/bin/sh');

function isBusybox(shell) {
  try {
    return process.platform === 'linux' && realpathSync(shell).endsWith('busybox');
  } catch {
    // A host that may not read it.
    return false;
  }
}
