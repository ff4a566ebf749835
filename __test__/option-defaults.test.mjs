// An engine may have defaults for absent options: `limits`, `hostEnv`, `groups`, `retry` and `terminal`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';

import { ExecutionEngine } from '../index.js';
import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure, failureNow } from './helpers/outcomes.mjs';
import { parallel, serial } from './helpers/plans.mjs';
import { exec, forever, nothing, shell } from './helpers/programs.mjs';
import { notObject, notTexts } from './helpers/values.mjs';

const PATH = process.env.PATH;
const onLinux = { skip: process.platform !== 'linux' && 'limits are of Linux' };
const onUnix = { skip: process.platform === 'win32' && 'commands have no terminals there' };

/** Returns the id of one execution that is accepted by a call for many. */
async function oneOfMany(engine, request, options) {
  const [{ status, value, reason }] = await engine.executeMany([request], options);
  assert.equal(status, 'fulfilled', reason?.message);
  return value;
}

/** Returns what a command writes, in each way to run it. */
async function inEachWay(engine, request, options) {
  const id = await oneOfMany(engine, request, options);
  const { results } = await engine.runPlan(serial([request]), options);
  const { results: ofStep } = await engine.runPlan(serial([request]), { steps: { 0: { ...options } } });
  const stream = engine.stream(request, options);
  for await (const _ of stream);
  const all = [
    await engine.run(request, options),
    engine.runSync(request, options),
    await engine.waitForCompletion(id),
    await stream.result,
    ...results,
    ...ofStep,
  ];
  return all.map(({ stdout }) => stdout.trim());
}

/** Returns the same text for each way. */
const each = (text) => Array(6).fill(text);

test('limits', onLinux, async (t) => {
  const engine = newEngine(t, { limits: { openFiles: 71, cpuSeconds: 9 } });
  const request = shell('echo $(ulimit -n) $(ulimit -t)');
  const host = newEngine(t).runSync(request).stdout.trim();
  const [files, seconds] = host.split(' ');
  assert.deepEqual(await inEachWay(engine, request), each('71 9'));
  for (const absent of [null, undefined]) assert.equal((await engine.run(request, { limits: absent })).stdout, '71 9\n');
  assert.deepEqual(await inEachWay(engine, request, { limits: { openFiles: 72 } }), each(`72 ${seconds}`), 'in the place of all');
  assert.deepEqual(await inEachWay(engine, request, { limits: {} }), each(host));
  assert.notEqual(files, '71');
  const { results } = await engine.runPlan(parallel([request, request]), { limits: { openFiles: 73 }, steps: { 1: { limits: {} } } });
  assert.deepEqual(
    results.map(({ stdout }) => stdout.trim()),
    [`73 ${seconds}`, host],
  );
  const again = await engine.run(shell('ulimit -n; exit 1'), { retry: { attempts: 2, backoffMs: 0 } });
  assert.deepEqual([again.stdout, again.attempt], ['71\n', 2]);
});

test('hostEnv', async (t) => {
  const hostEnv = { PATH, GREETING: 'of the engine', GONE: undefined };
  const engine = newEngine(t, { hostEnv, envDeny: ['DENIED_*'] });
  hostEnv.GREETING = 'changed later';
  process.env.GREETING = 'of the host';
  t.after(() => delete process.env.GREETING);
  const request = shell('echo $GREETING ${GONE-gone}');
  assert.deepEqual(await inEachWay(engine, request), each('of the engine gone'));
  assert.deepEqual(await inEachWay(engine, request, { hostEnv: { PATH, GREETING: 'of the call' } }), each('of the call gone'));
  assert.deepEqual(await inEachWay(engine, request, { hostEnv: process.env }), each('of the host gone'));
  const { results } = await engine.runPlan(parallel([request, request]), { steps: { 1: { hostEnv: { PATH } } } });
  assert.deepEqual(
    results.map(({ stdout }) => stdout),
    ['of the engine gone\n', 'gone\n'],
  );
  const masking = newEngine(t, { hostEnv: { PATH, API_TOKEN: 'very-secret' }, maskEnvSecrets: true });
  assert.equal((await masking.run(shell('echo $API_TOKEN'))).stdout, '***\n');
});

test('the values of hostEnv are shown nowhere, and the configuration can be given again', async (t) => {
  const engine = newEngine(t, { hostEnv: { PATH, API_TOKEN: 'very-secret', GONE: null } });
  const { hostEnv } = engine.config;
  assert.deepEqual({ ...hostEnv }, { PATH, API_TOKEN: 'very-secret' });
  for (const text of [inspect(engine.config, { depth: 9 }), JSON.stringify(engine.config)]) {
    assert.ok(text.includes('API_TOKEN') && !text.includes('very-secret') && !text.includes(PATH), text);
  }
  const next = newEngine(t, { ...engine.config, killGraceMs: 1 });
  assert.equal((await next.run(shell('echo $API_TOKEN'))).stdout, 'very-secret\n');
  const written = failureNow(() => new ExecutionEngine(JSON.parse(JSON.stringify({ hostEnv }))), 'INVALID_CONFIG');
  assert.match(written.field, /^hostEnv\["(PATH|API_TOKEN)"\]$/);
  assert.match(written.message, /was masked .*: give the value itself/);
});

test('groups', async (t) => {
  const { engine, events } = recordedEngine(t, { groups: ['all'], groupLimits: { other: 9 } });
  const first = await engine.execute(forever);
  await events.line('ready', first);
  const waiting = await engine.execute(nothing);
  const queued = await events.first(({ executionId, type }) => executionId === waiting && type === 'queued');
  assert.equal(queued.group, 'all');
  assert.equal(failureNow(() => engine.runSync(nothing), 'CONCURRENCY_LIMIT_REACHED').field, 'options.groups[0]');
  for (const groups of [[], ['other']]) {
    assert.deepEqual(await inEachWay(engine, exec('echo', 'done'), { groups }), each('done'));
  }
  const plan = await engine.executePlan(serial([nothing, nothing]), { steps: { 0: { groups: [] } } });
  await events.first(({ type, completed }) => type === 'progress' && completed === 1);
  const many = await oneOfMany(engine, nothing);
  assert.equal(engine.getStatus(many), 'pending');
  await engine.cancel(first);
  assert.equal((await engine.waitForPlan(plan)).status, 'completed');
  for (const id of [waiting, many]) assert.equal((await engine.waitForCompletion(id)).status, 'completed');
});

test('retry', async (t) => {
  const engine = newEngine(t, { retry: { attempts: 3, backoffMs: 0, onOutput: ['never', /BUSY$/im] } });
  const attempts = async (text, options) => {
    const request = shell(`echo ${text}; exit 1`);
    const { results } = await engine.runPlan(serial([request]), options);
    const many = await engine.waitForCompletion(await oneOfMany(engine, request, options));
    const all = [await engine.run(request, options), engine.runSync(request, options), many, ...results];
    return all.map(({ attempt }) => attempt);
  };
  assert.deepEqual(await attempts('busy'), [3, 3, 3, 3]);
  assert.deepEqual(await attempts('fatal'), [1, 1, 1, 1]);
  assert.deepEqual(await attempts('busy', { retry: { attempts: 1 } }), [1, 1, 1, 1]);
  assert.deepEqual(await attempts('fatal', { retry: { attempts: 2, backoffMs: 0 } }), [2, 2, 2, 2], 'in the place of all');
  const { config } = engine;
  assert.deepEqual(
    { ...config.retry, onOutput: undefined },
    {
      attempts: 3,
      backoffMs: 0,
      maxBackoffMs: 30_000,
      on: ['exit', 'signal', 'timeout', 'spawn'],
      onOutput: undefined,
    },
  );
  const next = newEngine(t, config);
  assert.deepEqual(next.config.retry, config.retry);
  assert.equal((await next.run(shell('echo busy; exit 1'))).attempt, 3);

  async function* input() {
    yield 'text';
  }
  const error = await failure(() => engine.run(exec('cat'), { stdin: input() }), 'INVALID_REQUEST');
  assert.equal(error.field, 'options.retry');
  assert.match(error.message, /or allow 1 attempt/);
  assert.equal((await engine.run(exec('cat'), { stdin: input(), retry: { attempts: 1 } })).stdout, 'text');
});

test('a retry without onOutput is the same in a configuration that is given again, and in a variable', async (t) => {
  const retry = { attempts: 2, backoffMs: 0 };
  const ofVariable = ExecutionEngine.configFromEnv({ EXEC_RETRY: '{"attempts": 2, "backoff_ms": 0}' });
  for (const config of [{ retry }, newEngine(t, { retry }).config, ofVariable]) {
    const engine = newEngine(t, config);
    assert.equal((await engine.run(shell('exit 1'))).attempt, 2);
    assert.ok(!('onOutput' in engine.config.retry));
  }
});

test('terminal', onUnix, async (t) => {
  const { engine, events } = recordedEngine(t, { terminal: { columns: 101 }, mergeOutput: true });
  const size = shell('stty size 2>/dev/null || echo none; exit 0');
  assert.equal((await engine.run(size)).stdout, '24 101\r\n');
  assert.equal((await engine.run(size, { terminal: { rows: 9 } })).stdout, '9 80\r\n', 'in the place of all');
  assert.deepEqual(await inEachWay(engine, size, { terminal: false }), each('none'));
  for (const text of await inEachWay(engine, size, { stdin: 'text\n' })) assert.match(text, /24 101/);
  const { results } = await engine.runPlan(parallel([size, size]), { steps: { 1: { terminal: false } } });
  assert.deepEqual(
    results.map(({ stdout }) => stdout),
    ['24 101\r\n', 'none\n'],
  );
  const many = await oneOfMany(engine, shell('read -r go; stty size'));
  await engine.resize(many, { columns: 50, rows: 5 });
  await engine.write(many, '\n');
  assert.match((await engine.waitForCompletion(many)).stdout, /5 50/);
  assert.ok(events.types(many).includes('data'));
  for (const [options, field] of [
    [{ mergeOutput: true }, 'options.mergeOutput'],
    [{ stdin: 'inherit' }, 'options.stdin'],
  ]) {
    const error = await failure(() => engine.run(nothing, options), 'INVALID_REQUEST');
    assert.equal(error.field, field);
    assert.match(error.message, /set `terminal` to false/);
  }
  const sync = failureNow(() => engine.runSync(nothing), 'INVALID_REQUEST');
  assert.equal(sync.field, 'options.stdin');
  assert.match(sync.message, /or set `terminal` to false/);
});

test('what is wrong is refused with its path', () => {
  const refused = (config, field, says = /: (give|leave|correct) /) => {
    const error = failureNow(() => new ExecutionEngine(config), 'INVALID_CONFIG');
    assert.equal(error.field, field, error.message);
    assert.match(error.message, says);
    assert.doesNotMatch(error.message, /hunter2|[a-z]_[a-z]/);
  };
  for (const name of ['limits', 'retry', 'hostEnv']) for (const value of notObject) refused({ [name]: value }, name);
  for (const value of notTexts) refused({ groups: value }, 'groups');
  for (const value of ['yes', 1, []]) refused({ terminal: value }, 'terminal');
  refused({ groups: [''] }, 'groups[0]');
  refused({ groups: ['hunter2', 'x'.repeat(257)] }, 'groups[1]');
  refused({ groups: Array(65).fill('hunter2') }, 'groups');
  refused({ limits: { openFiles: 0 } }, 'limits.openFiles');
  refused({ limits: { cpuSeconds: 0.5 } }, 'limits.cpuSeconds');
  refused({ limits: { memorybytes: 1 } }, 'limits.memorybytes', /did you mean `memoryBytes`/);
  refused({ retry: {} }, 'retry.attempts');
  refused({ retry: { attempts: 0 } }, 'retry.attempts');
  refused({ retry: { attempts: 2, maxBackoffMs: 2 ** 50 } }, 'retry.maxBackoffMs');
  refused({ retry: { attempts: 2, on: ['exit', 0] } }, 'retry.on[1]');
  refused({ retry: { attempts: 2, on: ['hunter2'] } }, 'retry.on[0]');
  refused({ retry: { attempts: 2, onOutput: ['x', /hunter2(?=x)/] } }, 'retry.onOutput[1]');
  refused({ retry: { attempts: 2, onOutput: /\p{L}hunter2/u } }, 'retry.onOutput', /list the characters/);
  refused({ retry: { attempts: 2, onOutput: [{ regex: '(hunter2' }] } }, 'retry.onOutput[0]');
  refused({ hostEnv: { A: 5 } }, 'hostEnv.A');
  refused({ hostEnv: { A: 'hunter2\0' } }, 'hostEnv.A', /encode it/);
  refused({ hostEnv: { 'A=hunter2': 'x' } }, 'hostEnv.A', /give the name alone/);
  refused({ terminal: { columns: 0 } }, 'terminal.columns');
  refused({ terminal: { cols: 80 } }, 'terminal.cols', /unknown field/);
});
