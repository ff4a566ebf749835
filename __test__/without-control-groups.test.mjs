// Without control groups the members of a tree are found by their tag and their parent.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { groupOfThisProcess } from './helpers/control-groups.mjs';
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

test('no control group is made with controlGroups: false, also for what has escaped and for the guardian', tools, async (t) => {
  const host = `
    import { groupsOfThisHost } from ${JSON.stringify(new URL('./helpers/control-groups.mjs', import.meta.url).href)};
    import { ExecutionEngine } from ${JSON.stringify(new URL('../index.js', import.meta.url).href)};
    const engine = new ExecutionEngine({ controlGroups: CONTROL_GROUPS, killGraceMs: 100 });
    await engine.run({ command: { type: 'shell', command: 'setsid sleep 300 & exec sleep 300' }, timeoutMs: 200 });
    console.log(groupsOfThisHost().length);
    await engine.shutdown();
  `;
  if (!groupOfThisProcess()) return t.skip('there are no control groups of version 2');
  const made = (controlGroups) => {
    const source = host.replace('CONTROL_GROUPS', String(controlGroups));
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
    assert.equal(stderr, '');
    return Number(stdout);
  };
  if (made(true) === 0) return t.skip('no control groups can be made');
  assert.equal(made(false), 0);
  return undefined;
});
