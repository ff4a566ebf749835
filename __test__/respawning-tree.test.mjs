// Trees that start themselves anew while they are being ended: none of their processes survives.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { newEngine } from './helpers/engine.mjs';
import { file, folder, runsOnLinux, shell } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';

const skip = !runsOnLinux('perl', '-e', '1') && 'there is no perl';

/** Each generation leaves a mark, runs for some milliseconds, and ends when the next one runs in a session of its own. */
const CHAINS = {
  'a script that starts itself anew': (dir) =>
    `sh ${file(dir, 'again.sh', 'sleep 0.02\n[ -e "$STOP" ] || { : > "$DIR/$$"; setsid sh "$0" & }\n')}`,
  'a script that ignores SIGTERM': (dir) =>
    `sh ${file(dir, 'stubborn.sh', 'trap "" TERM\nsleep 0.02\n[ -e "$STOP" ] || { : > "$DIR/$$"; setsid sh "$0" & }\n')}`,
  'a chain of forks, 3 ms each': () => `perl -e '${PERL}'`,
  ...(spawnSync('cc', ['--version']).status === 0 && {
    'a chain of forks in C, 3 ms each': (dir) => compiled(dir, 3000),
    'a chain of forks in C, half a millisecond each': (dir) => compiled(dir, 500),
  }),
};
const PERL =
  'use POSIX; $SIG{TERM} = "IGNORE"; while (!-e $ENV{STOP}) { my $child = fork; exit if $child; next if !defined $child; POSIX::setsid(); open(my $mark, ">", "$ENV{DIR}/$$"); close $mark; select(undef, undef, undef, 0.003) }';

const C = `
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
  signal(SIGTERM, SIG_IGN);
  while (access(getenv("STOP"), F_OK) != 0) {
    pid_t child = fork();
    if (child > 0) _exit(0);
    if (child < 0) continue;
    setsid();
    char mark[4096];
    snprintf(mark, sizeof mark, "%s/%d", getenv("DIR"), (int)getpid());
    close(open(mark, O_CREAT | O_WRONLY, 0600));
    usleep(LIFETIME);
  }
  return 0;
}
`;

/** Returns the program, and the command line that runs it. */
function compiled(dir, microseconds) {
  const program = path.join(dir, 'chain');
  const { status, stderr } = spawnSync('cc', ['-O', `-DLIFETIME=${microseconds}`, '-o', program, file(dir, 'chain.c', C)], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return program;
}

for (const controlGroups of [true, false]) {
  for (const [name, line] of Object.entries(CHAINS)) {
    test(`${name}, controlGroups ${controlGroups}`, { skip }, async (t) => {
      const scripts = mkdtempSync(path.join(os.tmpdir(), 'engine-test-'));
      const stop = path.join(scripts, 'stop');
      // The survivors end by this, whatever happens.
      t.after(async () => {
        writeFileSync(stop, '');
        await sleep(100);
        rmSync(scripts, { recursive: true, force: true });
      });
      const engine = newEngine(t, { killGraceMs: 100, controlGroups });
      const program = line(scripts);
      await repeatedly(Math.ceil(REPEATS / 10), 1, async () => {
        const marks = folder(t);
        const ready = once(engine, 'stdout');
        const id = await engine.execute(shell(`${program} & echo ready; exec sleep 300`, { env: { DIR: marks, STOP: stop } }));
        await ready;
        while (readdirSync(marks).length < 3) await sleep(2);
        await engine.cancel(id);
        // A generation leaves its mark as its first deed: one that keeps running leaves marks.
        const left = readdirSync(marks).length;
        await sleep(60);
        assert.equal(readdirSync(marks).length, left, `it goes on after: ${engine.getResult(id).killed.mechanism}`);
        assert.ok(!existsSync(stop));
      });
    });
  }
}
