// A configuration is checked when the engine is made, and can be read with every default.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failure, failureNow, refusal } from './helpers/outcomes.mjs';
import { nameOf, notFlag, notObject, notText, notTexts, notWhole } from './helpers/values.mjs';

const DEFAULTS = {
  defaultTimeoutMs: 300_000,
  maxTimeoutMs: 3_600_000,
  streamOutput: true,
  mergeOutput: false,
  lines: 'pieces',
  maxConcurrentExecutions: 100,
  concurrencyPolicy: 'queue',
  maxQueuedExecutions: 10_000,
  groupLimits: {},
  groups: [],
  queueTimeoutMs: null,
  killGraceMs: 5_000,
  stopSignal: 'SIGTERM',
  stopOrder: 'tree',
  hostExitGraceMs: null,
  allowDetached: false,
  controlGroups: true,
  idleTimeoutMs: null,
  retry: null,
  limits: {},
  terminal: false,
  drainTimeoutMs: 500,
  leftovers: 'leave',
  maxLineBytes: 65_536,
  waitingAfterMs: 1_000,
  maxOutputSizeBytes: 10 * 1024 * 1024,
  oversizedOutputStrategy: 'truncateWithWarning',
  truncateLargeOutput: true,
  truncateKeep: 'both',
  encoding: 'utf8',
  overflowDir: null,
  maxOverflowFileBytes: 1024 ** 3,
  maxOverflowTotalBytes: 4 * 1024 ** 3,
  minFreeDiskBytes: 512 * 1024 ** 2,
  logDir: null,
  logFormat: 'raw',
  keepLogs: true,
  maxLogFileBytes: 1024 ** 3,
  maxLogTotalBytes: 16 * 1024 ** 3,
  secrets: [],
  maskEnvSecrets: false,
  envSecretPatterns: ['*TOKEN*', '*SECRET*', '*PASSWORD*', '*PASSWD*', '*CREDENTIAL*', '*PRIVATE_KEY*', '*API_KEY*', 'AWS_*KEY*'],
  guardian: true,
  hostEnv: null,
  inheritEnv: 'all',
  envAllow: [],
  envDeny: [],
  maxInMemoryExecutions: 1_000,
  executionRetentionSecs: 3_600,
  maxRetainedOutputBytes: 256 * 1024 * 1024,
  maxMetadataBytes: 64 * 1024,
  enableAutoCleanup: true,
  cleanupIntervalSecs: 60,
};
const CODE = 'INVALID_CONFIG';

test('every default', (t) => {
  assert.deepEqual({ ...newEngine(t).config }, DEFAULTS);
  assert.deepEqual({ ...newEngine(t, null).config }, DEFAULTS);
  assert.deepEqual({ ...newEngine(t, {}).config }, DEFAULTS);
});

test('null and undefined mean absent', (t) => {
  for (const absent of [null, undefined]) {
    const config = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, absent]));
    assert.deepEqual({ ...newEngine(t, config).config }, DEFAULTS);
  }
});

test('every field is taken', (t) => {
  const own = {
    defaultTimeoutMs: 1,
    maxTimeoutMs: 2,
    streamOutput: false,
    mergeOutput: true,
    lines: 'whole',
    maxConcurrentExecutions: 3,
    concurrencyPolicy: 'reject',
    maxQueuedExecutions: 0,
    groupLimits: { 'a_b:*': 2, c: 1 },
    groups: ['a', 'b_c'],
    queueTimeoutMs: 4,
    killGraceMs: 0,
    stopSignal: 'SIGINT',
    stopOrder: 'leader',
    hostExitGraceMs: 0,
    allowDetached: true,
    controlGroups: false,
    idleTimeoutMs: 5,
    retry: { attempts: 2, backoffMs: 1, maxBackoffMs: 2, on: ['exit', 7], onOutput: ['text', { regex: 'a_b+' }] },
    limits: { openFiles: 100, cpuSeconds: 7 },
    terminal: { columns: 100, rows: 30 },
    drainTimeoutMs: 0,
    leftovers: 'kill',
    maxLineBytes: 64,
    waitingAfterMs: 6,
    maxOutputSizeBytes: 0,
    oversizedOutputStrategy: 'truncateWithWarning',
    truncateLargeOutput: true,
    truncateKeep: 'tail',
    encoding: 'buffer',
    overflowDir: '/overflow',
    maxOverflowFileBytes: 0,
    maxOverflowTotalBytes: 1,
    minFreeDiskBytes: 0,
    logDir: '/logs',
    logFormat: 'jsonl',
    keepLogs: false,
    maxLogFileBytes: 0,
    maxLogTotalBytes: 1,
    secrets: ['a secret'],
    maskEnvSecrets: true,
    envSecretPatterns: ['MY_*'],
    guardian: false,
    hostEnv: { PATH: '/bin', my_var: 'x' },
    inheritEnv: 'core',
    envAllow: ['A_*', 'my_var'],
    envDeny: ['B?'],
    maxInMemoryExecutions: 0,
    executionRetentionSecs: 0,
    maxRetainedOutputBytes: 0,
    maxMetadataBytes: 0,
    enableAutoCleanup: false,
    cleanupIntervalSecs: 1,
  };
  assert.deepEqual(Object.keys(own).sort(), Object.keys(DEFAULTS).sort());
  assert.deepEqual({ ...newEngine(t, own).config }, own);
});

test('it is read-only, and a later change of what was given changes nothing', (t) => {
  const given = { maxConcurrentExecutions: 2, envAllow: ['A'] };
  const engine = newEngine(t, given);
  given.maxConcurrentExecutions = 9;
  given.envAllow.push('B');
  assert.equal(engine.config.maxConcurrentExecutions, 2);
  assert.throws(() => {
    engine.config.maxConcurrentExecutions = 5;
  }, TypeError);
  assert.throws(() => {
    engine.config = {};
  }, TypeError);
  assert.deepEqual(engine.config.envAllow, ['A']);
  assert.equal(engine.config, engine.config);
});

test('it can be given to the next engine', (t) => {
  const { config } = newEngine(t, { maxConcurrentExecutions: 7, idleTimeoutMs: 9 });
  assert.deepEqual(newEngine(t, config).config, config);
  assert.equal(newEngine(t, { ...config, killGraceMs: 1 }).config.maxConcurrentExecutions, 7);
});

const make = (config) => () => new ExecutionEngine(config);
const WHOLE = [
  'defaultTimeoutMs',
  'maxTimeoutMs',
  'maxConcurrentExecutions',
  'maxQueuedExecutions',
  'queueTimeoutMs',
  'killGraceMs',
  'hostExitGraceMs',
  'idleTimeoutMs',
  'drainTimeoutMs',
  'maxLineBytes',
  'waitingAfterMs',
  'maxOutputSizeBytes',
  'maxInMemoryExecutions',
  'executionRetentionSecs',
  'maxRetainedOutputBytes',
  'maxMetadataBytes',
  'maxOverflowFileBytes',
  'maxOverflowTotalBytes',
  'minFreeDiskBytes',
  'maxLogFileBytes',
  'maxLogTotalBytes',
  'cleanupIntervalSecs',
];
const NOT_ZERO = [
  'defaultTimeoutMs',
  'maxTimeoutMs',
  'maxConcurrentExecutions',
  'queueTimeoutMs',
  'idleTimeoutMs',
  'waitingAfterMs',
  'maxLineBytes',
  'cleanupIntervalSecs',
];
const TOO_LARGE = {
  defaultTimeoutMs: 3_600_001,
  maxTimeoutMs: 31_536_000_001,
  maxConcurrentExecutions: 100_001,
  maxQueuedExecutions: 10_000_001,
  queueTimeoutMs: 31_536_000_001,
  killGraceMs: 31_536_000_001,
  hostExitGraceMs: 31_536_000_001,
  idleTimeoutMs: 31_536_000_001,
  drainTimeoutMs: 31_536_000_001,
  waitingAfterMs: 31_536_000_001,
  maxLineBytes: 2 ** 31,
  maxOutputSizeBytes: 2 ** 31,
  maxInMemoryExecutions: 2 ** 31,
  cleanupIntervalSecs: 31_536_001,
};
for (const field of WHOLE) {
  test(field, async (t) => {
    const values = [...notWhole, ...(NOT_ZERO.includes(field) ? [0] : []), ...(field in TOO_LARGE ? [TOO_LARGE[field]] : [])];
    for (const value of values) await t.test(nameOf(value), () => refusal(make({ [field]: value }), CODE, field, value));
  });
}

const CHOICES = {
  concurrencyPolicy: ['Queue', ''],
  stopSignal: ['sigterm', 'TERM', 'SIGKILL', 'SIGSTOP', ''],
  stopOrder: ['Tree', 'group', ''],
  oversizedOutputStrategy: ['truncate', '', 'fail'],
  truncateKeep: ['middle', ''],
  encoding: ['latin1', ''],
  logFormat: ['json', ''],
  inheritEnv: ['ALL', ''],
  lines: ['Whole', 'partial', ''],
  leftovers: ['KILL', 'keep', ''],
};
for (const [field, more] of Object.entries(CHOICES)) {
  test(field, async (t) => {
    for (const value of [...notText, ...more]) {
      await t.test(nameOf(value), async () => {
        const error = await failure(make({ [field]: value }), CODE);
        assert.equal(error.field, field);
        assert.doesNotMatch(error.message, /[a-z]_[a-z]/, 'names are written as in JavaScript');
      });
    }
  });
}

for (const field of [
  'streamOutput',
  'mergeOutput',
  'allowDetached',
  'controlGroups',
  'guardian',
  'maskEnvSecrets',
  'keepLogs',
  'truncateLargeOutput',
  'enableAutoCleanup',
]) {
  test(field, async (t) => {
    for (const value of notFlag) await t.test(nameOf(value), () => refusal(make({ [field]: value }), CODE, field, value));
  });
}

for (const field of ['envAllow', 'envDeny', 'envSecretPatterns']) {
  test(field, async (t) => {
    for (const value of notTexts) await t.test(nameOf(value), () => refusal(make({ [field]: value }), CODE, field, value));
    for (const value of notText)
      await t.test(`[${nameOf(value)}]`, () => refusal(make({ [field]: ['A', value] }), CODE, `${field}[1]`, value));
    assert.equal(failureNow(make({ [field]: ['A', '['] }), CODE).field, `${field}[1]`);
  });
}

test('two words for what happens to too much output', () => {
  const error = failureNow(make({ truncateLargeOutput: false, oversizedOutputStrategy: 'truncateWithWarning' }), CODE);
  assert.equal(error.field, 'truncateLargeOutput');
  assert.match(error.message, /contradicts `oversizedOutputStrategy`/);
  assert.equal(new ExecutionEngine({ truncateLargeOutput: false }).config.oversizedOutputStrategy, 'failExecution');
  assert.equal(new ExecutionEngine({ oversizedOutputStrategy: 'failExecution' }).config.truncateLargeOutput, false);
});

test('the configuration itself', async (t) => {
  for (const value of notObject) await t.test(nameOf(value), () => refusal(make(value), CODE, 'config', value));
});

test('an unknown field is refused, with the nearest known name', async (t) => {
  const cases = [
    ['maxConcurrentExecution', 'maxConcurrentExecutions'],
    ['max_timeout_ms', 'maxTimeoutMs'],
    ['killGrace', undefined],
    ['enable_auto_cleanup', 'enableAutoCleanup'],
    ['overflowDir', undefined],
    ['secrets', undefined],
  ];
  for (const [field, meant] of cases) {
    await t.test(field, () => {
      const error = failureNow(make({ [field]: 1 }), CODE);
      assert.equal(error.field, field, error.message);
      if (meant) assert.ok(error.message.includes(`did you mean \`${meant}\``), error.message);
    });
  }
});

test('what a getter throws is a refusal too', () => {
  const config = {
    get maxTimeoutMs() {
      throw new Error('boom');
    },
  };
  const error = failureNow(make(config), CODE);
  assert.equal(error.field, 'maxTimeoutMs');
  assert.doesNotMatch(error.message, /boom/);
  assert.equal(error.cause.message, 'boom');
});
