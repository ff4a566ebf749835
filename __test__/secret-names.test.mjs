// A secret that is used as a name, such as that of an unknown field, is masked in the refusal.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { folder, nothing } from './helpers/programs.mjs';

/** The secrets: a plain one, and some with characters that a path shows as escapes. */
const SECRETS = ['hunter22', 'hunter "22\n', 'hunter22.max_x'];

async function refused(work, where) {
  let error;
  try {
    await work();
  } catch (caught) {
    error = caught;
  }
  assert.ok(error?.code, `${where}: it is refused`);
  const shown = [error.message, error.field, error.stack, inspect(error, { depth: 6 })].join('\n');
  assert.ok(!shown.includes('hunter'), `${where}: ${error.message}`);
  return shown;
}

const plan = { description: 'two', commands: [nothing, nothing], strategy: { type: 'serial' } };

/** The calls, each of which gives a name at some depth. */
const CALLS = {
  request: (engine, name, options) => engine.run({ ...nothing, [name]: 1 }, options),
  command: (engine, name, options) => engine.run({ command: { ...nothing.command, [name]: 1 } }, options),
  'a symbol': (engine, name, options) => engine.run({ ...nothing, [Symbol(name)]: 1 }, options),
  variable: (engine, name, options) => engine.run({ ...nothing, env: { [name]: 1 } }, options),
  'a variable with a NUL': (engine, name, options) => engine.run({ ...nothing, env: { [name]: 'a\0b' } }, options),
  'half of a pair': (engine, name, options) => engine.run({ ...nothing, env: { [name]: '\ud800' } }, options),
  metadata: (engine, name, options) => engine.run({ ...nothing, metadata: { a: [{ [name]: 1n }] } }, options),
  options: (engine, name, options) => engine.run(nothing, { ...options, [name]: 1 }),
  retry: (engine, name, options) => engine.run(nothing, { ...options, retry: { attempts: 2, [name]: 1 } }),
  stream: (engine, name, options) => engine.stream({ ...nothing, [name]: 1 }, options).result,
  plan: (engine, name, options) => engine.runPlan({ ...plan, [name]: 1 }, options),
  strategy: (engine, name, options) => engine.runPlan({ ...plan, strategy: { type: 'serial', [name]: 1 } }, options),
  step: (engine, name, options) =>
    engine.runPlan({ ...plan, commands: [nothing, { command: { ...nothing.command, [name]: 1 } }] }, options),
  'plan options': (engine, name, options) => engine.runPlan(plan, { ...options, [name]: 1 }),
  'step options': (engine, name, options) => engine.runPlan(plan, { ...options, steps: { 1: { retry: { attempts: 2, [name]: 1 } } } }),
  'variable of a step': (engine, name, options) =>
    engine.runPlan({ ...plan, commands: [{ ...nothing, env: { [`${name}=a`]: 'b' } }] }, options),
};

/** Calls whose options have no secrets of their own. */
const OTHERS = {
  filter: (engine, name) => engine.listExecutions({ [name]: 1 }),
  cancel: (engine, name) => engine.cancel('4a1c7b36-7a3c-4b4e-9a2e-0d5c7e5f8a10', { [name]: 1 }),
  cancelAll: (engine, name) => engine.cancelAll({ [name]: 1 }),
  shutdown: (engine, name) => engine.shutdown({ [name]: 1 }),
  readLogs: (engine, name) => engine.readLogs('4a1c7b36-7a3c-4b4e-9a2e-0d5c7e5f8a10', { [name]: 1 }),
  addSecret: (engine, name) => engine.addSecret('another secret', { [name]: 1 }),
};

test('a secret of the configuration', async (t) => {
  const engine = newEngine(t, { secrets: SECRETS });
  for (const [where, call] of Object.entries({ ...CALLS, ...OTHERS }))
    for (const name of SECRETS) assert.match(await refused(() => call(engine, name), where), /\*\*\*/, where);
});

test('a secret that was added', async (t) => {
  const engine = newEngine(t);
  for (const secret of SECRETS) engine.addSecret(secret);
  for (const [where, call] of Object.entries({ ...CALLS, ...OTHERS }))
    for (const name of SECRETS) await refused(() => call(engine, name), where);
});

test('a secret of the options', async (t) => {
  const engine = newEngine(t);
  const getter = {
    get secrets() {
      return SECRETS;
    },
  };
  for (const [where, call] of Object.entries(CALLS))
    for (const name of SECRETS)
      for (const options of [{ secrets: SECRETS }, getter]) await refused(() => call(engine, name, options), where);
  await refused(() => engine.runPlan({ ...plan, hunter22: 1 }, { steps: { 0: { secrets: SECRETS } } }), 'of a step');
});

test('a secret of a configuration that is refused', async (t) => {
  const directory = folder(t);
  for (const name of SECRETS) {
    await refused(() => new ExecutionEngine({ secrets: SECRETS, [name]: 1 }), 'config');
    await refused(() => new ExecutionEngine({ secrets: SECRETS, [Symbol(name)]: 1 }), 'a symbol');
    await refused(() => new ExecutionEngine({ secrets: SECRETS, overflowDir: { [name]: '\ud800' } }), 'half of a pair');
    const key = JSON.stringify(name);
    const secrets = JSON.stringify(SECRETS);
    const files = {
      'a.toml': `secrets = ${secrets}\n${key} = 1\n`,
      'b.toml': `${key} = 1\n[execution]\nsecrets = ${secrets}\n`,
      'a.json': `{ "secrets": ${secrets}, ${key}: 1 }`,
      'b.json': `{ ${key}: 1, "execution": { "secrets": ${secrets} } }`,
      'c.json': `{ "secrets": ${secrets}, ${key}: 1, ${key}: 2 }`,
    };
    for (const [file, text] of Object.entries(files)) {
      writeFileSync(path.join(directory, file), text);
      const shown = await refused(() => ExecutionEngine.configFromFile(path.join(directory, file)), file);
      assert.match(shown, /, line \d/, file);
    }
  }
  await refused(() => ExecutionEngine.configFromEnv({ EXEC_SECRETS: 'EXEC_GUARDIEN,hunter22', EXEC_GUARDIEN: 'hunter22' }), 'a variable');
});

/** Sets variables that look secret. */
function withVariables(t) {
  SECRETS.forEach((secret, index) => {
    const name = `ENGINE_TEST_${index}_TOKEN`;
    process.env[name] = secret;
    t.after(() => delete process.env[name]);
  });
}

test('a value of a variable that looks secret', async (t) => {
  withVariables(t);
  const [engine, other] = [newEngine(t, { maskEnvSecrets: true }), newEngine(t)];
  for (const name of SECRETS) {
    for (const [where, call] of Object.entries({ ...CALLS, ...OTHERS }))
      assert.match(await refused(() => call(engine, name), where), /\*\*\*/, where);
    for (const [where, call] of Object.entries(CALLS)) await refused(() => call(other, name, { maskEnvSecrets: true }), where);
    await refused(() => other.runPlan({ ...plan, [name]: 1 }, { steps: { 0: { maskEnvSecrets: true } } }), 'of a step');
    await refused(() => new ExecutionEngine({ maskEnvSecrets: true, [name]: 1 }), 'config');
  }
});

test('a value of a variable of the request, and of names that a configuration adds', async (t) => {
  const engine = newEngine(t, { maskEnvSecrets: true, envSecretPatterns: ['MINE_*'] });
  const env = { MINE_1: 'hunter22' };
  await refused(() => engine.run({ ...nothing, env, hunter22: 1 }), 'request');
  await refused(() => engine.run({ ...nothing, env }, { hunter22: 1 }), 'options');
  await refused(() => engine.runPlan({ ...plan, commands: [nothing, { ...nothing, env, hunter22: 1 }] }), 'plan');
  process.env.MINE_2 = 'hunter22';
  t.after(() => delete process.env.MINE_2);
  await refused(() => new ExecutionEngine({ maskEnvSecrets: true, envSecretPatterns: ['MINE_*'], hunter22: 1 }), 'config');
});

test('in what no engine reads, a secret of any engine and a value of a variable that looks secret', async (t) => {
  const engine = newEngine(t, { secrets: ['hunter22'] });
  engine.addSecret('hunter 33');
  const wires = (name) => [{ [name]: 1 }, { command: { type: 'exec', program: 'true', [name]: 1 } }, { env: { [name]: 1 } }];
  const reads = {
    parseRequest: (name) => wires(name).map((wire) => () => ExecutionEngine.parseRequest(wire)),
    'parseRequest of text': (name) => wires(name).map((wire) => () => ExecutionEngine.parseRequest(JSON.stringify(wire))),
  };
  for (const [where, of] of Object.entries(reads))
    for (const name of ['hunter22', 'hunter 33']) for (const read of of(name)) await refused(read, where);
  const env = { API_TOKEN: 'hunter44' };
  await refused(() => ExecutionEngine.parseRequest({ ...nothing, env, hunter44: 1 }), 'of the request');
  await refused(() => ExecutionEngine.parseRequest(JSON.stringify({ ...nothing, env, hunter44: 1 })), 'of the text');
  process.env.ENGINE_TEST_TOKEN = 'hunter55';
  t.after(() => delete process.env.ENGINE_TEST_TOKEN);
  await refused(() => ExecutionEngine.parseRequest({ ...nothing, hunter55: 1 }), 'of the host');
  const file = path.join(folder(t), 'a.toml');
  writeFileSync(file, 'hunter55 = 1\n');
  await refused(() => ExecutionEngine.configFromFile(file), 'of a file');
});
