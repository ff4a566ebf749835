// Each process of a tree gets the stop signal, wherever it is, and has the grace period to clean up.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { recordedEngine, timeOut } from './helpers/engine.mjs';
import { Members } from './helpers/members.mjs';
import { hasBusybox, isAlive } from './helpers/programs.mjs';

const tools = { skip: (process.platform !== 'linux' || spawnSync('setsid', ['true']).status !== 0) && 'there is no setsid' };

const IN_SESSION = /^SIGTERM to the group and to the rest of the session$/;
const ESCAPED = /^SIGTERM to the group and to .*descendants? that escaped it, found by control group, tag or parent$/;
const jobControl = {
  skip: tools.skip || (hasBusybox && "busybox's shell has no job control without a terminal, and its timeout no group"),
};
/** The places where a member is, and the mechanism for each. */
const PLACES = {
  'below `timeout`, which makes a process group': ['timeout 600 $MEMBER a & wait', IN_SESSION],
  'a job of a shell with job control': ['set -m; $MEMBER a & wait', IN_SESSION],
  'in a session of its own that the command waits for': ['setsid $MEMBER a & wait', ESCAPED],
  'a daemon': ['(setsid $MEMBER a >/dev/null 2>&1 &); exec sleep 300', ESCAPED],
  'a child of the command': ['$MEMBER a & wait', /^SIGTERM to the group$/],
};

for (const [place, [line, mechanism]] of Object.entries(PLACES)) {
  test(place, mechanism === IN_SESSION ? jobControl : tools, async (t) => {
    const members = new Members(t);
    const { engine } = recordedEngine(t, { killGraceMs: 600_000 });
    const id = await engine.execute(members.shell(line));
    const pid = await members.pid('a');
    assert.notEqual(members.text('a.lock'), undefined);
    await engine.cancel(id);
    // `timeout` passes the signal on, so its child may have met it twice.
    assert.match(members.text('a.stopped'), /^(stopped\n)+$/);
    assert.ok(!isAlive(pid), 'it is gone when cancel resolves');
    const { status, killed } = engine.getResult(id);
    assert.equal(status, 'cancelled');
    assert.match(killed.mechanism, mechanism);
    assert.ok(killed.pids.includes(pid), JSON.stringify(killed));
  });
}

for (const [cause, run] of Object.entries({
  timeout: async (engine, request, started) => {
    const id = await engine.execute(request);
    await started;
    return timeOut(engine, id);
  },
  'an abort signal': (engine, request, started) => {
    const controller = new AbortController();
    void started.then(() => controller.abort());
    return engine.run(request, { signal: controller.signal });
  },
  'a shutdown': (engine, request, started) => {
    void started.then(() => engine.shutdown());
    return engine.run(request);
  },
})) {
  test(`all of them at once, by ${cause}`, jobControl, async (t) => {
    const members = new Members(t);
    const { engine } = recordedEngine(t, { killGraceMs: 600_000 });
    const names = ['a', 'b', 'c', 'd'];
    const started = Promise.all(names.map((name) => members.pid(name)));
    const line = 'timeout 600 $MEMBER a & set -m; $MEMBER b & (setsid $MEMBER c; true) & (setsid $MEMBER d >/dev/null 2>&1 &); wait';
    const { killed } = await run(engine, members.shell(line), started);
    for (const name of names) {
      assert.match(members.text(`${name}.stopped`), /^(stopped\n)+$/, `${name} was stopped`);
      assert.equal(members.text(`${name}.lock`), '', `${name} has released its lock`);
    }
    assert.deepEqual((await started).filter(isAlive), []);
    assert.match(
      killed.mechanism,
      /^SIGTERM to the group and to the rest of the session and to \d+ descendants that escaped it, found by control group, tag or parent$/,
    );
  });
}

test('a lock is released before the tree counts as gone', tools, async (t) => {
  const members = new Members(t);
  const { engine } = recordedEngine(t, { killGraceMs: 600_000 });
  const line = `trap 'exit 0' TERM; (setsid sh -c 'trap "sleep 0.5; rm \\"$DIR/slow.lock\\"; exit 0" TERM; : > "$DIR/slow.lock"; echo $$ > "$DIR/a.pid"; while :; do sleep 0.02; done' >/dev/null 2>&1 &); while :; do sleep 0.02; done`;
  const id = await engine.execute(members.shell(line));
  const pid = await members.pid('a');
  await engine.cancel(id);
  assert.ok(!isAlive(pid));
  assert.doesNotMatch(engine.getResult(id).killed.mechanism, /SIGKILL/);
  assert.equal(engine.getResult(id).exitCode, 0);
});
