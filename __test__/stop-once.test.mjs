// Each process of a tree gets one stop signal, however many calls end it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { Members } from './helpers/members.mjs';
import { exec, runsOnLinux } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

// Three processes, of which one has left the session. Each records every signal, and keeps running for 350 ms after the first: that is
// more than three scans.
const COUNTS = `
use POSIX;
use Time::HiRes 'time';
my ($file) = @ARGV;
my $end = time + 60;
my $name = 'leader';
for my $signal (qw(TERM INT HUP USR1)) {
  $SIG{$signal} = sub {
    $end = time + 0.35 if $end > time + 1;
    open(my $out, '>>', $file); syswrite($out, "$name $signal\\n"); close $out;
  };
}
if (!fork) { $name = 'child' } elsif (!fork) { $name = 'daemon'; POSIX::setsid() }
syswrite(STDOUT, "ready $name\\n");
select(undef, undef, undef, 0.01) while time < $end;
`;

const skip = !runsOnLinux('perl', '-e', '1') && 'there is no perl';

/** Runs the program that counts, and calls `end` when its three processes are there. */
async function counted(members, index, options, end) {
  const engine = new ExecutionEngine({ killGraceMs: 600_000 });
  const controller = new AbortController();
  const name = `signals-${index}`;
  let ready = 0;
  const started = new Promise((resolve) => engine.on('stdout', () => (ready += 1) === 3 && resolve()));
  try {
    const id = await engine.execute(exec('perl', '-e', COUNTS, members.path(name)), { ...options, signal: controller.signal });
    await started;
    await end(engine, id, controller);
    const { killed, status } = engine.getResult(id);
    assert.equal(status, 'cancelled');
    assert.doesNotMatch(killed.mechanism, /SIGKILL/);
    const signal = options.stopSignal?.slice('SIG'.length) ?? 'TERM';
    assert.deepEqual(members.text(name).trim().split('\n').sort(), [`child ${signal}`, `daemon ${signal}`, `leader ${signal}`]);
  } finally {
    await engine.cancelAll({ graceMs: 0 });
    await engine.shutdown();
  }
}

const everything = (engine, id, controller) => {
  const calls = [engine.cancel(id), engine.cancelAll(), engine.cancel(id, { graceMs: 500_000 })];
  controller.abort();
  return Promise.all([...calls, engine.shutdown(), engine.cancel(id), engine.shutdown({ graceMs: 5 })]);
};

test('cancel, abort, cancelAll and shutdown together', { skip }, async (t) => {
  const members = new Members(t);
  await repeatedly(REPEATS, 8, (index) => counted(members, index, {}, everything));
});

test('one call after the other, while the tree ends', { skip }, async (t) => {
  const members = new Members(t);
  const inTurn = async (engine, id, controller) => {
    const first = engine.cancel(id);
    await members.written('signals-0');
    controller.abort();
    const others = [engine.cancel(id), engine.cancelAll()];
    await Promise.all([first, ...others, engine.shutdown()]);
  };
  await counted(members, 0, {}, inTurn);
});

for (const stopSignal of ['SIGINT', 'SIGHUP', 'SIGUSR1']) {
  test(`with stopSignal ${stopSignal}`, { skip }, async (t) => counted(new Members(t), 0, { stopSignal }, everything));
}

test('with stopOrder leader', { skip }, async (t) => counted(new Members(t), 0, { stopOrder: 'leader' }, everything));
