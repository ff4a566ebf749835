// The control groups of a host are its own: another host does not remove them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { nothing } from './helpers/programs.mjs';

/** The folder of this process in the version 2 hierarchy, if there is one. */
function home() {
  if (process.platform !== 'linux') return undefined;
  const mount = /^(?:\S+ ){3}(\S+) (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8'));
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'));
  return mount && own ? path.join(mount[2], path.relative(mount[1], own[1])) : undefined;
}

const groups = () => readdirSync(home()).filter((name) => name.startsWith('escher-') && name.endsWith(`-${process.pid}`));
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
    if (!home() || !existsSync(home()) || groups().length === 0) return t.skip('no control groups can be made');
    if (words.length > 0 && spawnSync(words[0], [...words.slice(1), 'true']).status !== 0) return t.skip('no namespace can be made');
    const [program, ...args] = [...words, process.execPath, '--input-type=module', '-e', OTHER];
    const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    assert.equal(stdout, 'completed\n', stderr);
    assert.equal(groups().length, 1, 'it is still there');
    for (let count = 0; count < 5; count += 1) assert.equal((await engine.run(nothing)).status, 'completed');
    return undefined;
  });
}
