// Variables on Windows: their names ignore case.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Worker } from 'node:worker_threads';

import { newEngine } from '../helpers/engine.mjs';
import { nodeRuns } from './helpers.mjs';

const SHOW = 'process.stdout.write(JSON.stringify(process.env))';

/** Returns the variables of a child whose names begin so, whatever their case. */
async function seen(engine, prefix, request = {}, options = {}) {
  const result = await engine.run({ ...nodeRuns(SHOW), ...request }, options);
  assert.equal(result.status, 'completed', result.stderr);
  const all = Object.entries(JSON.parse(result.stdout));
  return Object.fromEntries(all.filter(([name]) => name.toLowerCase().startsWith(prefix)));
}

test('a request replaces a variable whatever the case of its name', async (t) => {
  process.env.EscherOne = 'host';
  t.after(() => delete process.env.EscherOne);
  const engine = newEngine(t);
  assert.deepEqual(await seen(engine, 'escherone'), { EscherOne: 'host' });
  assert.deepEqual(await seen(engine, 'escherone', { env: { ESCHERONE: 'mine' } }), { ESCHERONE: 'mine' });
  const odd = { 'escher one': 'a=b "c" %d% ä' };
  assert.deepEqual(await seen(engine, 'escher one', { env: odd }), odd);
});

test('two spellings of one name are refused', async (t) => {
  const error = await newEngine(t)
    .run({ ...nodeRuns(SHOW), env: { Twin: '1', TWIN: '2' } })
    .catch((error) => error);
  assert.equal(error.code, 'INVALID_REQUEST');
  assert.match(error.field, /^env\.(Twin|TWIN)$/);
});

test('policy ignores case too', async (t) => {
  process.env.EscherSecret = 'x';
  t.after(() => delete process.env.EscherSecret);
  const engine = newEngine(t, { envDeny: ['ESCHERS*'] });
  assert.deepEqual(await seen(engine, 'eschersecret'), {});
  await assert.rejects(engine.run({ ...nodeRuns(SHOW), env: { eschersecret: '1' } }), { code: 'INVALID_REQUEST' });
  const core = await seen(engine, '', {}, { inheritEnv: 'core', envAllow: ['escher_execution*'] });
  const names = Object.keys(core).map((name) => name.toUpperCase());
  for (const name of ['PATH', 'SYSTEMROOT', 'ESCHER_EXECUTION_ID']) assert.ok(names.includes(name), `${name} is there`);
  await assert.rejects(engine.run({ ...nodeRuns(SHOW), env: { escher_execution_id: '1' } }), { code: 'INVALID_REQUEST' });
});

test('a worker whose copy of the variables has one name twice has it once in its children', async () => {
  const code = `
    import { parentPort } from 'node:worker_threads';
    import { ExecutionEngine } from ${JSON.stringify(new URL('../../index.js', import.meta.url).href)};
    process.env.EscherTwice = 'first';
    process.env.ESCHERTWICE = 'second';
    const engine = new ExecutionEngine();
    const args = ['-e', ${JSON.stringify(SHOW)}];
    const { stdout } = await engine.run({ command: { type: 'exec', program: process.execPath, args } });
    await engine.shutdown();
    parentPort.postMessage(JSON.parse(stdout));
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const env = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  await worker.terminate();
  assert.equal(Object.keys(env).filter((name) => name.toUpperCase() === 'ESCHERTWICE').length, 1);
});
