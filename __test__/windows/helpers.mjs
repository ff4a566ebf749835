// Helpers that the tests of Windows share. Their child program is Node.js itself: it is the same on every machine.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Returns a program without a shell: Node.js with some code. */
export function nodeRuns(code, ...args) {
  return { command: { type: 'exec', program: process.execPath, args: ['-e', code, ...args] } };
}

/** Returns a line for `cmd.exe`. */
export function shell(command) {
  return { command: { type: 'shell', command } };
}

/** Makes a folder that is removed with the test. */
export function scratch(t) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'escher test '));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }));
  return folder;
}

/** Makes a folder in which an engine keeps a file open, for longer than a test can wait: it is removed if possible. */
export function heldScratch(t) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'escher test '));
  t.after(() => {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // Some versions of Windows do not remove the name of an open file.
    }
  });
  return folder;
}

/** Returns why a test cannot be shown here, if it needs what Wine does not have; it is run on Windows itself. */
export function notInWine(what) {
  return { skip: process.env.UNDER_WINE === '1' && `NOT SHOWN HERE: ${what}` };
}

/** Writes a file, with the line ends of Windows. */
export function file(folder, name, ...lines) {
  const full = path.join(folder, name);
  writeFileSync(full, lines.map((line) => `${line}\r\n`).join(''));
  return full;
}

export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    assert.equal(error.code, 'ESRCH');
    return false;
  }
}

/** Waits until something is so. */
export async function until(isSo, what, limitMs = 20_000) {
  const deadline = performance.now() + limitMs;
  while (!isSo()) {
    assert.ok(performance.now() < deadline, `${what}: not after ${limitMs} ms`);
    await sleep(20);
  }
}

/**
 * Returns a tree of three: each writes its process id to a file `<name>.pid` in the folder and stays until it is ended. The grandchild is
 * detached, in a process group of its own.
 */
export function treeIn(folder) {
  const stay = 'setInterval(() => {}, 1000);';
  const savePid = (name) => `require('fs').writeFileSync(${JSON.stringify(path.join(folder, `${name}.pid`))}, String(process.pid));`;
  const start = (code, options) =>
    `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(code)}], ${JSON.stringify(options)});`;
  const grandchild = savePid('grandchild') + stay;
  const child = start(grandchild, { stdio: 'ignore', detached: true }) + savePid('child') + stay;
  return start(child, { stdio: 'ignore' }) + savePid('leader') + stay;
}

/** Returns the process ids of such a tree, once all of them exist. */
export async function pidsOfTree(folder) {
  const files = ['leader', 'child', 'grandchild'].map((name) => path.join(folder, `${name}.pid`));
  const read = () => files.map((name) => (existsSync(name) ? Number(readFileSync(name, 'utf8')) : 0));
  await until(() => read().every((pid) => pid > 0), 'the tree is there');
  return read();
}

export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('it should have been refused');
}
