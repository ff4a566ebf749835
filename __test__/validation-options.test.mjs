// Options are host policy, checked as strictly as requests; what is not there yet is refused, never ignored.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { failure, failureNow, refusal } from './helpers/outcomes.mjs';
import { nothing } from './helpers/programs.mjs';
import { nameOf, notFlag, notObject, notText, notTexts, notWhole } from './helpers/values.mjs';

const CODE = 'INVALID_REQUEST';

async function refused(t, name, values) {
  const engine = newEngine(t);
  for (const value of values) {
    await t.test(nameOf(value), () => refusal(() => engine.run(nothing, { [name]: value }), CODE, `options.${name}`, value));
  }
  assert.equal(engine.getStats().total, 0, 'nothing was accepted');
}

test('the options themselves', async (t) => {
  const engine = newEngine(t);
  for (const value of notObject) await t.test(nameOf(value), () => refusal(() => engine.run(nothing, value), CODE, 'options', value));
});

test('idleTimeoutMs', (t) => refused(t, 'idleTimeoutMs', [...notWhole, 0]));
test('killGraceMs', (t) => refused(t, 'killGraceMs', [...notWhole, 365 * 24 * 3_600_000 + 1]));
test('stopSignal', (t) => refused(t, 'stopSignal', [...notText, '', 'TERM', 'sigterm', 'SIGTREM', 'SIGKILL', 'SIGSTOP']));
test('a misspelt stop signal is suggested', async (t) => {
  const engine = newEngine(t);
  for (const [stopSignal, meant] of [
    ['SIGTREM', 'SIGTERM'],
    ['sigint', 'SIGINT'],
    ['TERM', 'SIGTERM'],
    ['hup', 'SIGHUP'],
    ['SIGUSR3', 'SIGUSR1'],
  ]) {
    for (const call of [() => engine.run(nothing, { stopSignal }), () => newEngine(t, { stopSignal })]) {
      const error = await failure(call, call.toString().includes('run') ? CODE : 'INVALID_CONFIG');
      assert.match(error.message, new RegExp(`did you mean "${meant}"\\?`));
    }
  }
  for (const stopSignal of ['SIGKILL', 'hunter2'])
    assert.match((await failure(() => engine.run(nothing, { stopSignal }), CODE)).message, /give "SIGTERM" or "SIGINT"/);
});
test('stopOrder', (t) => refused(t, 'stopOrder', [...notText, '', 'Leader', 'group']));
test('allowDetached', (t) => refused(t, 'allowDetached', notFlag));
test('mergeOutput', (t) => refused(t, 'mergeOutput', notFlag));
test('streamOutput', (t) => refused(t, 'streamOutput', notFlag));
test('lines', (t) => refused(t, 'lines', [...notText, '', 'Whole', 'lines']));
test('maxOutputSizeBytes', (t) => refused(t, 'maxOutputSizeBytes', [...notWhole, 2 ** 28 + 1]));
test('oversizedOutputStrategy', (t) => refused(t, 'oversizedOutputStrategy', [...notText, '', 'stream_to_file', 'StreamToFile', 'fail']));
test('truncateKeep', (t) => refused(t, 'truncateKeep', [...notText, '', 'Head', 'middle']));
test('drainTimeoutMs', (t) => refused(t, 'drainTimeoutMs', [...notWhole, 365 * 24 * 3_600_000 + 1]));
test('inheritEnv', (t) => refused(t, 'inheritEnv', [...notText, '', 'ALL', 'some']));
test('envAllow', (t) => refused(t, 'envAllow', notTexts));
test('envDeny', (t) => refused(t, 'envDeny', notTexts));
test('priority', (t) => refused(t, 'priority', [...notWhole.filter((value) => value !== -1), 2 ** 31, -(2 ** 31) - 1]));
test('leftovers', (t) => refused(t, 'leftovers', [...notText, '', 'KILL', 'keep']));
test('retry', async (t) => {
  const engine = newEngine(t);
  const refusedAt = (retry, field, value) => refusal(() => engine.run(nothing, { retry }), CODE, `options.retry${field}`, value);
  for (const value of notObject) await refusedAt(value, '', value);
  await refusedAt({}, '.attempts', undefined);
  for (const value of [...notWhole, 0, 1001]) await refusedAt({ attempts: value }, '.attempts', value);
  for (const value of notWhole) await refusedAt({ attempts: 2, backoffMs: value }, '.backoffMs', value);
  for (const value of [...notWhole, 365 * 24 * 3_600_000 + 1])
    await refusedAt({ attempts: 2, maxBackoffMs: value }, '.maxBackoffMs', value);
  for (const value of ['exit', 1, true, {}]) await refusedAt({ attempts: 2, on: value }, '.on', value);
  for (const value of ['Exit', '', 1.5, 2 ** 31, null, [], true]) await refusedAt({ attempts: 2, on: ['exit', value] }, '.on[1]', value);
  const error = await failure(() => engine.run(nothing, { retry: { attempts: 2, on: [] } }), CODE);
  assert.equal(error.field, 'options.retry.on');
  assert.match((await failure(() => engine.run(nothing, { retry: { attempts: 2, on: [0] } }), CODE)).message, /success/);
  assert.match((await failure(() => engine.run(nothing, { retry: { atempts: 2 } }), CODE)).message, /did you mean `attempts`/);
  assert.equal(engine.getStats().total, 0, 'nothing was accepted');
});
test('stdin', (t) =>
  refused(t, 'stdin', [
    0,
    5,
    true,
    1n,
    {},
    () => {},
    Symbol('s'),
    new Date(),
    /x/,
    new WeakMap(),
    Promise.resolve('text'),
    new URL('file:///tmp'),
  ]));
test('stdin[1]', async (t) => {
  const engine = newEngine(t);
  for (const chunk of [0, true, null, undefined, {}, ['a'], new Date()])
    await refusal(() => engine.run(nothing, { stdin: ['a', chunk] }), CODE, 'options.stdin[1]', chunk);
});
test('encoding', (t) => refused(t, 'encoding', [...notText, '', 'UTF8', 'utf-8', 'latin1']));
test('stdin: what is still to be called', (t) => refused(t, 'stdin', [async function* () {}, function* () {}]));
test('signal', (t) =>
  refused(t, 'signal', [
    'abort',
    1,
    true,
    1n,
    [],
    {},
    { aborted: false },
    () => {},
    Symbol('s'),
    new EventTarget(),
    new AbortController(),
  ]));

test('a bad glob is named with its index', async (t) => {
  const engine = newEngine(t);
  for (const name of ['envAllow', 'envDeny']) {
    for (const [index, list] of [
      [0, ['[']],
      [1, ['GOOD_*', '[z-a]']],
      [1, ['A', 5]],
    ]) {
      const error = await failure(() => engine.run(nothing, { [name]: list }), CODE);
      assert.equal(error.field, `options.${name}[${index}]`, error.message);
    }
  }
});

test('what is not there in this version is refused, whatever its value', async (t) => {
  const engine = newEngine(t);
  const later = {
    logDir: ['/tmp'],
    outputLogPath: ['/tmp/x.log'],
  };
  for (const [name, values] of Object.entries(later)) {
    for (const value of values) {
      await t.test(`${name}: ${nameOf(value)}`, async () => {
        const error = await failure(() => engine.run(nothing, { [name]: value }), CODE);
        assert.equal(error.field, `options.${name}`);
      });
    }
  }
  assert.equal(engine.getStats().total, 0);
});

test('an unknown option is refused, with the nearest known name', async (t) => {
  const engine = newEngine(t);
  for (const [wrong, meant] of [
    ['idletimeoutms', 'idleTimeoutMs'],
    ['kill_grace_ms', 'killGraceMs'],
    ['abortSignal', undefined],
    ['timeoutMs', undefined],
    ['Stdin', 'stdin'],
  ]) {
    await t.test(wrong, async () => {
      const error = await failure(() => engine.run(nothing, { [wrong]: undefined }), CODE);
      assert.equal(error.field, `options.${wrong}`, error.message);
      if (meant) assert.ok(error.message.includes(`did you mean \`${meant}\``), error.message);
      else assert.match(error.message, /known: .*idleTimeoutMs/);
    });
  }
});

test('the limits themselves are right', async (t) => {
  const engine = newEngine(t);
  for (const priority of [-(2 ** 31), -1, 0, 2 ** 31 - 1]) assert.equal((await engine.run(nothing, { priority })).status, 'completed');
  for (const killGraceMs of [0, 365 * 24 * 3_600_000]) assert.equal((await engine.run(nothing, { killGraceMs })).status, 'completed');
});

test('an id that is none', async (t) => {
  const engine = newEngine(t);
  const calls = ['getStatus', 'getResult', 'removeExecution'];
  for (const value of [undefined, null, 5, NaN, true, 1n, [], {}, () => {}, Symbol('s')]) {
    for (const name of calls) assert.equal(failureNow(() => engine[name](value), CODE).field, 'id');
    for (const name of ['waitForCompletion', 'cancel', 'signal'])
      assert.equal((await failure(() => engine[name](value, undefined), CODE)).field, 'id');
  }
  for (const value of ['', 'x', '../x', `${randomUUID()} `]) {
    for (const name of calls) failureNow(() => engine[name](value), 'NOT_FOUND');
    for (const name of ['waitForCompletion', 'cancel']) await failure(() => engine[name](value), 'NOT_FOUND');
    await failure(() => engine.signal(value, 'SIGUSR1'), 'NOT_FOUND');
  }
});

test('a filter', async (t) => {
  const engine = newEngine(t);
  const list = (filter) => () => engine.listExecutions(filter);
  for (const value of notObject) await refusal(list(value), CODE, 'filter', value);
  for (const value of notText) await refusal(list({ label: value }), CODE, 'filter.label', value);
  for (const value of [...notText, '', 'done', 'Running']) await refusal(list({ status: value }), CODE, 'filter.status', value);
  for (const value of notWhole) await refusal(list({ limit: value }), CODE, 'filter.limit', value);
  const error = await failure(list({ stauts: 'failed' }), CODE);
  assert.match(error.message, /did you mean `status`/);
  assert.deepEqual(engine.listExecutions({ limit: 0 }), []);
});
