// A process whose first thread has ended while another one runs is alive, although the system shows it as a zombie.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { file, folder, shell, until, untilWritten } from './helpers/programs.mjs';

/** Ends its first thread alone. Its words: where it writes its pid, and whether it ignores SIGTERM. */
const PROGRAM = `
import ctypes, os, signal, sys, threading, time
if sys.argv[2] == 'ignores': signal.signal(signal.SIGTERM, signal.SIG_IGN)
first = os.getpid()
def second():
    while open(f'/proc/{first}/stat').read().rsplit(') ')[1][0] != 'Z': time.sleep(0.01)
    with open(sys.argv[1] + '.part', 'w') as mark: print(first, file=mark)
    os.rename(sys.argv[1] + '.part', sys.argv[1])
    while True: time.sleep(60)
threading.Thread(target=second).start()
ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[os.uname().machine], 0)
`;
const hasPython =
  process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch) && spawnSync('python3', ['-c', 'import ctypes']).status === 0;
const skip = !hasPython && 'there is no python3';

const hasThreads = (pid) => {
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) => !/\) [ZX] /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1')));
  } catch {
    return false;
  }
};

/** Lines of a shell: the process as the command itself, as a child in its group, and as a daemon that has closed its ties. */
const PLACES = {
  'the command itself': (program) => `exec ${program}`,
  'a child': (program) => `${program} & sleep 300`,
  'a daemon in a session of its own': (program) => `(setsid ${program} </dev/null >/dev/null 2>&1 &); sleep 300`,
};

async function started(t, engine, place, reaction) {
  const dir = folder(t);
  const mark = path.join(dir, 'pid');
  file(dir, 'program.py', PROGRAM);
  const id = await engine.execute(shell(PLACES[place](`python3 ${dir}/program.py ${mark} ${reaction}`)));
  await untilWritten(mark);
  const pid = Number(readFileSync(mark, 'utf8'));
  t.after(() => hasThreads(pid) && process.kill(pid, 'SIGKILL'));
  return { id, pid };
}

for (const controlGroups of [true, false]) {
  describe(`with controlGroups: ${controlGroups}`, { skip }, () => {
    for (const place of Object.keys(PLACES)) {
      test(`${place} gets the stop signal`, async (t) => {
        const engine = newEngine(t, { killGraceMs: 60_000, controlGroups });
        const { id, pid } = await started(t, engine, place, 'ends');
        const cancelled = engine.cancel(id);
        await until(() => !hasThreads(pid), 'it has ended');
        await cancelled;
        const { killed } = engine.getResult(id);
        assert.ok(killed.pids.includes(pid), JSON.stringify(killed));
        assert.match(killed.mechanism, /^SIGTERM to the group/);
      });

      test(`${place} is killed when it ignores that`, async (t) => {
        const engine = newEngine(t, { killGraceMs: 200, controlGroups });
        const { id, pid } = await started(t, engine, place, 'ignores');
        await engine.cancel(id);
        const { killed } = engine.getResult(id);
        assert.ok(!hasThreads(pid), JSON.stringify(killed));
        assert.ok(killed.pids.includes(pid), JSON.stringify(killed));
        assert.match(killed.mechanism, /SIGTERM .* then SIGKILL/);
        assert.doesNotMatch(killed.mechanism, /unreaped/);
      });
    }
  });
}
