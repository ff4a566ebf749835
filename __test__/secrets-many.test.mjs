// Many or large secrets hold up neither the event loop nor the memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec } from './helpers/programs.mjs';

const MIB = 1024 * 1024;
const many = (count) => Array.from({ length: count }, (_, index) => `s3cret-number-${index}-of-many`);

test('a variable of 4 MiB', async (t) => {
  const engine = newEngine(t, { maskEnvSecrets: true, inheritEnv: 'core' });
  const name = 'ENGINE_TEST_TOKEN';
  process.env[name] = 'x'.repeat(4 * MIB);
  t.after(() => delete process.env[name]);
  const before = process.memoryUsage().rss;
  for (let round = 0; round < 5; round++) assert.equal((await engine.run(exec('echo', 'xyz'))).stdout, 'xyz\n');
  // Copies of it, and nothing that is larger by far.
  assert.ok(process.memoryUsage().rss - before < 200 * MIB, `${(process.memoryUsage().rss - before) / MIB} MiB more`);
});

test('10 000 secrets of an engine, and as many of each execution', async (t) => {
  const engine = newEngine(t, { secrets: many(10_000) });
  const own = many(10_000).map((secret) => `own-${secret}`);
  // The longest time on this thread, compared with work that must take it.
  const copying = performance.now();
  JSON.parse(JSON.stringify(own));
  const unit = Math.max(performance.now() - copying, 5);
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    const running = engine.run(exec('echo', own[9_999], 's3cret-number-9999-of-many', 'public'), { secrets: own });
    const took = performance.now() - start;
    assert.equal((await running).stdout, '*** *** public\n');
    assert.ok(took < 100 * unit, `${took} ms, and ${unit} ms for a copy`);
  }
});

test('more than the documented number and size are refused', async (t) => {
  const engine = newEngine(t);
  const tooLarge = ['x'.repeat(17 * MIB)];
  for (const secrets of [many(100_001), tooLarge]) {
    const error = await failure(() => engine.run(exec('true'), { secrets }), 'INVALID_REQUEST');
    assert.equal(error.field, 'options.secrets');
    assert.ok(error.message.length < 300, error.message);
    const refused = await failure(async () => new ExecutionEngine({ secrets }), 'INVALID_CONFIG');
    assert.equal(refused.field, 'secrets');
  }
  await failure(() => engine.run({ ...exec('true'), env: { MY_TOKEN: tooLarge[0] } }, { maskEnvSecrets: true }), 'INVALID_REQUEST');
});
