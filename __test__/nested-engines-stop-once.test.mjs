// An engine inside a command of an engine: each process of the inner execution gets one stop signal, by whatever path it is ended.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { newEngine, timeOut } from './helpers/engine.mjs';
import { startHost } from './helpers/hosts.mjs';
import { Members } from './helpers/members.mjs';
import { isAlive, nodeProgram, runsOnLinux, until } from './helpers/programs.mjs';

const skip = !runsOnLinux('perl', '-e', '1') && 'names of sockets, and perl, are needed';
const PACKAGE = new URL('../dist/engine.js', import.meta.url).pathname;

/**
 * Three processes, one of them in a session of its own. Each records every stop signal, and keeps running for 2.5 s after the first: that is
 * longer than half of the grace period.
 */
const COUNTS = `
use POSIX;
use Time::HiRes 'time';
my ($dir) = @ARGV;
my $end = time + 60;
my $name = 'leader';
$SIG{TERM} = sub {
  $end = time + 2.5 if $end > time + 3;
  open(my $out, '>>', "$dir/signals"); syswrite($out, "$name\\n"); close $out;
};
if (!fork) { $name = 'child' } elsif (!fork) { $name = 'daemon'; POSIX::setsid() }
open(my $out, '>>', "$dir/ready"); syswrite($out, "$name $$\\n"); close $out;
select(undef, undef, undef, 0.01) while time < $end;
`;

/** The actions of the inner host on the stop signal. */
const INNER_HOSTS = {
  'has no handler': '',
  'shuts its engine down': `process.on('SIGTERM', () => engine.shutdown().then(() => process.exit()));`,
  'exits while its engine shuts down': `process.on('SIGTERM', () => { engine.shutdown(); setTimeout(() => process.exit(), 200); });`,
  'ignores it': `process.on('SIGTERM', () => {});`,
};

const inner = (handler, config = {}) => `
const { ExecutionEngine } = require(${JSON.stringify(PACKAGE)});
const engine = new ExecutionEngine({ killGraceMs: 60_000, ...${JSON.stringify(config)} });
${handler}
engine.execute({ command: { type: 'exec', program: 'perl', args: ['-e', ${JSON.stringify(COUNTS)}, process.env.DIR] } });
setInterval(() => {}, 1000);
`;

const ready = (members) =>
  until(() => members.text('ready').trim().split('\n').length === 3 && members.text('ready'), 'three processes count', 30_000);
const pidsIn = (text) =>
  text
    .trim()
    .split('\n')
    .map((line) => Number(line.split(' ')[1]));

/** A request for the inner host. */
const hostProgram = (members, handler, config) => ({ ...nodeProgram(inner(handler, config)), env: { DIR: members.dir } });

async function assertOnce(members, pids) {
  await until(() => !pids.some(isAlive), 'the members are gone', 30_000);
  assert.deepEqual(members.text('signals').trim().split('\n').sort(), ['child', 'daemon', 'leader']);
}

/** Ways in which the outer engine ends the inner host. */
const WAYS = {
  cancel: async (engine, id) => engine.cancel(id),
  timeout: timeOut,
};

describe('nested engines', { skip, concurrency: 4 }, () => {
  for (const stopOrder of ['tree', 'leader']) {
    for (const [what, handler] of Object.entries(INNER_HOSTS)) {
      for (const [way, end] of Object.entries(WAYS)) {
        for (const controlGroups of way === 'cancel' ? [true, false] : [false]) {
          test(`${way}, stopOrder ${stopOrder}, controlGroups ${controlGroups}, and an inner host that ${what}`, async (t) => {
            const members = new Members(t);
            const engine = newEngine(t, { killGraceMs: 4_000, stopOrder, controlGroups });
            const id = await engine.execute(hostProgram(members, handler, { controlGroups }));
            const pids = pidsIn(await ready(members));
            await end(engine, id);
            await assertOnce(members, pids);
          });
        }
      }

      test(`the end of the outer host, stopOrder ${stopOrder}, and an inner host that ${what}`, async (t) => {
        const members = new Members(t);
        const outer = startHost(`
          const engine = new ExecutionEngine({ killGraceMs: 4_000, stopOrder: ${JSON.stringify(stopOrder)} });
          await engine.execute(${JSON.stringify(hostProgram(members, handler))});
          setInterval(() => {}, 1000);
        `);
        const pids = pidsIn(await ready(members));
        outer.child.kill('SIGKILL');
        await assertOnce(members, pids);
      });
    }
  }

  test('an inner guardian is not there', async (t) => {
    const members = new Members(t);
    const engine = newEngine(t, { killGraceMs: 4_000, stopOrder: 'leader' });
    const id = await engine.execute(hostProgram(members, '', { guardian: false }));
    const pids = pidsIn(await ready(members));
    await engine.cancel(id);
    await assertOnce(members, pids);
  });

  test('the inner result says that the signal came from outside', async (t) => {
    const members = new Members(t);
    const engine = newEngine(t, { killGraceMs: 60_000 });
    const handler = `process.on('SIGTERM', async () => {
      await engine.shutdown();
      const { status, reason, killed } = engine.getResult(engine.listExecutions()[0].id);
      console.log(JSON.stringify([status, reason, killed.mechanism]));
      process.exit();
    });`;
    const id = await engine.execute(hostProgram(members, handler));
    await ready(members);
    await engine.cancel(id);
    const [status, reason, mechanism] = JSON.parse(engine.getResult(id).stdout);
    assert.deepEqual([status, reason], ['cancelled', 'shutdown']);
    assert.equal(mechanism, 'the stop signal from an outer engine');
  });
});
