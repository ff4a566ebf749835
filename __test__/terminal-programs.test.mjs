// Programs that need a terminal work in one: prompts, pagers, editors, a REPL, progress displays.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine, uncut } from './helpers/engine.mjs';
import { exec, file, folder, hasBusybox, shell, until } from './helpers/programs.mjs';

const TERMINAL = { terminal: true };

/** Whether a program is on the PATH. */
const has = (name) => (process.env.PATH ?? '').split(path.delimiter).some((folder) => existsSync(path.join(folder, name)));

/** Defines a test that needs a program. Without it the test is skipped; where `.ci/run` has installed it, it fails. */
function withProgram(name, title, body) {
  const isMissing = process.platform === 'win32' || !has(name);
  if (isMissing && process.env.CI && process.platform === 'linux' && !hasBusybox) {
    test(title, () => assert.fail(`${name} is not installed`));
    return;
  }
  if (isMissing) console.error(`SKIPPED: there is no ${name} here`);
  test(title, { skip: isMissing && `there is no ${name} here` }, body);
}

/** Starts a command in a terminal: its output is shown, and it gets keys. */
async function start(t, request, options) {
  const { engine, events } = recordedEngine(t, { killGraceMs: 500 });
  const id = await engine.execute({ timeoutMs: 60_000, ...request }, { ...TERMINAL, ...options });
  const all = () =>
    events
      .of(id)
      .filter(({ type }) => type === 'data')
      .map(({ data }) => data)
      .join('');
  /** Waits until the terminal has shown a text after what was seen before. */
  let seen = 0;
  const shows = async (what) => {
    const found = await until(
      () => {
        const rest = all().slice(seen);
        const at = typeof what === 'string' ? rest.indexOf(what) : rest.search(what);
        return at >= 0 && { at };
      },
      `it shows ${what}`,
      30_000,
    ).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(all())}`));
    seen += found.at + 1;
  };
  return { engine, id, all, shows, keys: (data) => engine.write(id, data), end: () => engine.waitForCompletion(id) };
}

withProgram('ssh-keygen', 'ssh-keygen asks for a passphrase, twice and without an echo', async (t) => {
  const key = path.join(folder(t), 'key');
  const it = await start(t, exec('ssh-keygen', '-t', 'ed25519', '-f', key));
  await it.shows('passphrase');
  await it.keys('a long passphrase\n');
  await it.shows('again');
  await it.keys('a long passphrase\n');
  const { exitCode, stdout } = await it.end();
  assert.equal(exitCode, 0);
  assert.ok(!stdout.includes('a long passphrase'));
  assert.match(readFileSync(key, 'utf8'), /OPENSSH PRIVATE KEY/);
});

withProgram('sh', 'a program that reads a password from /dev/tty gets it', async (t) => {
  const line = 'stty -echo </dev/tty; printf "Password: " >/dev/tty; read -r word </dev/tty; stty echo </dev/tty; echo "${#word} letters"';
  const it = await start(t, shell(line));
  await it.shows('Password: ');
  await it.keys('correct horse\n');
  const { stdout } = await it.end();
  assert.match(stdout, /13 letters/);
  assert.ok(!stdout.includes('horse'));
});

withProgram('less', 'less shows a page, scrolls and quits', async (t) => {
  const text = file(folder(t), 'text', Array.from({ length: 500 }, (_, index) => `line ${index + 1}\n`).join(''));
  const it = await start(t, { ...exec('less', text), env: { LESS: '', LESSHISTFILE: '-' } });
  await it.shows('line 23');
  await it.keys(' ');
  await it.shows('line 46');
  await it.keys('G');
  await it.shows('line 500');
  await it.keys('q');
  assert.equal((await it.end()).exitCode, 0);
});

withProgram('vi', 'vi edits a file on the alternate screen', async (t) => {
  const text = file(folder(t), 'text', 'first\n');
  const it = await start(t, exec('vi', text));
  await it.shows('first');
  await it.keys('osecond\x1b');
  await it.shows('second');
  await it.keys(':wq\r');
  assert.equal((await it.end()).exitCode, 0);
  assert.equal(readFileSync(text, 'utf8'), 'first\nsecond\n');
});

withProgram('top', 'top shows processes until q, and in batches', async (t) => {
  const it = await start(t, exec('top'), { terminal: { columns: 120, rows: 30 } });
  await it.shows('PID');
  await it.keys('q');
  assert.equal((await it.end()).exitCode, 0);
  const batch = await start(t, exec('top', '-b', '-n', '1'));
  const { exitCode, stdout } = await batch.end();
  assert.equal(exitCode, 0);
  assert.match(stdout, /PID/);
});

withProgram('python3', 'the REPL of Python answers, and ends with the input', async (t) => {
  const it = await start(t, { ...exec('python3', '-i', '-q'), env: { PYTHON_BASIC_REPL: '1', PYTHONSTARTUP: '' } });
  await it.shows('>>> ');
  await it.keys('6 * 7\n');
  await it.shows('42');
  await it.shows('>>> ');
  await it.keys('import getpass; print(len(getpass.getpass()))\n');
  await it.shows('Password: ');
  await it.keys('hidden-word\n');
  await it.shows('11');
  await it.shows('>>> ');
  await it.engine.endInput(it.id);
  const { exitCode, stdout } = await it.end();
  assert.equal(exitCode, 0);
  assert.ok(!stdout.includes('hidden-word'));
});

withProgram('script', 'script runs a shell in a terminal within the terminal', async (t) => {
  const log = path.join(folder(t), 'typescript');
  const it = await start(
    t,
    { ...exec('script', '-q', '-c', 'tty; stty size; read -r word; echo "got $word"', log) },
    { terminal: { columns: 91, rows: 19 } },
  );
  await it.shows('19 91');
  await it.keys('inner\n');
  const { stdout } = await it.end();
  assert.match(stdout, /got inner/);
  assert.match(readFileSync(log, 'utf8'), /got inner/);
});

withProgram('tput', 'tput knows the size after a resize', async (t) => {
  const it = await start(t, shell('tput cols; while read -r line; do tput cols; tput lines; done'));
  await it.shows('80');
  await it.engine.resize(it.id, { columns: 137, rows: 41 });
  await it.keys('\n');
  await it.shows('137');
  await it.shows('41');
  await it.engine.endInput(it.id);
  assert.equal((await it.end()).exitCode, 0);
});

withProgram('sh', 'progress bars as of docker come as lines that are overwritten', async (t) => {
  const bars = `printf 'layer 1: waiting\\nlayer 2: waiting\\n'
    for part in 1 2 3; do printf '\\033[2A\\033[2K\\rlayer 1: %s/3\\n\\033[2K\\rlayer 2: %s/3\\n' $part $part; done
    for part in 20 60 100; do printf '\\r\\033[32m%s%%\\033[0m' $part; done; printf '\\n'`;
  const { lines } = await uncut(recordedEngine(t), shell(bars));
  const whole = lines.filter(({ carriageReturn }) => !carriageReturn).map(({ line }) => line);
  const ones = [1, 2, 3].flatMap((part) => [`layer 1: ${part}/3`, `layer 2: ${part}/3`]);
  assert.deepEqual(whole, ['layer 1: waiting', 'layer 2: waiting', ...ones, '100%']);
});

withProgram('tput', 'the alternate screen is in data, and not in lines', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id, stdout } = await engine.run(shell('tput smcup; tput cup 3 5; echo inside; tput rmcup; echo after'), TERMINAL);
  assert.match(stdout, /\x1b\[\?1049h.*inside.*\x1b\[\?1049l/s);
  assert.deepEqual(events.lines(id), ['inside', 'after']);
});
