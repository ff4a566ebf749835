// With `stopOrder: 'leader'` the command is stopped before its helpers, which it may need for that.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { Members, withoutMeans } from './helpers/members.mjs';
import { file, isAlive } from './helpers/programs.mjs';

const skip = process.platform === 'win32' && 'the whole tree gets Ctrl-Break';

/** Answers `ask` with `answer`. On the stop signal it records whether the command was done by then. */
const HELPER = `
trap 'if [ -e "$DIR/done" ]; then echo after; else echo before; fi >> "$DIR/helper.stopped"; exit 0' TERM
echo $$ > "$DIR/helper.pid"
while :; do [ -e "$DIR/ask" ] && mv "$DIR/ask" "$DIR/answer"; sleep 0.02; done
`;
/** A command that asks its helper on the stop signal, and ends when that has answered. */
const ASKS_AT_THE_END = `
trap ': > "$DIR/ask"; while [ ! -e "$DIR/answer" ]; do sleep 0.02; done; echo answered; : > "$DIR/done"; exit 3' TERM
sh "$DIR/helper.sh" &
while :; do sleep 0.02; done
`;
/** Ignores the stop signal, which its helper does not. */
const IGNORES = `
sh "$DIR/helper.sh" &
trap '' TERM
while [ ! -s "$DIR/helper.pid" ]; do sleep 0.02; done
echo $$ > "$DIR/a.pid"
while :; do sleep 0.02; done
`;

async function started(t, program, config, options) {
  const members = new Members(t);
  const { engine } = recordedEngine(t, config);
  file(members.dir, 'helper.sh', HELPER);
  const id = await engine.execute(members.shell(program), options);
  await members.pid(program === IGNORES ? 'a' : 'helper');
  return { members, engine, id };
}

for (const from of ['options', 'configuration']) {
  test(`a command that needs its helper to end, stopOrder from the ${from}`, { skip }, async (t) => {
    const order = { stopOrder: 'leader' };
    const { members, engine, id } = await started(
      t,
      ASKS_AT_THE_END,
      { killGraceMs: 600_000, ...(from === 'configuration' && order) },
      from === 'options' ? order : {},
    );
    await engine.cancel(id);
    const { exitCode, stdout, killed } = engine.getResult(id);
    assert.deepEqual([exitCode, stdout], [3, 'answered\n']);
    assert.equal(members.text('helper.stopped'), 'after\n', 'it got its signal when the command had exited');
    assert.equal(killed.mechanism, 'SIGTERM to the group');
    assert.ok(!isAlive(await members.pid('helper')));
  });
}

test('the helpers of a command that ignores the signal get it after half of the grace period', { skip }, async (t) => {
  const { members, engine, id } = await started(t, IGNORES, { killGraceMs: 4_000, stopOrder: 'leader' });
  const pid = await members.pid('a');
  const before = performance.now();
  const cancelled = engine.cancel(id);
  await members.written('helper.stopped');
  const took = performance.now() - before;
  const wasAlive = isAlive(pid);
  await cancelled;
  assert.ok(took >= 2_000, `it came after ${took} ms`);
  assert.ok(wasAlive || took > 4_000, 'the command was still there');
  const { signal, killed } = engine.getResult(id);
  assert.equal(signal, 'SIGKILL');
  assert.equal(withoutMeans(killed.mechanism), 'SIGTERM to the group, then SIGKILL to the group');
});

test('and after half of what is left, when the grace period is shortened', { skip }, async (t) => {
  const { members, engine, id } = await started(t, IGNORES, { killGraceMs: 600_000, stopOrder: 'leader' });
  const calls = [engine.cancel(id), engine.cancel(id, { graceMs: 4_000 })];
  await Promise.all(calls);
  assert.equal(members.text('helper.stopped'), 'before\n', 'it was not killed without a signal');
  assert.equal(engine.getResult(id).signal, 'SIGKILL');
});

test('by default all get it at once', { skip }, async (t) => {
  const { members, engine, id } = await started(t, IGNORES, { killGraceMs: 600_000 });
  const cancelled = engine.cancel(id);
  assert.equal(await members.written('helper.stopped'), 'before\n');
  await engine.cancel(id, { graceMs: 0 });
  await cancelled;
});
