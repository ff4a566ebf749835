// A shell line may be anything: it may begin with a dash, be very long, and be strict.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, file, folder, hasBusybox, shell } from './helpers/programs.mjs';

const unix = { skip: process.platform === 'win32' && 'cmd.exe has rules of its own' };
const SHELLS = ['/bin/sh', '/bin/bash', '/bin/dash', undefined];
const usual = SHELLS.slice(0, 2).findLast((name) => existsSync(name));
const withBash = { skip: unix.skip || (!existsSync('/bin/bash') && 'there is no bash') };
const installed = (engine, name) => engine.run(exec('test', '-x', name)).then((result) => result.success);
const line = (command, more) => ({ command: { type: 'shell', command, ...more } });
const padding = (length) => `: ${'x'.repeat(length)}\n`;

/** Calls back for each shell that is here. */
async function eachShell(engine, work) {
  for (const name of SHELLS) if (!name || (await installed(engine, name))) await work(name);
}

test('a line that begins with a dash or a plus is a command', unix, async (t) => {
  const engine = newEngine(t);
  await eachShell(engine, async (name) => {
    for (const word of ['-v', '+x', '-c', '--version', '-']) {
      const { exitCode, stderr, stdout } = await engine.run(line(word, { shell: name }));
      assert.deepEqual([exitCode, stdout], [127, ''], `${name} ${word}`);
      assert.match(stderr, /not found/);
    }
    assert.equal((await engine.run(line('-v 2>/dev/null; echo "$0 $#"', { shell: name }))).stdout, `${name ?? usual} 0\n`);
  });
});

test('a line of any length runs as a short one does', unix, async (t) => {
  const engine = newEngine(t);
  await eachShell(engine, async (name) => {
    // Busybox counts lines from 0 or from 1.
    const about = `echo "$0|$#|$-|${hasBusybox ? '' : '${LINENO:-none}'}"; [ -e /proc/self/fd/3 ] && echo open; exit 7`;
    const short = await engine.run(line(about, { shell: name }));
    for (const length of [131_060, 131_069, 131_070, 131_071, 131_072, 140_000, 3_000_000]) {
      const { exitCode, stdout, stderr } = await engine.run(line(`${about}; ${padding(length)}`, { shell: name }));
      assert.deepEqual([exitCode, stdout, stderr], [short.exitCode, short.stdout, ''], `${name} ${length}`);
    }
    const { stdout } = await engine.run(
      { ...line(`${padding(200_000)}cat; echo "$A"; false || echo last`, { shell: name }), env: { A: 'b' } },
      { stdin: 'input\n' },
    );
    assert.equal(stdout, 'input\nb\nlast\n', 'its input is its own');
  });
  const dashed = await engine.run(line(`-v ${'x'.repeat(200_000)}`));
  assert.equal(dashed.exitCode, 127);
});

test('a long line is seen neither in the list of processes nor among the descriptors of a child', {
  skip: process.platform !== 'linux' && 'it reads /proc',
}, async (t) => {
  const engine = newEngine(t);
  const secret = 'a-token-that-is-never-shown';
  // The shell that reads the line as it goes has it itself; none has it among what its children get.
  const look = `tr "\\0" "\\n" < /proc/$$/cmdline; ls -l ${hasBusybox ? '' : '/proc/$$/fd '}/proc/self/fd`;
  const { stdout } = await engine.run(line(`T=${secret}; ${look}; : ${'x'.repeat(140_000)}`));
  assert.ok(!stdout.includes(secret));
  assert.match(stdout, / 2 -> /, 'descriptors are listed');
  assert.doesNotMatch(stdout, /memfd|shell-line/);
});

test('an argument that is too long is E2BIG, with a remedy', unix, async (t) => {
  const error = await failure(() => newEngine(t).run(exec('echo', 'x'.repeat(140_000))), 'SPAWN_FAILED');
  assert.equal(error.result.error.errno, 'E2BIG');
  assert.match(error.message, /stdin or in a file/);
});

test('a strict line ends at the first failure', withBash, async (t) => {
  const engine = newEngine(t);
  const strict = (command, more) => engine.run(line(command, { strict: true, ...more }));
  for (const [command, code] of [
    ['false; echo no', 1],
    ['(exit 5) | cat; echo no', 5],
    ['echo "$NOT_SET_HERE"; echo no', 1],
  ]) {
    const { exitCode, stdout } = await strict(command);
    assert.ok(exitCode === code || exitCode === 127, `${command}: ${exitCode}`);
    assert.equal(stdout, '', command);
    const long = await strict(`${command}\n${padding(140_000)}`);
    assert.equal(long.exitCode, exitCode);
    assert.equal((await engine.run(line(command, { strict: false }))).exitCode, 0);
  }
  assert.equal(
    (await strict('echo "$0"; [[ $- == *e*u* ]] && bash -c \'echo "$-"\'', { shell: 'bash' })).stdout.match(/e.*u/),
    null,
    'its children are as they were',
  );
  assert.equal((await strict('-v || echo "$SHELLOPTS" | grep -c errexit.*nounset.*pipefail')).stdout, '1\n');
  const plan = await engine.runPlan({
    description: 'one',
    strategy: { type: 'serial' },
    commands: [line('false; echo no', { strict: true })],
  });
  assert.equal(plan.results[0].exitCode, 1);
});

test('a strict line needs a bash', unix, async (t) => {
  const engine = newEngine(t);
  const wrong = await failure(() => engine.run(line('true', { strict: true, shell: '/bin/sh' })), 'INVALID_REQUEST');
  assert.equal(wrong.field, 'command.shell');
  assert.match(wrong.message, /`strict`/);
  const type = await failure(() => engine.run(line('true', { strict: 'yes' })), 'INVALID_REQUEST');
  assert.equal(type.field, 'command.strict');
  assert.equal(
    (await failure(() => engine.run({ command: { type: 'exec', program: 'true', strict: true } }), 'INVALID_REQUEST')).field,
    'command.strict',
  );
  const missing = await failure(
    () => engine.run({ ...line('true', { strict: true, shell: 'bash' }), env: { PATH: folder(t) } }),
    'SPAWN_FAILED',
  );
  assert.match(missing.message, /shell "bash" was not found/);
  assert.equal(missing.result.error.errno, 'ENOENT');
  assert.equal((await engine.run(line('true', { strict: true, shell: '/no/such/bash' })).catch((error) => error)).code, 'SPAWN_FAILED');
});

test('strict is a part of the wire form', withBash, async (t) => {
  const wire = { command: { type: 'shell', command: 'false; echo no', strict: true } };
  const request = ExecutionEngine.parseRequest(wire);
  assert.deepEqual(request.command, wire.command);
  assert.equal((await newEngine(t).run(request)).exitCode, 1);
  assert.deepEqual(ExecutionEngine.parseRequest(line('ls', { strict: false })).command, { type: 'shell', command: 'ls' });
});

test('a script of the same length is no matter', unix, async (t) => {
  const name = file(folder(t), 'long.sh', `#!/bin/sh\n${padding(200_000)}echo end\n`);
  assert.equal((await newEngine(t).run({ command: { type: 'script', path: name } })).stdout, 'end\n');
  assert.equal((await newEngine(t).run(shell(`echo begin; . ${name}`))).stdout, 'begin\nend\n');
});
