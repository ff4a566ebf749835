// The package loads, and runs a command, where other code has changed or frozen the prototypes of the language before.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

import { VERSION, install } from './helpers/installations.mjs';
import { folder } from './helpers/programs.mjs';

/** Runs a command in a process of its own, in which `before` has run before the package is loaded. */
function runAfter(before) {
  const program = `
    const { writeSync } = require('node:fs');
    ${before}
    const { ExecutionEngine } = require('@escher/execution-engine');
    const engine = new ExecutionEngine({ secrets: ['a secret'], hostEnv: { ...process.env, NAME: 'value' } });
    const lines = [];
    engine.on('stdout', (event) => lines.push(event.line));
    engine.run({ command: { type: 'exec', program: process.execPath, args: ['-e', 'console.log(1)'] } })
      .then(({ stdout }) => engine.run({ command: { type: 'exec', program: '/no/such' } }).catch((error) => [stdout.trim(), lines, error.code]))
      .then((seen) => writeSync(1, JSON.stringify(seen)));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], {
    cwd: new URL('..', import.meta.url),
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  assert.deepEqual(stdout && JSON.parse(stdout), ['1', ['1'], 'SPAWN_FAILED'], stderr);
}

for (const name of ['get', 'set', 'value', 'writable', 'configurable']) {
  test(`with a property "${name}" of each object`, () => {
    for (const value of ['7', '() => 7']) runAfter(`Object.prototype[${JSON.stringify(name)}] = ${value};`);
  });
}

for (const name of ['file', 'flaw', 'found', 'isInstalled', 'tooOld', 'target', 'override']) {
  test(`with a property "${name}" of each object, or a setter of it`, () => {
    runAfter(`Object.prototype.${name} = '7';`);
    runAfter(`Object.defineProperty(Object.prototype, '${name}', { set() { throw new Error('theirs'); } });`);
  });
}

test('with frozen prototypes', () => {
  runAfter(`
    for (const name of Object.getOwnPropertyNames(globalThis).filter((one) => /^[A-Z]/.test(one))) {
      const value = globalThis[name];
      if (typeof value !== 'function') continue;
      Object.freeze(value);
      if (value.prototype) Object.freeze(value.prototype);
    }`);
});

test('a property of each object names no addon: only a variable of the environment does', (t) => {
  const file = path.join(folder(t), 'other.node');
  const before = `Object.prototype.NAPI_RS_NATIVE_LIBRARY_PATH = ${JSON.stringify(file)};`;
  assert.deepEqual(install(t).load({ before }), { loaded: VERSION });
});
