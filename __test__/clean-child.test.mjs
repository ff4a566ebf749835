// A child inherits nothing unintended and leaves nothing behind.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { exec, file, folder, forever, isAlive, nothing, shell, until } from './helpers/programs.mjs';

const linux = { skip: process.platform !== 'linux' && 'reads /proc' };

/** The children of this process that are dead and not reaped. */
const zombies = () =>
  readdirSync('/proc').filter((name) => {
    try {
      const stat = readFileSync(`/proc/${Number(name)}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return state === 'Z' && Number(parent) === process.pid;
    } catch {
      return false;
    }
  });

test('a child has standard input, output and error, and no other file', linux, async (t) => {
  const { engine } = recordedEngine(t);
  const { stdout } = await engine.run(exec('ls', '-1', '/proc/self/fd'));
  assert.deepEqual(stdout.split('\n').slice(0, -1), ['0', '1', '2', '3'], 'the last one is the folder that it lists');
});

test('no zombie stays, failed spawns included', linux, async (t) => {
  const { engine, events } = recordedEngine(t);
  await Promise.all(Array.from({ length: 50 }, () => [engine.run(nothing), engine.run(exec('/no/such/program')).catch(() => {})]).flat());
  const id = await engine.execute(forever);
  await events.line('ready', id);
  await engine.cancel(id);
  assert.deepEqual(zombies(), []);
});

test('files and threads of the host return to where they were', linux, async (t) => {
  const { engine } = recordedEngine(t);
  const open = () => readdirSync('/proc/self/fd').length;
  await Promise.all(Array.from({ length: 20 }, () => engine.run(nothing)));
  const before = open();
  await Promise.all(Array.from({ length: 200 }, () => engine.run(shell('echo x; exit 1'))));
  await Promise.allSettled(Array.from({ length: 100 }, () => engine.run(exec('/no/such/program'))));
  assert.ok(open() <= before, `${open()} files are open, ${before} were`);
});

const hasSetsid = process.platform === 'linux' && spawnSync('setsid', ['true']).status === 0;
test('a descendant that left the group and the session is ended too', { skip: !hasSetsid && 'there is no setsid' }, async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: 100 });
  const dir = folder(t);
  const own = file(dir, 'leave.sh', 'setsid sleep 300 &\necho $! > "$PIDS"\n');
  const pids = path.join(dir, 'pids');
  const id = await engine.execute(
    shell(`setsid sh ${own} & while [ ! -s "$PIDS" ]; do sleep 0.01; done; cat "$PIDS"; echo ready; sleep 300`, { env: { PIDS: pids } }),
  );
  await events.line('ready', id);
  const pid = Number(events.lines(id)[0]);
  t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
  assert.ok(isAlive(pid));
  await engine.cancel(id);
  assert.ok(!isAlive(pid), 'it is gone when cancel resolves');
  assert.match(engine.getResult(id).killed.mechanism, /tag|environment|descendant|escap/i);
});

test('a password prompt cannot stop a child: it has no terminal', async (t) => {
  const { engine } = recordedEngine(t);
  const { status, stdout } = await engine.run(shell('(: < /dev/tty) 2> /dev/null && echo terminal || echo none', { timeoutMs: 5_000 }));
  assert.deepEqual([status, stdout], ['completed', 'none\n']);
});

test('a signal that the host ignores is not ignored by the child', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('kill -PIPE $$; echo survived'));
  const { signal } = await engine.waitForCompletion(id);
  assert.equal(signal, 'SIGPIPE', 'Node.js ignores it, its children do not');
  assert.ok(!events.lines(id).includes('survived'));
  await until(() => !isAlive(events.of(id)[0].pid), 'it is gone');
});
