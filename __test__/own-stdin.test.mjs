// A path in a request never reads the host's own standard input.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';

import { folder } from './helpers/programs.mjs';

const PACKAGE = new URL('../index.js', import.meta.url).href;

const HOST = `
  import { createInterface } from 'node:readline';
  import { ExecutionEngine } from ${JSON.stringify(PACKAGE)};
  const engine = new ExecutionEngine();
  const answers = [];
  for (const path of ['/dev/stdin', '/dev/fd/0']) {
    const command = { type: 'script', path };
    await engine.run({ command }).catch((error) => answers.push(error.code));
    const { stdout } = await engine.run({ command: { ...command, interpreter: 'sh' } }, { stdin: 'echo own input' });
    answers.push(stdout.trim());
  }
  await engine.shutdown();
  for await (const line of createInterface({ input: process.stdin })) answers.push(line);
  console.log(JSON.stringify(answers));
`;

test('a script path /dev/stdin leaves the input of the host to the host', { skip: process.platform === 'win32' }, () => {
  const env = { ...process.env, NODE_OPTIONS: '' };
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', HOST], {
    input: '#!/bin/sh\nfor the host\n',
    encoding: 'utf8',
    timeout: 30_000,
    env,
  });
  assert.equal(status, 0, stderr);
  const one = ['SPAWN_FAILED', 'own input'];
  assert.deepEqual(JSON.parse(stdout), [...one, ...one, '#!/bin/sh', 'for the host']);
});

/** Paths of the input of the host, by the number of its process. `DIR` is a folder. */
const NUMBERED = `
  import { symlinkSync } from 'node:fs';
  const pid = process.pid;
  symlinkSync('/proc/' + pid + '/fd/0', process.env.DIR + '/link');
  symlinkSync('link', process.env.DIR + '/link-to-link');
  symlinkSync('/proc/' + pid, process.env.DIR + '/host');
  const ofHost = ['/proc/' + pid + '/fd/0', '/proc/' + pid + '/task/' + pid + '/fd/0', '/proc/' + pid + '/task/../fd/0', '/proc/self/root/proc/' + pid + '/fd/0',
    process.env.DIR + '/link', process.env.DIR + '/link-to-link', process.env.DIR + '/host/fd/0'];
  symlinkSync('/dev/stdin', process.env.DIR + '/stdin');
  const ofOpener = ['/proc/self/fd/0', '/proc/thread-self/fd/0', '/proc/self/task/../fd/0', '/dev/../dev/fd/0', process.env.DIR + '/stdin'];
`;

const HOST_OF_NUMBERS = `
  ${NUMBERED}
  import { createInterface } from 'node:readline';
  import { ExecutionEngine } from ${JSON.stringify(PACKAGE)};
  const engine = new ExecutionEngine({ defaultTimeoutMs: 10_000 });
  const answers = [];
  const answer = (path, interpreter, options) => engine.run({ command: { type: 'script', path, interpreter } }, options).then(
    ({ status, stdout }) => answers.push([path, status, stdout]),
    ({ code, message }) => answers.push([path, code, /command.path|interpreter/.test(message)]),
  );
  for (const path of ofHost) for (const interpreter of [undefined, 'sh']) await answer(path, interpreter);
  for (const path of ofOpener) await answer(path);
  const refused = answers.splice(0);
  for (const path of ofOpener) await answer(path, 'sh', { stdin: 'echo own input' });
  await engine.shutdown();
  const rest = [];
  for await (const line of createInterface({ input: process.stdin })) rest.push(line);
  console.log(JSON.stringify({ refused, run: answers, rest }));
`;

test('nor does a path by the number of the host, a symbolic link, or a detour', {
  skip: process.platform !== 'linux' && 'there is no /proc',
}, (t) => {
  const env = { ...process.env, NODE_OPTIONS: '', DIR: folder(t) };
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', HOST_OF_NUMBERS], {
    input: '#!/bin/sh\necho for the host\n',
    encoding: 'utf8',
    timeout: 60_000,
    env,
  });
  assert.equal(status, 0, stderr);
  const { refused, run, rest } = JSON.parse(stdout);
  assert.equal(refused.length, 7 * 2 + 5);
  for (const [path, code, hasRemedy] of refused) assert.deepEqual([code, hasRemedy], ['SPAWN_FAILED', true], path);
  for (const [path, ...result] of run) assert.deepEqual(result, ['completed', 'own input\n'], path);
  assert.deepEqual(rest, ['#!/bin/sh', 'echo for the host']);
});
