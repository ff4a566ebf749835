// The clean-up of a process that has had the stop signal may take several processes: none of them gets the signal before half of the grace
// period has passed.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { guarded } from './helpers/guardians.mjs';
import { file, folder, shell, until } from './helpers/programs.mjs';

const linux = process.platform === 'linux' ? {} : { skip: 'there are no control groups elsewhere' };

/** The ways in which a trap removes its lock. */
const CLEAN_UPS = {
  'a child': 'sleep 0.3 && rm "$LOCK"',
  'a subshell': '(sleep 0.3 && rm "$LOCK")',
  'a shell': `sh -c 'sleep 0.3 && rm "$LOCK"'`,
  'a shell in a session of its own': `setsid sh -c 'sleep 0.3 && rm "$LOCK"'`,
  'three generations': `sh -c 'sh -c "(sleep 0.3; true) && rm \\"$LOCK\\"; true"; true'`,
  'in the background, waited for': '(sleep 0.3 && rm "$LOCK") & wait $!',
};
const command = (cleanUp) => `stop() { ${cleanUp}; exit 3; }; trap stop TERM; : > "$LOCK"; while :; do sleep 0.05; done`;

describe('clean-up is left in peace', { concurrency: 4, ...linux }, () => {
  for (const [name, cleanUp] of Object.entries(CLEAN_UPS)) {
    for (const controlGroups of [true, false]) {
      test(`${name}, control groups ${controlGroups}`, async (t) => {
        const lock = path.join(folder(t), 'lock');
        const engine = newEngine(t, { killGraceMs: 30_000, controlGroups });
        const id = await engine.execute(shell(command(cleanUp), { env: { LOCK: lock } }));
        await until(() => existsSync(lock), 'it has its lock');
        await engine.cancel(id);
        assert.ok(!existsSync(lock), 'the lock is removed');
        assert.equal(engine.getResult(id).exitCode, 3);
      });
    }

    test(`${name}, the host is gone`, async (t) => {
      const lock = path.join(folder(t), 'lock');
      const request = shell(command(cleanUp), { env: { LOCK: lock } });
      const host = await guarded(t, `engine.execute(${JSON.stringify(request)});`, { config: { killGraceMs: 30_000 } });
      await until(() => existsSync(lock), 'it has its lock');
      host.kill('SIGKILL');
      await host.exited;
      await until(() => !existsSync(lock), 'the lock is removed', 10_000);
    });
  }
});

// The clean-up descends from no signalled member any more, so it looks like any other process.
test('clean-up that a member leaves behind when it exits gets the signal with the next scan', linux, async (t) => {
  const dir = folder(t);
  const engine = newEngine(t, { killGraceMs: 600_000, controlGroups: false });
  const background = `trap 'echo stopped > "$DIR/stopped"; exit' TERM; : > "$DIR/began"; while :; do sleep 0.05; done`;
  file(dir, 'background.sh', background);
  const line = `stop() { sh "$DIR/background.sh" & while [ ! -e "$DIR/began" ]; do sleep 0.01; done; exit 3; }; trap stop TERM; : > "$DIR/ready"; while :; do sleep 0.05; done`;
  const id = await engine.execute(shell(line, { env: { DIR: dir } }));
  await until(() => existsSync(path.join(dir, 'ready')), 'it waits for its signal');
  const before = performance.now();
  await engine.cancel(id);
  assert.ok(performance.now() - before < 300_000, 'half of the grace period was not waited for');
  assert.ok(existsSync(path.join(dir, 'stopped')));
  assert.equal(engine.getResult(id).exitCode, 3);
});
