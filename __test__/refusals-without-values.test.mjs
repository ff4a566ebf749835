// A refusal says the type and the length of a value, and never the value: it may be a secret in the wrong place.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, folder, nothing, shell } from './helpers/programs.mjs';

const SECRET = 'Tr0ub4dor-and-3-horses';
/** The values, with a secret at each possible place. */
const VALUES = [
  SECRET,
  `-${SECRET}`,
  `${SECRET}\0`,
  867530912345.5,
  -867530912345,
  867530912345,
  [SECRET],
  { a: SECRET },
  [[SECRET]],
  { [Symbol.toPrimitive]: () => SECRET },
  [{ b: [SECRET] }],
  new Map([[SECRET, SECRET]]),
  867530912345n,
  { [Symbol.toStringTag]: SECRET },
  [
    {
      get [Symbol.toStringTag]() {
        return SECRET;
      },
    },
  ],
];

async function showsNone(work, where) {
  let error;
  try {
    const result = await work();
    await result?.shutdown?.();
    return;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error.code, `${where}: ${error.stack}`);
  const shown = [error.message, error.field, error.stack, inspect(error, { depth: 6 })].join('\n');
  assert.ok(!/Tr0ub4dor|8675309/.test(shown), `${where}: ${error.message}`);
}

test('in no field of the configuration, the options and the request', async (t) => {
  const engine = newEngine(t);
  for (const value of VALUES) {
    for (const field of Object.keys(engine.config)) {
      // Folders are taken as they are.
      if (!/Dir$/.test(field)) await showsNone(() => new ExecutionEngine({ [field]: value }), `config.${field}`);
    }
    const options = [
      'stdin',
      'signal',
      'idleTimeoutMs',
      'killGraceMs',
      'stopSignal',
      'stopOrder',
      'allowDetached',
      'mergeOutput',
      'streamOutput',
      'lines',
      'maxOutputSizeBytes',
      'oversizedOutputStrategy',
      'truncateKeep',
      'drainTimeoutMs',
      'inheritEnv',
      'envAllow',
      'envDeny',
      'maskEnvSecrets',
      'leftovers',
      'priority',
      'groups',
      'retry',
      'encoding',
      'hostEnv',
      'limits',
      'unknown',
    ];
    for (const field of options)
      await showsNone(() => engine.run(nothing, { [field]: field === 'secrets' ? 1 : value }), `options.${field}`);
    for (const field of ['attempts', 'backoffMs', 'maxBackoffMs', 'on', 'onOutput'])
      await showsNone(() => engine.run(nothing, { retry: { attempts: 2, [field]: value } }), `options.retry.${field}`);
    for (const field of ['id', 'workingDir', 'env', 'timeoutMs', 'outputLogPath', 'metadata', 'unknown']) {
      if (field !== 'workingDir' || typeof value !== 'string')
        await showsNone(() => engine.run({ ...nothing, [field]: value }), `request.${field}`);
    }
    for (const type of ['exec', 'shell', 'script', 'aws_cli', value]) {
      // The value of a program, shell line or path is not tested here: it is named when it does not exist.
      for (const field of ['args', 'service', 'region', 'profile', 'unknown'])
        await showsNone(
          () => engine.run({ command: { type, program: 'true', command: 'true', path: '/dev/null', service: 's3', [field]: value } }),
          `command.${field}`,
        );
    }
    await showsNone(() => engine.run(value), 'request');
    await showsNone(() => engine.run(nothing, value), 'options');
    await showsNone(() => new ExecutionEngine(value), 'config');
    await showsNone(() => engine.executePlan({ commands: [nothing], strategy: value }), 'strategy');
    await showsNone(() => engine.executePlan({ commands: [nothing], strategy: { type: value } }), 'strategy.type');
    await showsNone(() => engine.executePlan({ commands: value, strategy: { type: 'serial' } }), 'commands');
  }
});

test('in no method', async (t) => {
  const engine = newEngine(t);
  const { id } = await engine.run(nothing);
  for (const value of VALUES) {
    for (const method of [
      'waitForCompletion',
      'cancel',
      'getStatus',
      'getResult',
      'getLogPath',
      'readLogs',
      'removeExecution',
      'waitForPlan',
      'cancelPlan',
      'listExecutions',
      'signal',
    ]) {
      if (engine[method]) await showsNone(async () => void (await engine[method](value)), method);
    }
    await showsNone(() => engine.cancel(id, { graceMs: value }), 'graceMs');
    await showsNone(() => engine.readLogs(id, { tailBytes: value }), 'tailBytes');
    await showsNone(() => engine.signal(id, value), 'signal');
    await showsNone(async () => engine.addSecret(id, { executionId: value }), 'addSecret');
    await showsNone(async () => void ExecutionEngine.configFromEnv({ EXEC_MAX_LINE_BYTES: value }), 'configFromEnv');
    await showsNone(async () => void ExecutionEngine.parseRequest(value), 'parseRequest');
  }
});

test('in no file of settings and in no text', async (t) => {
  const dir = folder(t);
  mkdirSync(dir, { recursive: true });
  const texts = {
    toml: [
      `max_line_bytes = "${SECRET}"`,
      `max_line_bytes = ${SECRET}`,
      `stop_signal = '${SECRET}'`,
      `a = "${SECRET}`,
      `secrets = ["ok-${SECRET}", 5`,
    ],
    json: [`{"maxLineBytes": "${SECRET}"}`, `{"a": ${SECRET}}`, `["${SECRET}"]`, `"${SECRET}"`, `{"env_deny": ["${SECRET}", 5]}`],
  };
  for (const [type, list] of Object.entries(texts)) {
    for (const [index, text] of list.entries()) {
      const file = path.join(dir, `${index}.${type}`);
      writeFileSync(file, text);
      await showsNone(async () => void ExecutionEngine.configFromFile(file), text);
      await showsNone(async () => void ExecutionEngine.parseRequest(text), text);
    }
  }
});

test('the path of a log in a result has its secrets masked', async (t) => {
  const outputLogPath = path.join(folder(t), `${SECRET}.log`);
  const engine = newEngine(t, { secrets: [SECRET] });
  const { logPath, id } = await engine.run({ ...shell('echo x'), outputLogPath });
  assert.match(logPath, /\/\*\*\*\.log$/);
  assert.equal(await engine.readLogs(id), 'x\n');
  const error = await failure(() => engine.run({ ...exec('true'), outputLogPath: path.join(outputLogPath, 'x') }), 'LOG_FAILED');
  assert.ok(!inspect([error, error.result], { depth: 9 }).includes(SECRET), error.message);
});

test('nor what the code of the caller throws while it is read', async (t) => {
  const engine = newEngine(t);
  const thrower = {
    get a() {
      throw new Error(SECRET);
    },
  };
  for (const work of [
    () => engine.run({ ...nothing, metadata: thrower }),
    () =>
      engine.run({
        ...nothing,
        get env() {
          throw new Error(SECRET);
        },
      }),
    () =>
      engine.run(nothing, {
        get signal() {
          throw new Error(SECRET);
        },
      }),
    () =>
      engine.run(nothing, {
        signal: {
          get aborted() {
            throw new Error(SECRET);
          },
          addEventListener() {},
        },
      }),
  ]) {
    const error = await failure(work, 'INVALID_REQUEST');
    assert.ok(!error.message.includes(SECRET), error.message);
    assert.equal(error.cause.message, SECRET);
  }
  await showsNone(() => engine.run({ ...nothing, env: { [`TOKEN=${SECRET}`]: '' } }), 'a name with its value');
});
