// `readLogs` reads the file that was written, and `keepLogs: false` removes it: never what has taken its place.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { file, folder, shell } from './helpers/programs.mjs';

const posix = process.platform === 'win32' ? 'needs links and FIFOs' : false;

/** The things that can be put in the place of a log. */
const IN_PLACE = {
  'a symbolic link to a secret': (log, secret) => symlinkSync(secret, log),
  'a symbolic link to the log itself': (log) => {
    writeFileSync(`${log}.moved`, 'x');
    symlinkSync(`${log}.moved`, log);
  },
  'a hard link to a secret': (log, secret) => linkSync(secret, log),
  'a FIFO': (log) => execFileSync('mkfifo', [log]),
  'a directory': (log) => mkdirSync(log),
  'another file': (log) => writeFileSync(log, 'forged'),
  'another file, renamed': (log) => {
    writeFileSync(`${log}.new`, 'forged');
    renameSync(`${log}.new`, log);
  },
  nothing: () => {},
};

for (const [what, put] of Object.entries(IN_PLACE)) {
  test(`${what} in the place of a log is not read, and not removed`, { skip: posix }, async (t) => {
    const dir = folder(t);
    const secret = file(dir, 'secret', 'precious');
    for (const own of [true, false]) {
      const logDir = path.join(dir, own ? 'own' : 'asked');
      mkdirSync(logDir);
      const engine = newEngine(t, own ? { logDir, keepLogs: false } : {});
      const { id, logPath } = await engine.run({ ...shell('echo mine'), ...(own ? {} : { outputLogPath: path.join(logDir, 'a.log') }) });
      assert.equal(await engine.readLogs(id), 'mine\n');
      rmSync(logPath);
      put(logPath, secret);
      const was = existsSync(logPath);
      for (const options of [undefined, { tailBytes: 100 }]) {
        const error = await failure(() => engine.readLogs(id, options), 'LOG_NOT_FOUND');
        assert.ok(!/precious|forged/.test(error.message), error.message);
      }
      engine.removeExecution(id);
      assert.equal(existsSync(logPath), was, 'it stays');
    }
    assert.equal(readFileSync(secret, 'utf8'), 'precious');
  });
}

test('a log is not read before it is written: what was there may be anything', async (t) => {
  const outputLogPath = file(folder(t), 'old.log', 'from before\n', 0o600);
  const engine = newEngine(t, { maxConcurrentExecutions: 1 });
  const first = await engine.execute(shell('exec sleep 300'));
  const queued = await engine.execute({ ...shell('echo mine'), outputLogPath });
  await failure(() => engine.readLogs(queued), 'LOG_NOT_FOUND');
  await engine.cancel(first);
  await engine.waitForCompletion(queued);
  assert.equal(await engine.readLogs(queued), 'from before\nmine\n');
});

test('attempts of one execution are read as one log', async (t) => {
  const engine = newEngine(t, { logDir: folder(t) });
  const { id } = await engine.run(shell('echo try; exit 1'), { retry: { attempts: 3, backoffMs: 1, on: ['exit'] } });
  assert.equal(await engine.readLogs(id), 'try\ntry\ntry\n');
});
