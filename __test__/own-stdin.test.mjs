// What a request names never reads the host's own standard input.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';

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
