// A process whose main thread has ended keeps running in its other threads, and the guardian ends it as any other.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { guarded, guardianOf, isAlive, statOf } from './helpers/guardians.mjs';
import { file, folder, until } from './helpers/programs.mjs';

/** Ends its main thread. Another thread waits for that, notes the first SIGTERM in a file, says so on a pipe without a reader, and ends if it may. */
const C = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static volatile sig_atomic_t terms;
static const char *out;
static int ignores;
static void on_term(int number) { (void)number; terms++; }
static void say(const char *word) {
  char line[64];
  int length = snprintf(line, sizeof line, "%s %d\\n", word, getpid());
  int fd = open(out, O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (write(fd, line, length) < 0) return;
  close(fd);
}
static void *work(void *unused) {
  (void)unused;
  for (char stat[512] = ""; !strstr(stat, ") Z"); usleep(10000)) {
    int fd = open("/proc/self/stat", O_RDONLY);
    ssize_t length = read(fd, stat, sizeof stat - 1);
    stat[length > 0 ? length : 0] = 0;
    close(fd);
  }
  say("up");
  for (int round = 0; round < 6000; round++) {
    usleep(10000);
    if (terms == 0) continue;
    terms = 0;
    say("TERM");
    if (ignores) continue;
    usleep(200000);
    if (write(1, "ending\\n", 7) < 0) _exit(1);
    say("exit");
    _exit(0);
  }
  return 0;
}
int main(int count, char **words) {
  (void)count;
  out = words[2];
  for (const char *kind = words[1]; *kind; kind++) {
    if (*kind == 's') setsid();
    if (*kind == 'f' && fork() != 0) _exit(0);
    if (*kind == 'i') ignores = 1;
  }
  struct sigaction action = { .sa_handler = on_term };
  sigaction(SIGTERM, &action, 0);
  pthread_t thread;
  pthread_create(&thread, 0, work, 0);
  pthread_exit(0);
}
`;

const KINDS = {
  'the command itself': ['L', ''],
  'the command itself, without an end at SIGTERM': ['L', 'i'],
  'a child': ['C', ''],
  'a session of its own': ['C', 's'],
  'a daemon that forked twice': ['C', 'fsf'],
  'a daemon that forked twice, without an end at SIGTERM': ['C', 'fsfi'],
};

/** The threads of a process; one that is dead and not yet reaped has one at most. */
const threadsOf = (pid) => (existsSync(`/proc/${pid}/task`) ? readdirSync(`/proc/${pid}/task`).length : 0);

const cannot =
  (process.platform !== 'linux' && 'only Linux shows it so') || (spawnSync('cc', ['--version']).status !== 0 && 'there is no C compiler');

test('guardian ends a process whose main thread has ended', { skip: cannot }, async (t) => {
  const dir = folder(t);
  const program = path.join(dir, 'program');
  const { status, stderr } = spawnSync('cc', ['-O', '-pthread', '-o', program, file(dir, 'program.c', C)], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  for (const controlGroups of [false, true]) {
    for (const [name, [place, kind]] of Object.entries(KINDS)) {
      await t.test(`${name}, ${controlGroups ? 'with' : 'without'} control groups`, async (t) => {
        const out = path.join(dir, `${controlGroups}-${place}${kind}`);
        const command = `${program} x${kind} ${out}`;
        const line = place === 'L' ? `exec ${command}` : `${command} & sleep 60`;
        const host = await guarded(t, `engine.execute(programs.shell(${JSON.stringify(line)}));`, {
          config: { killGraceMs: 1_500, controlGroups },
        });
        const said = () => (existsSync(out) ? readFileSync(out, 'utf8').split('\n') : []);
        const up = await until(() => said().find((word) => word.startsWith('up ')), 'it is up');
        const pid = Number(up.slice(3));
        t.after(() => threadsOf(pid) > 1 && process.kill(pid, 'SIGKILL'));
        assert.equal(statOf(pid).state, 'Z', 'its main thread has ended');
        const guardian = await guardianOf(host.pid);
        host.kill('SIGKILL');
        await until(() => !isAlive(guardian), 'the guardian has done its work');
        const words = said().map((word) => word.split(' ')[0]);
        assert.deepEqual(words, ['up', 'TERM', ...(kind.includes('i') ? [] : ['exit']), '']);
        assert.ok(threadsOf(pid) <= 1, 'no thread is left');
      });
    }
  }
});
