// With `allowDetached` a child that opts out outlives its host too; without it, it does not.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { guarded, guardiansOf } from './helpers/guardians.mjs';
import { Members } from './helpers/members.mjs';
import { isAlive, runsOnLinux, until } from './helpers/programs.mjs';

const skip = !runsOnLinux('setsid', 'true') && 'there is no setsid';

/** One child opts out, and has a child; one has the value `detached`, but no session of its own. */
const LINE = `
ESCHER_EXECUTION_ID=detached setsid sh -c 'sleep 300 & echo $! > "$DIR/kept-child.pid"; echo $$ > "$DIR/kept.pid"; wait' >/dev/null 2>&1 &
ESCHER_EXECUTION_ID=detached sh "$DIR/member.sh" bound >/dev/null 2>&1 &
setsid sh "$DIR/member.sh" a >/dev/null 2>&1 &
wait
`;
const ALL = ['kept', 'kept-child', 'bound', 'a'];
const WAYS = { 'process.exit': 'process.exit(0)', 'an uncaught exception': 'throw new Error("on purpose")', 'kill -9': undefined };

describe('a child that has opted out', { concurrency: 2, skip }, () => {
  for (const [way, code] of Object.entries(WAYS)) {
    for (const guardian of code ? [true, false] : [true]) {
      for (const [allowDetached, survivors] of [
        [true, ['kept', 'kept-child']],
        [false, []],
      ]) {
        for (const controlGroups of allowDetached ? [true] : [true, false]) {
          test(`${allowDetached ? 'keeps running' : 'is ended as others, without the option'}: ${way}, guardian ${guardian}, controlGroups ${controlGroups}`, async (t) => {
            const members = new Members(t);
            const source = `process.stdin.once('data', () => { ${code} }); engine.execute(${JSON.stringify(members.shell(LINE))}, ${JSON.stringify({ allowDetached })});`;
            const host = await guarded(t, source, { config: { guardian, controlGroups } });
            const pids = Object.fromEntries(await Promise.all(ALL.map(async (name) => [name, await members.pid(name)])));
            const [ender] = guardiansOf(host.pid);
            if (code) host.child.stdin.write('go\n');
            else host.kill('SIGKILL');
            await host.exited;
            const left = () => ALL.filter((name) => isAlive(pids[name]));
            await until(() => left().length === survivors.length, 'the others are gone', 5_000);
            // The guardian has ended its processes when it is gone.
            if (ender) await until(() => !isAlive(ender), 'the guardian is gone', 5_000);
            assert.deepEqual(left(), survivors);
          });
        }
      }
    }
  }
});
