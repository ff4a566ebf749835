// The variables of this process, which the addon reads by itself where it can: no code can observe which way was used.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SHARE_ENV, Worker } from 'node:worker_threads';

import { recordedEngine } from './helpers/engine.mjs';
import { exec } from './helpers/programs.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const ENV = exec('/usr/bin/env', '-0');

async function variables(engine) {
  const { stdout } = await engine.run(ENV);
  return new Map(
    stdout
      .split('\0')
      .slice(0, -1)
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** Returns the variables of JavaScript in the form in which a child has them. */
function expected() {
  return new Map(Object.entries(process.env));
}

async function checkAll(engine, what) {
  const seen = await variables(engine);
  seen.delete('ESCHER_EXECUTION_ID');
  assert.deepEqual(new Map([...seen].sort()), new Map([...expected()].sort()), what);
}

test('every change is seen by the next command', async (t) => {
  const { engine } = recordedEngine(t);
  const names = Array.from({ length: 200 }, (_, index) => `ENGINE_OWN_${index}`);
  t.after(() => names.forEach((name) => delete process.env[name]));
  await checkAll(engine, 'at first');
  for (const name of names) process.env[name] = name.toLowerCase();
  await checkAll(engine, 'many more');
  process.env.ENGINE_OWN_7 = 'x'.repeat(20_000);
  process.env.ENGINE_OWN_8 = '';
  process.env.ENGINE_OWN_9 = 'é\n=\u{1F600}';
  delete process.env.ENGINE_OWN_0;
  await checkAll(engine, 'longer, empty, not ASCII, gone');
  for (const name of names) delete process.env[name];
  await checkAll(engine, 'all gone');
});

test('two commands of one turn have what was there at the call of each', async (t) => {
  const { engine } = recordedEngine(t);
  t.after(() => delete process.env.ENGINE_OWN);
  const runs = ['a', 'b', 'c'].map((value) => {
    process.env.ENGINE_OWN = value;
    return variables(engine);
  });
  assert.deepEqual(
    (await Promise.all(runs)).map((seen) => seen.get('ENGINE_OWN')),
    ['a', 'b', 'c'],
  );
});

for (const [what, put] of Object.entries({
  'a copy of it': (env) => ({ ...env }),
  'an object that refuses nothing and has no prototype': (env) => Object.assign(Object.create(null), env),
  'a proxy': (env) => new Proxy(env, { get: (target, name) => (name === 'ENGINE_OWN' ? 'by the proxy' : target[name]) }),
  'a copy that is frozen': (env) => Object.freeze({ ...env, ENGINE_OWN: 'frozen' }),
})) {
  test(`what a program puts in the place of process.env counts: ${what}`, async (t) => {
    const { engine } = recordedEngine(t);
    const before = process.env;
    t.after(() => {
      process.env = before;
      delete process.env.ENGINE_OWN;
    });
    await checkAll(engine, 'before');
    process.env.ENGINE_OWN = 'a';
    process.env = put(process.env);
    const names = Object.getOwnPropertyNames(process.env);
    await checkAll(engine, 'put');
    assert.deepEqual(Object.getOwnPropertyNames(process.env), names, 'nothing is left in it');
    if (!Object.isFrozen(process.env)) {
      process.env.ENGINE_OWN_LATER = 'b';
      await checkAll(engine, 'changed');
      delete process.env.ENGINE_OWN_LATER;
    }
    process.env = before;
    await checkAll(engine, 'back');
  });
}

test('a worker that shares the variables changes them all the time, and no command has anything else', async (t) => {
  const { engine } = recordedEngine(t);
  const values = ['x', 'y'.repeat(100), 'z'.repeat(5_000)];
  const source = `
    const values = ${JSON.stringify(values)};
    const { parentPort } = require('node:worker_threads');
    parentPort.postMessage('begun');
    let stop = false;
    parentPort.on('message', () => { stop = true; });
    (function change(round) {
      for (let index = 0; index < 100; index++) {
        const name = 'ENGINE_SHARED_' + (round + index) % 40;
        if (index % 3 === 0) delete process.env[name];
        else process.env[name] = values[(round + index) % values.length];
      }
      if (stop) return parentPort.close();
      setImmediate(change, round + 1);
    })(0);`;
  const worker = new Worker(source, { eval: true, env: SHARE_ENV });
  await new Promise((resolve) => worker.once('message', resolve));
  const others = new Map([...expected()].filter(([name]) => !name.startsWith('ENGINE_SHARED_')));
  for (let round = 0; round < 100; round++) {
    const seen = await variables(engine);
    seen.delete('ESCHER_EXECUTION_ID');
    for (const [name, value] of seen) {
      if (!name.startsWith('ENGINE_SHARED_')) assert.equal(value, others.get(name), name);
      else assert.ok(values.includes(value), `${name} is ${JSON.stringify(value.slice(0, 100))}`);
    }
    for (const name of others.keys()) assert.ok(seen.has(name), name);
  }
  worker.postMessage('stop');
  await new Promise((resolve) => worker.once('exit', resolve));
  for (const name of Object.keys(process.env)) if (name.startsWith('ENGINE_SHARED_')) delete process.env[name];
  await checkAll(engine, 'afterwards');
});

test('variables that are no UTF-8 are those that JavaScript reads', async () => {
  const program = `
    const { ExecutionEngine } = require('./index.js');
    const engine = new ExecutionEngine();
    engine.run({ command: { type: 'exec', program: '/usr/bin/env', args: ['-0'] } }, { encoding: 'buffer' }).then(({ stdout }) => {
      const entries = stdout.toString('latin1').split('\\0');
      const of = (name) => Buffer.from(entries.find((entry) => entry.startsWith(name + '=')).slice(name.length + 1), 'latin1');
      if (!of('BROKEN').equals(Buffer.from(process.env.BROKEN))) throw new Error(of('BROKEN').toString('hex'));
      if (of('WHOLE').toString() !== 'é') throw new Error(of('WHOLE').toString('hex'));
      console.log('same');
    });`;
  const script = 'BROKEN=$(printf "a\\377b") WHOLE=é exec "$0" -e "$1"';
  const { stdout, stderr } = spawnSync('/bin/sh', ['-c', script, process.execPath, program], { cwd: root, encoding: 'utf8' });
  assert.equal(stdout, 'same\n', stderr);
});
