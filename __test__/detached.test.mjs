// With `allowDetached` a child may opt out of the end of its tree.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { test } from 'node:test';

import { recordedEngine, timeOut } from './helpers/engine.mjs';
import { Members } from './helpers/members.mjs';
import { guarded, guardianOf } from './helpers/guardians.mjs';
import { file, isAlive, until } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

const tools = { skip: (process.platform !== 'linux' || spawnSync('setsid', ['true']).status !== 0) && 'there is no setsid' };

/** A child that has a child of its own, and writes both ids. */
const KEPT = `sleep 300 & echo $! > "$DIR/kept-child.pid"; echo $$ > "$DIR/kept.pid"; wait`;
/** One child opts out; one has the value `detached`, but stays in the session of the command; one has its own session, but not the value. */
const LINE = `
ESCHER_EXECUTION_ID=detached setsid sh -c '${KEPT}' >/dev/null 2>&1 &
ESCHER_EXECUTION_ID=detached sh "$DIR/member.sh" bound >/dev/null 2>&1 &
setsid sh "$DIR/member.sh" a >/dev/null 2>&1 &
wait
`;

const pidsOf = async (members, names) => Object.fromEntries(await Promise.all(names.map(async (name) => [name, await members.pid(name)])));
const ALL = ['kept', 'kept-child', 'bound', 'a'];

const ENDS = {
  cancel: async (engine, request, started) => {
    const id = await engine.execute(request);
    await started;
    await engine.cancel(id);
    return engine.getResult(id);
  },
  'cancel without a grace period': async (engine, request, started) => {
    const id = await engine.execute(request);
    await started;
    await engine.cancel(id, { graceMs: 0 });
    return engine.getResult(id);
  },
  timeout: async (engine, request, started) => {
    const id = await engine.execute(request);
    await started;
    return timeOut(engine, id);
  },
  shutdown: async (engine, request, started) => {
    const id = await engine.execute(request);
    await started;
    await engine.shutdown();
    return engine.getResult(id);
  },
};

for (const [how, end] of Object.entries(ENDS)) {
  test(`${how}: what has opted out keeps running, with its descendants; others are ended`, tools, async (t) => {
    const members = new Members(t);
    const { engine } = recordedEngine(t, { allowDetached: true });
    const started = pidsOf(members, ALL);
    const { killed } = await end(engine, members.shell(LINE), started);
    const pids = await started;
    assert.deepEqual(
      ALL.filter((name) => isAlive(pids[name])),
      ['kept', 'kept-child'],
    );
    assert.ok(!killed.pids.includes(pids.kept) && !killed.pids.includes(pids['kept-child']), JSON.stringify(killed));
    for (const name of ['bound', 'a']) assert.ok(killed.pids.includes(pids[name]), `${name}: ${JSON.stringify(killed)}`);
  });

  test(`${how}: without the option all are ended`, tools, async (t) => {
    const members = new Members(t);
    const { engine } = recordedEngine(t);
    const started = pidsOf(members, ALL);
    const { killed } = await end(engine, members.shell(LINE), started);
    const pids = await started;
    assert.deepEqual(
      ALL.filter((name) => isAlive(pids[name])),
      [],
    );
    for (const name of ALL) assert.ok(killed.pids.includes(pids[name]), `${name}: ${JSON.stringify(killed)}`);
  });
}

test('the option of an execution takes precedence over the configuration', tools, async (t) => {
  for (const [config, options, survivors] of [
    [false, true, ['kept', 'kept-child']],
    [true, false, []],
  ]) {
    const members = new Members(t);
    const { engine } = recordedEngine(t, { allowDetached: config });
    const started = pidsOf(members, ALL);
    const id = await engine.execute(members.shell(LINE), { allowDetached: options });
    const pids = await started;
    await engine.cancel(id);
    assert.deepEqual(
      ALL.filter((name) => isAlive(pids[name])),
      survivors,
    );
  }
});

test('two executions: each has its own policy', tools, async (t) => {
  const both = [new Members(t), new Members(t)];
  const { engine } = recordedEngine(t);
  const ids = [await engine.execute(both[0].shell(LINE), { allowDetached: true }), await engine.execute(both[1].shell(LINE))];
  const pids = await Promise.all(both.map((members) => pidsOf(members, ALL)));
  await engine.cancelAll();
  assert.equal(ids.length, 2);
  assert.deepEqual(
    pids.map((of) => ALL.filter((name) => isAlive(of[name]))),
    [['kept', 'kept-child'], []],
  );
});

/** A program that becomes another one again and again: meanwhile a process has no environment. */
const RESTLESS = `[ $1 -gt 0 ] || exec sleep 300
exec sh "$0" $(($1 - 1))`;

/** Twenty of these, which write their ids first. */
const MANY = `for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  ESCHER_EXECUTION_ID=detached setsid sh -c 'echo $$ >> "$DIR/pids"; exec sh "$DIR/restless.sh" 2000 >/dev/null 2>&1' &
done
exec sleep 300`;

/** Returns the ids of a new list when it is complete. */
async function restless(members) {
  const pids = () => members.text('pids').trim().split('\n').map(Number);
  return until(() => pids().length === 20 && pids(), 'all have started');
}

/** Ends them; asserts that all of them ran. */
function assertLeftAlone(members, pids) {
  const dead = pids.filter((pid) => !isAlive(pid));
  for (const pid of pids) if (!dead.includes(pid)) process.kill(pid, 'SIGKILL');
  rmSync(members.path('pids'));
  assert.deepEqual(dead, []);
}

test('what becomes another program at this moment has opted out all the same', tools, async (t) => {
  const members = new Members(t);
  const { engine } = recordedEngine(t, { allowDetached: true });
  file(members.dir, 'restless.sh', RESTLESS);
  await repeatedly(Math.ceil(REPEATS / 2), 1, async () => {
    const id = await engine.execute(members.shell(MANY));
    const pids = await restless(members);
    await engine.cancel(id);
    assertLeftAlone(members, pids);
  });
});

test('and when the host goes at this moment', tools, async (t) => {
  const members = new Members(t);
  file(members.dir, 'restless.sh', RESTLESS);
  await repeatedly(Math.ceil(REPEATS / 5), 1, async () => {
    const host = await guarded(t, `engine.execute(${JSON.stringify(members.shell(MANY))});`, {
      config: { allowDetached: true, killGraceMs: 50 },
    });
    const [pids, guardian] = [await restless(members), await guardianOf(host.pid)];
    host.kill('SIGKILL');
    await until(() => !isAlive(guardian), 'the guardian has done its work');
    assertLeftAlone(members, pids);
  });
});
