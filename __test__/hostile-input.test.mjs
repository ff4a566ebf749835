// Hostile input is refused with a typed error, in time, and breaks nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failure, failureNow } from './helpers/outcomes.mjs';
import { host } from './helpers/hosts.mjs';
import { exec, nothing } from './helpers/programs.mjs';

const CODE = 'INVALID_REQUEST';
const throwing = (name, thrown = new Error('boom')) =>
  Object.defineProperty({}, name, {
    enumerable: true,
    get() {
      throw thrown;
    },
  });
const trap = (target, name) =>
  new Proxy(target, {
    [name]() {
      throw new Error('trap');
    },
  });
const revoked = (target) => {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
};
const nested = (depth, wrap) => {
  let value = 'inside';
  for (let level = 0; level < depth; level += 1) value = wrap(value);
  return value;
};

/** Checks that each call is refused within a second, and that the engine continues. */
async function refused(t, cases, call) {
  const engine = newEngine(t);
  for (const [name, value, field] of cases) {
    await t.test(name, async () => {
      const before = performance.now();
      const error = await failure(() => call(engine, value), CODE);
      if (field) assert.equal(error.field, field, error.message);
      assert.ok(performance.now() - before < 5_000, 'it took its time');
    });
  }
  assert.equal((await engine.run(nothing)).status, 'completed', 'the engine continues');
}

test('getters that throw', (t) =>
  refused(
    t,
    [
      ['env.A', { ...nothing, env: throwing('A') }, 'env.A'],
      ['env', Object.assign(throwing('env'), nothing), 'env'],
      ['command', throwing('command'), 'command'],
      ['command.program', { command: Object.assign(throwing('program'), { type: 'exec' }) }, 'command.program'],
      ['a thrown null', { command: Object.assign(throwing('program', null), { type: 'exec' }) }, 'command.program'],
      ['a thrown symbol', { command: Object.assign(throwing('program', Symbol('s')), { type: 'exec' }) }, 'command.program'],
      [
        'a thrown object that cannot be shown',
        { command: Object.assign(throwing('program', trap({}, 'get')), { type: 'exec' }) },
        'command.program',
      ],
      [
        'a thrown object without a readable prototype',
        { command: Object.assign(throwing('program', trap({}, 'getPrototypeOf')), { type: 'exec' }) },
        'command.program',
      ],
      ['a thrown revoked proxy', { command: Object.assign(throwing('program', revoked({})), { type: 'exec' }) }, 'command.program'],
      ['metadata', { ...nothing, metadata: { deep: [throwing('x')] } }, 'metadata.deep[0].x'],
    ],
    (engine, request) => engine.run(request),
  ));

test('proxies whose traps throw', (t) =>
  refused(
    t,
    [
      ['request: ownKeys', trap({}, 'ownKeys'), 'request'],
      ['request: get', trap({ ...nothing }, 'get'), undefined],
      ['request: getOwnPropertyDescriptor', trap({ ...nothing }, 'getOwnPropertyDescriptor'), undefined],
      ['command: ownKeys', { command: trap({}, 'ownKeys') }, 'command'],
      ['args: get', { command: { type: 'exec', program: 'a', args: trap(['b'], 'get') } }, undefined],
      ['env: ownKeys', { ...nothing, env: trap({}, 'ownKeys') }, 'env'],
      ['request: revoked', revoked({}), undefined],
      ['command: revoked', { command: revoked({}) }, 'command'],
      ['args: revoked', { command: { type: 'exec', program: 'a', args: revoked([]) } }, 'command.args'],
    ],
    (engine, request) => engine.run(request),
  ));

test('options that throw', (t) =>
  refused(
    t,
    [
      ['stdin', throwing('stdin'), 'options.stdin'],
      [
        'a stdin whose iterator throws when it is looked for',
        {
          stdin: {
            get [Symbol.asyncIterator]() {
              throw new Error('boom');
            },
          },
        },
        'options.stdin',
      ],
      ['a stdin that is revoked', { stdin: revoked({}) }, 'options.stdin'],
      ['signal', throwing('signal'), 'options.signal'],
      ['ownKeys', trap({}, 'ownKeys'), 'options'],
      ['revoked', revoked({}), 'options'],
      [
        'a signal whose aborted throws',
        {
          signal: Object.create(EventTarget.prototype, {
            aborted: {
              get() {
                throw new Error('boom');
              },
            },
          }),
        },
        'options.signal',
      ],
    ],
    (engine, options) => engine.run(nothing, options),
  ));

test('a filter that throws', (t) =>
  refused(
    t,
    [
      ['limit', throwing('limit'), 'filter.limit'],
      ['ownKeys', trap({}, 'ownKeys'), 'filter'],
    ],
    (engine, filter) => engine.listExecutions(filter),
  ));

test('an id that throws, and options of shutdown that throw', async (t) => {
  const engine = newEngine(t);
  for (const name of ['getStatus', 'getResult', 'removeExecution']) failureNow(() => engine[name](trap({}, 'ownKeys')), CODE);
  for (const name of ['cancel', 'waitForCompletion']) await failure(() => engine[name](trap({}, 'get')), CODE);
  await failure(() => engine.shutdown(throwing('graceMs')), CODE);
});

test('a configuration that throws, also for the global engine', () => {
  for (const make of [(config) => new ExecutionEngine(config), (config) => ExecutionEngine.initGlobal(config)]) {
    assert.equal(failureNow(() => make(throwing('killGraceMs')), 'INVALID_CONFIG').field, 'killGraceMs');
    assert.equal(failureNow(() => make(throwing('maxConcurrentExecutions')), 'INVALID_CONFIG').field, 'maxConcurrentExecutions');
    failureNow(() => make(trap({}, 'ownKeys')), 'INVALID_CONFIG');
    failureNow(() => make(revoked({})), 'INVALID_CONFIG');
  }
});

const cyclic = {};
cyclic.self = cyclic;
const cyclicList = [];
cyclicList.push(cyclicList);
const deepList = nested(200_000, (value) => [value]);
const deepObject = nested(200_000, (value) => ({ value }));

test('what holds itself, and what is nested without end', (t) =>
  refused(
    t,
    [
      ['metadata that holds itself', { ...nothing, metadata: cyclic }, undefined],
      ['a list that holds itself', { ...nothing, metadata: { list: cyclicList } }, undefined],
      ['deep lists', { ...nothing, metadata: { deepList } }, undefined],
      ['deep objects', { ...nothing, metadata: { deepObject } }, undefined],
      ['deep args', { command: { type: 'exec', program: 'a', args: deepList } }, undefined],
      ['deep env', { ...nothing, env: { A: deepObject } }, undefined],
      ['a deep command', { command: deepObject }, undefined],
    ],
    (engine, request) => engine.run(request),
  ));

test('the message of a deep value names its own field', async (t) => {
  const engine = newEngine(t);
  const env = await failure(() => engine.run({ ...nothing, env: { A: cyclic } }), CODE);
  assert.match(env.message, /env/);
  assert.doesNotMatch(env.message, /metadata/);
  const option = await failure(() => engine.run(nothing, { stdin: cyclic }), CODE);
  assert.match(option.message, /stdin/);
  assert.doesNotMatch(option.message, /metadata/);
  const args = await failure(() => engine.run(exec('a', cyclic)), CODE);
  assert.match(args.message, /command/);
});

test('lists that say they are huge', async () => {
  const { code, stdout, stderr } = await host(
    `
    const engine = new ExecutionEngine();
    const sparse = new Array(2 ** 32 - 1);
    const liar = new Proxy([], { get: (target, name) => (name === 'length' ? 2 ** 32 - 1 : target[name]) });
    for (const list of [sparse, liar]) {
      for (const request of [{ command: { type: 'exec', program: 'a', args: list } }, { ...programs.nothing, metadata: { list } }]) {
        const before = performance.now();
        const error = await engine.run(request).then(() => 'accepted', (error) => error.code);
        console.log(error, performance.now() - before < 2_000);
      }
    }
  `,
    { limitMs: 8_000 },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'INVALID_REQUEST true\n'.repeat(4), stderr: '' });
});

test('a getter is read once: what was checked is what runs', async (t) => {
  const engine = newEngine(t);
  let reads = 0;
  const command = {
    type: 'exec',
    args: ['checked'],
    get program() {
      return (reads += 1) === 1 ? 'echo' : 'false';
    },
  };
  assert.equal((await engine.run({ command })).stdout, 'checked\n');
  assert.equal(reads, 1);
  const whole = {
    get command() {
      reads += 1;
      return exec('echo', 'whole').command;
    },
  };
  reads = 0;
  assert.equal((await engine.run(whole)).stdout, 'whole\n');
  assert.equal(reads, 1);
});

test('a getter that calls the engine is answered', async (t) => {
  const engine = newEngine(t);
  let inner;
  const request = {
    get command() {
      inner ??= engine.run(exec('echo', 'inner'));
      return { type: 'exec', program: 'echo', args: ['outer'] };
    },
  };
  assert.equal((await engine.run(request)).stdout, 'outer\n');
  assert.equal((await inner).stdout, 'inner\n');
});

test('a __proto__ of a caller changes nothing of ours', async (t) => {
  const engine = newEngine(t);
  const { metadata } = await engine.run({ ...nothing, metadata: JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}') });
  assert.equal({}.polluted, undefined);
  assert.equal(metadata.polluted, undefined);
  assert.equal(metadata.constructor, 1);
  const error = await failure(() => engine.run(JSON.parse('{"command": {"type": "exec", "program": "a"}, "__proto__": {"x": 1}}')), CODE);
  assert.equal(error.field, '__proto__');
});

test('plain objects of other kinds are taken', async (t) => {
  const engine = newEngine(t);
  assert.equal((await engine.run(Object.assign(Object.create(null), nothing))).status, 'completed');
  assert.equal(
    (await engine.run(Object.freeze({ command: Object.freeze({ type: 'exec', program: 'true', args: Object.freeze([]) }) }))).status,
    'completed',
  );
  assert.equal((await engine.run(new Proxy({ ...nothing }, {}))).status, 'completed');
});

test('a name under a symbol is an unknown field', async (t) => {
  const engine = newEngine(t);
  await failure(() => engine.run({ ...nothing, [Symbol('hidden')]: 1 }), CODE);
});

test('what is not JSON is not made an empty object in silence', (t) =>
  refused(
    t,
    [
      ['env: a Map', { ...nothing, env: new Map([['A', 'b']]) }, 'env'],
      ['metadata: a Map', { ...nothing, metadata: { map: new Map([['a', 1]]) } }, 'metadata.map'],
      ['metadata: a Set', { ...nothing, metadata: { set: new Set([1]) } }, 'metadata.set'],
      ['metadata: a Promise', { ...nothing, metadata: { promise: Promise.resolve(1) } }, undefined],
      ['metadata: an Error', { ...nothing, metadata: { error: new Error('x') } }, 'metadata.error'],
      ['a command that is a Promise', { command: Promise.resolve(nothing.command) }, undefined],
    ],
    (engine, request) => engine.run(request),
  ));

test('what is not plain is no list of options either', async (t) => {
  const engine = newEngine(t);
  const map = new Map([['idleTimeoutMs', 5]]);
  await failure(() => engine.run(nothing, map), CODE);
  await failure(() => engine.listExecutions(map), CODE);
  failureNow(() => new ExecutionEngine(map), 'INVALID_CONFIG');
});
