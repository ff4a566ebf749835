// A process that appears during the grace period gets the stop signal too. One that a signalled process has started may be its
// clean-up, so it gets the signal when half of the grace period has passed.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { exec, runsOnLinux } from './helpers/programs.mjs';
import { Members } from './helpers/members.mjs';

// The handler is there before the fork, so the child has it from its first instruction.
const STARTS_ANOTHER = `
use POSIX;
my ($dir, $place) = @ARGV;
my ($leader, $stopped) = ($$, 0);
sub mark { open(my $file, '>>', "$dir/$_[0]"); print $file "$_[1]\\n"; close $file }
$SIG{TERM} = sub {
  if ($$ == $leader) { $stopped = 1 } else { mark('b.stopped', 'stopped'); exit 0 }
};
mark('a.pid', $$);
select(undef, undef, undef, 0.01) until $stopped;
my $child = fork;
if (!$child) {
  POSIX::setsid() if $place eq 'session';
  setpgrp(0, 0) if $place eq 'group';
  mark('b.pid', $$);
  select(undef, undef, undef, 0.01) while 1;
}
waitpid($child, 0);
exit 7;
`;

const skip = !runsOnLinux('perl', '-e', '1') && 'there is no perl';

for (const place of ['here', 'group', 'session']) {
  for (const stopOrder of ['tree', 'leader']) {
    test(`in ${{ here: 'the process group', group: 'a group of its own', session: 'a session of its own' }[place]}, stopOrder ${stopOrder}`, {
      skip,
    }, async (t) => {
      const members = new Members(t);
      const { engine } = recordedEngine(t, { killGraceMs: 4_000, stopOrder });
      const id = await engine.execute(exec('perl', '-e', STARTS_ANOTHER, members.dir, place));
      await members.pid('a');
      await engine.cancel(id);
      assert.equal(members.text('b.stopped'), 'stopped\n');
      const { exitCode, killed } = engine.getResult(id);
      assert.equal(exitCode, 7, 'the command has met the end of its child');
      assert.doesNotMatch(killed.mechanism, /SIGKILL/);
      assert.ok(killed.pids.includes(await members.pid('b')), JSON.stringify(killed));
    });
  }
}
