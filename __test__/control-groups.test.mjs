// The control groups of a host are its own: another host does not remove them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';

import { groupOfThisProcess, groupsOfThisHost } from './helpers/control-groups.mjs';
import { newEngine } from './helpers/engine.mjs';
import { nothing } from './helpers/programs.mjs';

const PACKAGE = new URL('../index.js', import.meta.url).href;
const OTHER = `
import { ExecutionEngine } from ${JSON.stringify(PACKAGE)};
const engine = new ExecutionEngine();
const { status } = await engine.run({ command: { type: 'exec', program: 'true' } });
await engine.shutdown();
console.log(status);
`;

for (const [where, words] of [
  ['in the same process id namespace', []],
  ['in another process id namespace', ['unshare', '-p', '-f', '--mount-proc']],
]) {
  test(`a host ${where} leaves them alone`, async (t) => {
    const engine = newEngine(t);
    await engine.run(nothing);
    if (!groupOfThisProcess() || !existsSync(groupOfThisProcess()) || groupsOfThisHost().length === 0)
      return t.skip('no control groups can be made');
    if (words.length > 0 && spawnSync(words[0], [...words.slice(1), 'true']).status !== 0) return t.skip('no namespace can be made');
    const [program, ...args] = [...words, process.execPath, '--input-type=module', '-e', OTHER];
    const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    assert.equal(stdout, 'completed\n', stderr);
    assert.equal(groupsOfThisHost().length, 1, 'it is still there');
    for (let count = 0; count < 5; count += 1) assert.equal((await engine.run(nothing)).status, 'completed');
    return undefined;
  });
}
