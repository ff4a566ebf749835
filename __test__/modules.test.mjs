// The package loads both ways, with the same classes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import defaultExport, { ExecutionEngine, ExecutionError } from '../index.js';
import * as namespace from '../index.js';
import targets from '../lib/targets.js';
import { BUNDLE, bundle } from '../scripts/bundle.mjs';
import { host } from './helpers/hosts.mjs';

const { TARGETS } = targets;
const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

test('require and import give the same classes', () => {
  const required = require('../index.js');
  assert.equal(required.ExecutionEngine, ExecutionEngine);
  assert.equal(required.ExecutionError, ExecutionError);
  assert.equal(defaultExport, required);
  assert.deepEqual(Object.keys(required).sort(), ['ExecutionEngine', 'ExecutionError', 'toSvg', 'toTrace', 'version']);
  assert.deepEqual(
    Object.keys(namespace)
      .filter((name) => !['default', 'module.exports'].includes(name))
      .sort(),
    ['ExecutionEngine', 'ExecutionError', 'toSvg', 'toTrace', 'version'],
  );
});

test('the package finds itself by its name', () => {
  assert.equal(require('@escher/execution-engine').ExecutionEngine, ExecutionEngine);
});

test('loading the package loads no streams, workers or performance hooks: each has a dozen modules of Node.js', () => {
  const code = `
    const before = new Set(process.moduleLoadList);
    require(${JSON.stringify(path.join(root, 'index.js'))});
    console.log(JSON.stringify(process.moduleLoadList.filter((name) => !before.has(name))));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' });
  assert.equal(stderr, '');
  const loaded = JSON.parse(stdout).map((name) => name.replace('NativeModule ', ''));
  assert.deepEqual(
    loaded.filter((name) =>
      /^(stream|perf_hooks|worker_threads|child_process|readline|events)$|streams\/|abort_controller|perf\//.test(name),
    ),
    [],
  );
  assert.ok(loaded.length < 10, loaded.join(', '));
});

test('what is loaded is made of lib as it is now', () => {
  assert.ok(readFileSync(path.join(root, BUNDLE), 'utf8') === bundle().code, 'it is of another day: npm run build');
  assert.deepEqual(Object.keys(JSON.parse(bundle().map)).includes('sourcesContent'), true);
  assert.equal(readFileSync(path.join(root, `${BUNDLE}.map`), 'utf8'), bundle().map);
  const stream = new ExecutionEngine().stream({});
  stream.result.catch(() => {});
  const names = [ExecutionEngine, ExecutionError, stream.constructor, namespace.toSvg].map(({ name }) => name);
  assert.deepEqual(names, ['ExecutionEngine', 'ExecutionError', 'ExecutionStream', 'toSvg']);
});

test('each target has a package, and the loader names it and no other', () => {
  const { napi } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const named = [...readFileSync(path.join(root, BUNDLE), 'utf8').matchAll(/require\("@escher\/execution-engine-([\w-]+)"\)/g)].map(
    ([, target]) => target,
  );
  assert.deepEqual(named.sort(), TARGETS.toSorted());
  assert.deepEqual(readdirSync(path.join(root, 'npm')).sort(), TARGETS.toSorted());
  assert.equal(napi.targets.length, TARGETS.length);
});

test('the addon and the package have one version', () => {
  const [, ofCrate] = /^version = "(.*)"$/m.exec(readFileSync(path.join(root, 'Cargo.toml'), 'utf8'));
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  assert.deepEqual([ofCrate, namespace.version], [version, version]);
});

test('a require does the whole round trip', async () => {
  const { code, stdout, stderr } = await host(`
    import { createRequire } from 'node:module';
    const { ExecutionEngine: Required } = createRequire(${JSON.stringify(import.meta.url)})('../index.js');
    console.log((await new Required().run(programs.shell('echo hi'))).stdout.trim(), Required === ExecutionEngine);
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'hi true\n', stderr: '' });
});

test('a copy that require made anew works beside the first', async () => {
  const { code, stdout, stderr } = await host(`
    import { createRequire } from 'node:module';
    const require = createRequire(${JSON.stringify(import.meta.url)});
    const first = require('../index.js');
    for (const name of Object.keys(require.cache)) if (!name.endsWith('.node')) delete require.cache[name];
    const second = require('../index.js');
    const results = await Promise.all([first, second].map(({ ExecutionEngine }) => new ExecutionEngine().run(programs.shell('echo hi'))));
    console.log(results.map((result) => result.stdout.trim()).join());
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'hi,hi\n', stderr: '' });
});

test('a class needs new, and may be extended', async (t) => {
  assert.throws(() => ExecutionEngine(), TypeError);
  class Own extends ExecutionEngine {
    get isOwn() {
      return true;
    }
  }
  const own = new Own();
  t.after(() => own.shutdown());
  assert.ok(own instanceof ExecutionEngine && own.isOwn);
  assert.equal((await own.run({ command: { type: 'exec', program: 'true' } })).status, 'completed');
});

test('a method on anything else fails, and does not crash', async () => {
  const names = [
    'execute',
    'run',
    'waitForCompletion',
    'cancel',
    'cancelAll',
    'getStatus',
    'getResult',
    'listExecutions',
    'removeExecution',
    'cleanup',
    'getStats',
    'getConcurrencyMetrics',
    'shutdown',
    'ref',
    'unref',
  ];
  for (const name of names) {
    assert.equal(typeof ExecutionEngine.prototype[name], 'function', name);
    for (const receiver of [{}, undefined, Object.create(ExecutionEngine.prototype)]) {
      await assert.rejects(async () => ExecutionEngine.prototype[name].call(receiver, {}), Error, name);
    }
  }
});
