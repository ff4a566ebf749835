// The engine removes from `overflowDir` its own files, provably, and no others.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine, spilling } from './helpers/engine.mjs';
import { file, folder, shell, until, untilFile } from './helpers/programs.mjs';

const ID = '00000000-0000-4000-8000-00000000000';
const OWN_FILE = `${ID}9-0.stdout`;
const marker = (id) => `escher-execution-engine overflow ${id}\n`;
const posix = process.platform === 'win32' ? 'needs links and FIFOs' : false;

/** Makes a folder as a host leaves it that was killed. */
function left(dir, id, { name = `host-${id}`, mode = 0o700, text = marker(id), lock = 'lock' } = {}) {
  const at = path.join(dir, name);
  mkdirSync(at, { mode });
  chmodSync(at, mode);
  if (text !== undefined) writeFileSync(path.join(at, lock), text);
  writeFileSync(path.join(at, OWN_FILE), 'left');
  return at;
}

/** Returns every path below a folder with its content. */
const listing = (dir) =>
  readdirSync(dir, { recursive: true })
    .sort()
    .map((name) => {
      const found = lstatSync(path.join(dir, name));
      return [name, found.isFile() ? readFileSync(path.join(dir, name), 'utf8') : found.mode];
    });

/** Waits until an engine has searched `dir`: what certainly belongs to a host that has ended is gone. */
async function swept(t, dir) {
  // The look goes through entries in any order: after the second one the first is over.
  for (const number of [7, 8]) {
    const dead = left(dir, `${ID}${number}`);
    newEngine(t, spilling(dir));
    await until(() => !existsSync(dead), 'the folder of a dead host is removed');
  }
}

test("folders that only look like the engine's stay as they are", { skip: posix }, async (t) => {
  const dir = folder(t);
  const elsewhere = folder(t);
  mkdirSync(path.join(dir, 'host-config'), { mode: 0o700 });
  file(path.join(dir, 'host-config'), 'precious', 'mine');
  left(dir, `${ID}0`, { name: 'host-backup' });
  left(dir, `${ID}0`, { name: `${ID}0` });
  left(dir, `${ID}0`, { name: `host-${ID}0-old` });
  left(dir, `${ID}1`, { text: '' });
  left(dir, `${ID}2`, { lock: 'other' });
  left(dir, `${ID}3`, { text: marker(`${ID}4`) });
  left(dir, `${ID}4`, { text: `${marker(`${ID}4`)}more` });
  left(dir, `${ID}5`, { mode: 0o777 });
  const linked = left(dir, `${ID}6`, { lock: 'real' });
  symlinkSync(path.join(linked, 'real'), path.join(linked, 'lock'));
  symlinkSync(left(elsewhere, `${ID}a`), path.join(dir, `host-${ID}a`));
  const piped = left(dir, `${ID}b`, { lock: 'real' });
  execFileSync('mkfifo', [path.join(piped, 'lock')]);
  const before = [listing(dir), listing(elsewhere)];
  await swept(t, dir);
  assert.deepEqual([listing(dir), listing(elsewhere)], before);
});

test('in a folder of a dead host, what is not of the engine stays, and links are not followed', { skip: posix }, async (t) => {
  const dir = folder(t);
  const elsewhere = folder(t);
  const victim = file(elsewhere, 'victim', 'mine');
  const dead = left(dir, `${ID}0`);
  symlinkSync(victim, path.join(dead, `${ID}1-0.stdout`));
  symlinkSync(elsewhere, path.join(dead, `${ID}1-0.stderr`));
  execFileSync('mkfifo', [path.join(dead, `${ID}1-1.stdout`)]);
  mkdirSync(path.join(dead, `${ID}1-1.stderr`));
  file(path.join(dead, `${ID}1-1.stderr`), `${ID}1-0.stdout`, 'deep');
  file(dead, 'notes.txt', 'mine');
  const before = listing(dead).filter(([name]) => name !== OWN_FILE);
  await swept(t, dir);
  assert.deepEqual(listing(dead), before);
  assert.equal(readFileSync(victim, 'utf8'), 'mine');
});

test("a file that a user has put beside the engine's survives the engine", async (t) => {
  const dir = folder(t);
  const engine = newEngine(t, spilling(dir));
  const { id, stdoutOverflowFile } = await engine.run(shell('seq 1000'));
  const kept = file(path.dirname(stdoutOverflowFile), 'copy.txt', 'mine');
  // Another file under the name of one of the engine's is not the engine's.
  renameSync(stdoutOverflowFile, `${stdoutOverflowFile}.moved`);
  writeFileSync(stdoutOverflowFile, 'mine too');
  engine.removeExecution(id);
  await engine.shutdown();
  assert.deepEqual([readFileSync(kept, 'utf8'), readFileSync(stdoutOverflowFile, 'utf8')], ['mine', 'mine too']);
  assert.equal(statSync(`${stdoutOverflowFile}.moved`).size, 3_893);
});

test('an overflow file that is deleted in use is counted, reported, and named no more', { skip: posix }, async (t) => {
  const go = path.join(folder(t), 'go');
  const dir = folder(t);
  const { engine, events } = recordedEngine(t, spilling(dir));
  const id = await engine.execute(
    untilFile(
      go,
      `seq 1000; until cat ${dir}/host-*/*.stdout 2>/dev/null | grep -q 1000; do sleep 0.01; done; rm -r ${dir}/host-*; seq 1000`,
    ),
  );
  await events.line('ready', id);
  file(path.dirname(go), 'go');
  const { status, stdoutBytes, overflowLostBytes, stdoutOverflowFile } = await engine.waitForCompletion(id);
  assert.deepEqual([status, overflowLostBytes, stdoutOverflowFile], ['completed', stdoutBytes, undefined]);
  assert.match((await events.first((event) => event.type === 'degraded')).message, /deleted/);
  assert.equal((await engine.run(shell('seq 1000'))).overflowLostBytes, 0, 'the next execution makes the folder anew');
});

test('an overflow file that is moved, replaced or truncated in use is counted, reported, and named no more', { skip: posix }, async (t) => {
  const changes = {
    'its folder is moved': (host) => `mv ${host} "$dir/elsewhere"`,
    'its folder is moved, and a link is in its place': (host) =>
      `d=$(echo ${host}); mv "$d" "$dir/elsewhere"; mkdir "$dir/other"; ln -s "$dir/other" "$d"`,
    'it is replaced': (host) => `f=$(echo ${host}/*.stdout); cp "$f" "$f.new"; mv "$f.new" "$f"`,
    'it is a link': (host) => `f=$(echo ${host}/*.stdout); mv "$f" "$dir/moved"; ln -s "$dir/moved" "$f"`,
    'it is truncated': (host) => `f=$(echo ${host}/*.stdout); : > "$f"`,
  };
  for (const [what, change] of Object.entries(changes)) {
    const [go, dir] = [path.join(folder(t), 'go'), folder(t)];
    const { engine, events } = recordedEngine(t, spilling(dir));
    const host = `${dir}/host-*`;
    const line = `dir=${dir}; seq 1000; until cat ${host}/*.stdout 2>/dev/null | grep -q 1000; do sleep 0.01; done; ${change(host)}; seq 1000`;
    const id = await engine.execute(untilFile(go, line));
    await events.line('ready', id);
    file(path.dirname(go), 'go');
    const { status, stderr, stdoutBytes, overflowLostBytes, stdoutOverflowFile } = await engine.waitForCompletion(id);
    assert.deepEqual([status, stderr, overflowLostBytes, stdoutOverflowFile], ['completed', '', stdoutBytes, undefined], what);
    assert.match((await events.first((event) => event.type === 'degraded')).message, /deleted|moved or replaced|truncated/, what);
    const next = await engine.run(shell('seq 1000'));
    assert.deepEqual([next.overflowLostBytes, statSync(next.stdoutOverflowFile).size], [0, 3_893], `${what}: the next file is whole`);
    // Whatever is in the place of its folder, nothing is written there.
    if (existsSync(path.join(dir, 'other'))) assert.deepEqual(readdirSync(path.join(dir, 'other')), []);
  }
});
