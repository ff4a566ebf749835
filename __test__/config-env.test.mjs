// The environment has one variable for each setting, and only set variables count.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failureNow } from './helpers/outcomes.mjs';

const { properties, $defs: definitions } = JSON.parse(readFileSync(new URL('../schema/config.json', import.meta.url), 'utf8'));
const camel = (snake) => snake.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const read = (env) => ExecutionEngine.configFromEnv(env);

test('each setting has its variable', async (t) => {
  for (const [name, property] of Object.entries(properties)) {
    await t.test(property['x-variable'], () => {
      const usual = `EXEC_${name.toUpperCase()}`;
      const [text, value] = sample(property);
      const wanted = { [camel(name)]: value };
      assert.deepEqual(read({ [usual]: text }), wanted);
      assert.deepEqual(read({ [property['x-variable']]: text }), wanted);
    });
  }
});

/** Returns a text for a variable, and its meaning. */
function sample({ type, minimum = 0, $ref, default: usual, 'x-variable': variable }) {
  const own = {
    EXEC_RETRY: ['{"attempts": 2}', { attempts: 2, backoffMs: 1_000, maxBackoffMs: 30_000, on: ['exit', 'signal', 'timeout', 'spawn'] }],
    EXEC_LIMITS: ['{"open_files": 9}', { openFiles: 9 }],
    EXEC_TERMINAL: ['{"columns": 9}', { columns: 9, rows: 24 }],
    EXEC_HOST_ENV: ['{"MY_VAR": "x"}', { MY_VAR: 'x' }],
  }[variable];
  if (own) return own;
  if (variable === 'EXEC_SECRETS') return ['first secret, second secret', ['first secret', 'second secret']];
  if (type === 'boolean') return ['false', false];
  if (type === 'object') return ['{ "A_*": 2 }', { 'A_*': 2 }];
  if (type === 'array') return [' A_*, B ', ['A_*', 'B']];
  if ($ref) {
    const words = definitions[$ref.split('/').at(-1)].oneOf.map((word) => word.const);
    const word = words.findLast((one) => one !== usual);
    // In the environment, a strategy may also be written as a type.
    const text = word === 'stream_to_file' ? 'StreamToFile' : word;
    return [text, camel(word)];
  }
  if (type.includes('string')) return ['/var/log/x', '/var/log/x'];
  return [String(minimum + 1), minimum + 1];
}

test('a terminal is a flag or a size', () => {
  for (const [text, terminal] of [
    ['1', { columns: 80, rows: 24 }],
    ['false', false],
    ['{"rows": 5}', { columns: 80, rows: 5 }],
  ])
    assert.deepEqual(read({ EXEC_TERMINAL: text }), { terminal });
  for (const [env, field] of [
    [{ EXEC_TERMINAL: '80x24' }, 'EXEC_TERMINAL'],
    [{ EXEC_TERMINAL: '{"rows": 0}' }, 'EXEC_TERMINAL.rows'],
    [{ EXEC_LIMITS: '{"open_files": 0}' }, 'EXEC_LIMITS.open_files'],
    [{ EXEC_RETRY: '3' }, 'EXEC_RETRY'],
    [{ EXEC_RETRY: '{"attempts": 2, "on_output": [{"regex": "("}]}' }, 'EXEC_RETRY.on_output[0]'],
    [{ EXEC_HOST_ENV: 'A=b' }, 'EXEC_HOST_ENV'],
    [{ EXEC_GROUPS: 'a,b\0' }, 'EXEC_GROUPS[1]'],
  ])
    assert.equal(failureNow(() => read(env), 'INVALID_CONFIG').field, field);
});

test('what is not set is not there', () => {
  assert.deepEqual(read({}), {});
  assert.deepEqual(read({ PATH: '/bin', EXEC_MAX_TIMEOUT_MS: '', EXEC_KILL_GRACE_MS: undefined, EXEC_OTHERS: '1' }), {});
});

test('true and 1, false and 0', () => {
  for (const [text, flag] of [
    ['true', true],
    ['TRUE', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ]) {
    assert.deepEqual(read({ EXEC_STREAM_OUTPUT: text }), { streamOutput: flag });
  }
});

test('an older word for what happens to too much output', () => {
  assert.deepEqual(read({ EXEC_TRUNCATE_LARGE_OUTPUT: 'false' }), { truncateLargeOutput: false });
  const error = failureNow(
    () => read({ EXEC_TRUNCATE_LARGE_OUTPUT: 'false', EXEC_OVERSIZED_OUTPUT_STRATEGY: 'truncate_with_warning' }),
    'INVALID_CONFIG',
  );
  assert.equal(error.field, 'EXEC_TRUNCATE_LARGE_OUTPUT');
});

const REFUSED = [
  [{ EXEC_DEFAULT_TIMEOUT_MS: 'soon' }, 'EXEC_DEFAULT_TIMEOUT_MS', /it is a string of length 4: give a whole number/],
  [{ EXEC_DEFAULT_TIMEOUT_MS: '0' }, 'EXEC_DEFAULT_TIMEOUT_MS', /out of range/],
  [{ EXEC_DEFAULT_TIMEOUT_MS: '-1' }, 'EXEC_DEFAULT_TIMEOUT_MS', /give a whole number/],
  [{ EXEC_DEFAULT_TIMEOUT_MS: 'NaN' }, 'EXEC_DEFAULT_TIMEOUT_MS', /give a whole number/],
  [{ EXEC_DEFAULT_TIMEOUT_MS: 'Infinity' }, 'EXEC_DEFAULT_TIMEOUT_MS', /give a whole number/],
  [{ EXEC_DEFAULT_TIMEOUT_MS: '1e3' }, 'EXEC_DEFAULT_TIMEOUT_MS', /give a whole number/],
  [{ EXEC_MAX_LINE_BYTES: '2147483648' }, 'EXEC_MAX_LINE_BYTES', /out of range/],
  [{ EXEC_MAX_RETAINED_OUTPUT_BYTES: '9007199254740992' }, 'EXEC_MAX_RETAINED_OUTPUT_BYTES', /2\^53/],
  [{ EXEC_MAX_CONCURRENT: '1.5' }, 'EXEC_MAX_CONCURRENT', /give a whole number/],
  [{ EXEC_STREAM_OUTPUT: 'maybe' }, 'EXEC_STREAM_OUTPUT', /give true or false/],
  [{ EXEC_CONCURRENCY_POLICY: 'wait' }, 'EXEC_CONCURRENCY_POLICY', /give "queue" or "reject"/],
  [{ EXEC_STOP_SIGNAL: 'SIGKILL' }, 'EXEC_STOP_SIGNAL', /give "SIGTERM" or "SIGINT" or "SIGHUP" or "SIGQUIT" or "SIGUSR1" or "SIGUSR2"/],
  [{ EXEC_STOP_ORDER: 'group' }, 'EXEC_STOP_ORDER', /give "tree" or "leader"/],
  [{ EXEC_HOST_EXIT_GRACE_MS: '-1' }, 'EXEC_HOST_EXIT_GRACE_MS', /give a whole number/],
  [{ EXEC_ALLOW_DETACHED: 'maybe' }, 'EXEC_ALLOW_DETACHED', /give true or false/],
  [{ EXEC_MAX_TIMOUT_MS: '1' }, 'EXEC_MAX_TIMOUT_MS', /did you mean `EXEC_MAX_TIMEOUT_MS`/],
  [{ EXEC_MAX_CONCURRENT: '1', EXEC_MAX_CONCURRENT_EXECUTIONS: '2' }, 'EXEC_MAX_CONCURRENT', /contradicts EXEC_MAX_CONCURRENT_EXECUTIONS/],
  [{ EXEC_DEFAULT_TIMEOUT_MS: '2', EXEC_MAX_TIMEOUT_MS: '1' }, 'EXEC_DEFAULT_TIMEOUT_MS', /2 is above/],
  [{ EXEC_LOG_DIR: 7 }, 'EXEC_LOG_DIR', /it is a number: give a string/],
];
for (const [env, field, reported] of REFUSED) {
  test(`refused: ${JSON.stringify(env)}`, () => {
    const error = failureNow(() => read(env), 'INVALID_CONFIG');
    assert.equal(error.field, field);
    assert.match(error.message, reported);
  });
}

test('an environment is an object', () => {
  for (const wrong of ['x', 7, null, []]) failureNow(() => read(wrong), 'INVALID_CONFIG');
});

test('by default it is that of the process', (t) => {
  process.env.EXEC_KILL_GRACE_MS = '17';
  t.after(() => delete process.env.EXEC_KILL_GRACE_MS);
  assert.equal(read().killGraceMs, 17);
  assert.equal(newEngine(t, read()).config.killGraceMs, 17);
});
