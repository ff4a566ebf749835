// A system that has Node.js and the libraries which it needs, and nothing else: no shell, no grep, no /usr/bin in its usual place.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { gone, marked, newMark } from './helpers/guardians.mjs';
import { runsOnLinux, until } from './helpers/programs.mjs';

const { interpreter } = createRequire(import.meta.url)('../lib/elf.js');
const PROJECT = fileURLToPath(new URL('..', import.meta.url));
const skip = !runsOnLinux('unshare', '-m', 'chroot', '/', 'true')
  ? 'no root can be made here: that takes unshare -m and chroot'
  : !runsOnLinux('ldd', process.execPath) && 'ldd does not say what Node.js needs';

/** The folder that has everything, as on NixOS: no dynamic loader and no library is where others look for it. */
const STORE = '/store/lib';

/** Makes a folder with Node.js under a path of its own, and its libraries. */
function bareRoot(t, { hasLoader }) {
  const root = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'engine-test-')));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const put = (from, to) => {
    mkdirSync(path.join(root, path.dirname(to)), { recursive: true });
    copyFileSync(from, path.join(root, to));
  };
  const node = '/store/node/run/node';
  put(process.execPath, node);
  const loader = interpreter(process.execPath);
  const ownLoader = loader.replace(/^\/(\w+)/, (_, folder) => `/${'store'.padEnd(folder.length, '_').slice(0, folder.length)}`);
  if (!hasLoader) {
    writeFileSync(path.join(root, node), replaced(readFileSync(process.execPath), `${loader}\0`, `${ownLoader}\0`));
    chmodSync(path.join(root, node), 0o755);
  }
  for (const [, library] of spawnSync('ldd', [process.execPath], { encoding: 'utf8' }).stdout.matchAll(/(\/\S+) \(0x/g)) {
    if (hasLoader) put(library, library);
    else put(library, library === loader ? ownLoader : path.join(STORE, path.basename(library)));
  }
  for (const folder of ['proc', 'dev', 'tmp', 'project']) mkdirSync(path.join(root, folder), { recursive: true });
  return root;
}

/** Returns a program with another text of the same length in the place of the first. */
function replaced(program, text, by) {
  const at = program.indexOf(text);
  assert.ok(at >= 0 && text.length === by.length);
  program.write(by, at, 'latin1');
  return program;
}

/** Mounts what a root needs, and becomes a program in it. */
const IN_ROOT =
  'mount --bind "$1" "$0/project" && mount --bind /proc "$0/proc" && mount --bind /dev "$0/dev" && shift 1 && exec chroot "$0" "$@"';

test('members that left the session do not survive kill -9 of a host in a root without any other program', { skip }, (t) =>
  noMemberSurvives(t, { hasLoader: true }),
);

test('nor where the dynamic loader and the libraries are in no standard directory', { skip }, (t) =>
  noMemberSurvives(t, { hasLoader: false }),
);

async function noMemberSurvives(t, how) {
  const [root, mark] = [bareRoot(t, how), newMark()];
  // Each process sleeps, with the mark in its words; the members have sessions of their own, and the first of them exits.
  const sleeper = `setTimeout(() => {}, 1_000_000) // : ${mark}`;
  const member = `const { spawn } = require('child_process'); spawn(process.execPath, ['-e', ${JSON.stringify(sleeper)}], { detached: true, stdio: 'ignore' }).unref() // : ${mark}`;
  const leader = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(member)}], { detached: true, stdio: 'ignore' }); ${sleeper}`;
  const host = `
    const { existsSync, writeSync } = require('node:fs');
    const { ExecutionEngine } = require('/project/dist/engine.js');
    const engine = new ExecutionEngine({ killGraceMs: 200, controlGroups: false }); const degraded = [];
    engine.on('degraded', ({ message }) => degraded.push(message));
    (async () => {
      const exec = (...args) => ({ command: { type: 'exec', program: process.execPath, args } });
      const { status, stdout } = await engine.run(exec('-p', '6 * 7'));
      const refused = await engine.run({ command: { type: 'shell', command: 'exit 0' } }).catch(({ code, errno }) => ({ code, errno }));
      await engine.execute(exec('-e', ${JSON.stringify(leader)}));
      const found = [${how.hasLoader ? '' : "'/lib', '/lib64', '/usr', "}'/bin', '/usr/bin', '/nix'].filter(existsSync);
      writeSync(1, JSON.stringify({ status, stdout, refused, degraded, found }) + '\\n');
      setInterval(() => {}, 1000);
    })();`;
  const child = spawn('unshare', ['-m', 'sh', '-c', IN_ROOT, root, PROJECT, '/store/node/run/node', '-e', host], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, ...(!how.hasLoader && { LD_LIBRARY_PATH: STORE }) },
  });
  t.after(() => child.kill('SIGKILL'));
  const said = await new Promise((resolve) => {
    child.stdout.once('data', resolve);
    child.stdout.once('end', () => resolve('{}'));
  });
  assert.deepEqual(JSON.parse(said), {
    status: 'completed',
    stdout: '42\n',
    refused: { code: 'SPAWN_FAILED', errno: 'ENOENT' },
    degraded: [],
    found: [],
  });
  await until(() => marked(mark).length === 3, 'the host, the leader and its member are there', 20_000);
  child.kill('SIGKILL');
  await gone(mark);
}
