// Without control groups the members of a tree are found by their tag and their parent.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { Members } from './helpers/members.mjs';
import { isAlive } from './helpers/programs.mjs';

const tools = { skip: (process.platform !== 'linux' || spawnSync('setsid', ['true']).status !== 0) && 'there is no setsid' };

const LINES = {
  'a daemon with its tag': '(setsid sh -c \'setsid sh "$DIR/member.sh" a & :\' >/dev/null 2>&1 &); echo $$ > "$DIR/b.pid"; exec sleep 300',
  'a child with a scrubbed environment, in a session of its own':
    'env -i "DIR=$DIR" "PATH=$PATH" setsid sh "$DIR/member.sh" a >/dev/null 2>&1 & echo $$ > "$DIR/b.pid"; wait',
};

for (const [what, line] of Object.entries(LINES)) {
  for (const controlGroups of [false, true]) {
    for (const options of [{}, { graceMs: 0 }]) {
      test(`${what}, controlGroups ${controlGroups}, ${JSON.stringify(options)}`, tools, async (t) => {
        const members = new Members(t);
        const { engine } = recordedEngine(t, { controlGroups, killGraceMs: 600_000 });
        const id = await engine.execute(members.shell(line));
        const [daemon, leader] = [await members.pid('a'), await members.pid('b')];
        await engine.cancel(id, options);
        assert.deepEqual([daemon, leader].filter(isAlive), []);
        assert.equal(members.text('a.stopped'), options.graceMs === 0 ? '' : 'stopped\n');
        const { killed } = engine.getResult(id);
        for (const pid of [daemon, leader]) assert.ok(killed.pids.includes(pid), JSON.stringify(killed));
        assert.match(killed.mechanism, /escaped it, found by control group, tag or parent/);
        if (!controlGroups) assert.doesNotMatch(killed.mechanism, /cgroup/);
      });
    }
  }
}
