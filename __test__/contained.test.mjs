// Code of a caller that throws, and prototypes that were changed, harm their own execution at most.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { host } from './helpers/hosts.mjs';

/** Runs 31 plain executions beside a hostile one in a host of their own, and reports what became of each. */
async function beside(hostile, { before = '', after = '', listen = '' } = {}) {
  const { code, stdout, stderr } = await host(
    `
    import { Readable } from 'node:stream';
    const thrown = [];
    process.on('uncaughtException', (error) => thrown.push(String(error?.message ?? error)));
    const engine = new ExecutionEngine({ maxConcurrentExecutions: 6, killGraceMs: 500 });
    ${listen}
    const within = (work) => Promise.race([work, new Promise((resolve) => setTimeout(resolve, 8_000, 'it hangs').unref())]);
    const summary = (result) => result.status + ' ' + JSON.stringify(result.stdout);
    const plain = (index) => engine.run(programs.exec('echo', String(index))).then(summary, (error) => error.message);
    const odd = async () => { ${hostile} };
    const others = Array.from({ length: 15 }, (_, index) => plain(index));
    const own = odd().then((result) => result?.status ?? String(result), (error) => (error.code ?? error.name) + (error.field ? ' ' + error.field : ''));
    ${before}
    for (let index = 15; index < 31; index++) others.push(plain(index));
    const ends = await within(Promise.all(others));
    const end = await within(own);
    ${after}
    const wrong = ends === 'it hangs' ? ends : ends.filter((end, index) => end !== 'completed ' + JSON.stringify(index + '\\n'));
    await new Promise((resolve) => setImmediate(resolve));
    console.log(JSON.stringify({ wrong, end, thrown }));
    process.exit();
  `,
    { limitMs: 30_000 },
  );
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** A hostile execution whose end and whose exceptions are known. */
const cases = (table) => async (t) => {
  for (const [name, hostile, end, thrown] of table) {
    await t.test(name, async () => {
      const seen = await beside(hostile);
      assert.deepEqual(seen.wrong, []);
      assert.equal(seen.end, end);
      assert.deepEqual([...new Set(seen.thrown)], thrown);
    });
  }
};

const SIGNAL = `const signal = { aborted: false, addEventListener(type, listener) { this.listener = listener; } };`;
const FAIL = '() => { throw new Error("theirs"); }';

test(
  'abort signals',
  cases([
    ['without removeEventListener', `${SIGNAL} return engine.run(programs.nothing, { signal });`, 'completed', []],
    [
      'whose removeEventListener throws',
      `${SIGNAL} signal.removeEventListener = ${FAIL}; return engine.run(programs.nothing, { signal });`,
      'completed',
      ['theirs'],
    ],
    [
      'whose removeEventListener cannot be read',
      `${SIGNAL} Object.defineProperty(signal, 'removeEventListener', { get: ${FAIL} }); return engine.run(programs.nothing, { signal });`,
      'completed',
      ['theirs'],
    ],
    [
      'whose addEventListener throws',
      `${SIGNAL} signal.addEventListener = ${FAIL}; return engine.run(programs.nothing, { signal });`,
      'INVALID_REQUEST options.signal',
      [],
    ],
    [
      'whose addEventListener throws the second time',
      `${SIGNAL} let calls = 0; signal.addEventListener = () => { if (calls++) throw new Error('theirs'); };
    await engine.run(programs.nothing, { signal }); return engine.run(programs.nothing, { signal });`,
      'completed',
      [],
    ],
    [
      'whose aborted throws the second time',
      `${SIGNAL} let reads = 0; Object.defineProperty(signal, 'aborted', { get() { if (reads++) throw new Error('theirs'); return false; } });
    return engine.run(programs.nothing, { signal });`,
      'INVALID_REQUEST options.signal',
      [],
    ],
    [
      'that fires while it is listened to',
      `${SIGNAL} signal.addEventListener = (type, listener) => listener(); return engine.run(programs.forever, { signal });`,
      'cancelled',
      [],
    ],
    [
      'that fires while the request is read',
      `const controller = new AbortController();
    return engine.run({ get command() { controller.abort(); return programs.forever.command; } }, { signal: controller.signal });`,
      'cancelled',
      [],
    ],
    [
      'that fires while the options are read',
      `const controller = new AbortController();
    return engine.run(programs.forever, { signal: controller.signal, get priority() { controller.abort(); return 1; } });`,
      'cancelled',
      [],
    ],
    [
      'that says so without an event',
      `let isAborted = false; const signal = { get aborted() { return isAborted; }, addEventListener() {}, removeEventListener() {} };
    return engine.run({ get command() { isAborted = true; return programs.forever.command; } }, { signal });`,
      'cancelled',
      [],
    ],
    [
      'whose reason throws',
      `${SIGNAL} Object.defineProperty(signal, 'reason', { get: ${FAIL} }); const run = engine.run(programs.forever, { signal });
    signal.listener(); return run;`,
      'cancelled',
      ['theirs'],
    ],
    [
      'that fires again and again',
      `${SIGNAL} const run = engine.run(programs.forever, { signal }); for (let i = 0; i < 3; i++) signal.listener(); const { status } = await run;
    signal.listener(); return { status };`,
      'cancelled',
      [],
    ],
    [
      'of a plan, without removeEventListener',
      `${SIGNAL} const step = { ...signal };
    return engine.runPlan({ description: 'd', strategy: { type: 'serial' }, commands: [programs.nothing] }, { signal, steps: { 0: { signal: step } } });`,
      'completed',
      [],
    ],
    [
      'of a step, whose addEventListener throws',
      `${SIGNAL} signal.addEventListener = ${FAIL};
    return engine.runPlan({ description: 'd', strategy: { type: 'serial' }, commands: [programs.nothing] }, { steps: { 0: { signal } } });`,
      'INVALID_REQUEST options.steps[0].signal',
      [],
    ],
    [
      'of a plan, that fires while the plan is read',
      `const controller = new AbortController();
    return engine.runPlan({ description: 'd', strategy: { type: 'serial' }, get commands() { controller.abort(); return [programs.forever]; } }, { signal: controller.signal });`,
      'cancelled',
      [],
    ],
  ]),
);

/** A Readable that gives without end, one of whose methods throws. */
const endless = (method) =>
  `const stdin = new Readable({ read() { this.push('x'.repeat(1000)); } }); stdin.on('error', () => {});` +
  (method ? ` stdin.${method} = ${FAIL};` : '');

test(
  'standard inputs',
  cases([
    [
      'whose destroy throws',
      `${endless('destroy')} return engine.run(programs.exec('head', '-c', '5'), { stdin });`,
      'completed',
      ['theirs'],
    ],
    [
      'whose _destroy throws',
      `${endless()} stdin._destroy = ${FAIL}; return engine.run(programs.exec('head', '-c', '5'), { stdin });`,
      'completed',
      [],
    ],
    [
      'whose pause throws',
      `const stdin = Readable.from(['a', 'b']); const { pause } = stdin; let calls = 0;
    stdin.pause = () => { if (calls++) throw new Error('theirs'); return pause.call(stdin); }; return (await engine.run(programs.exec('cat'), { stdin })).stdout;`,
      'ab',
      ['theirs'],
    ],
    [
      'whose removeListener throws',
      `${endless('removeListener')} return engine.run(programs.exec('head', '-c', '5'), { stdin });`,
      'completed',
      ['theirs'],
    ],
    [
      'whose resume throws',
      `${endless('resume')} return engine.run(programs.exec('cat'), { stdin });`,
      'INVALID_REQUEST options.stdin',
      [],
    ],
    [
      'whose end is reported where removeListener throws',
      `const stdin = Readable.from(['a']); stdin.removeListener = ${FAIL}; return engine.run(programs.exec('cat'), { stdin });`,
      'completed',
      ['theirs'],
    ],
    [
      'an iterable whose return throws',
      `return engine.run(programs.exec('head', '-c', '5'), { stdin: { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: 'x'.repeat(1000) }), return: ${FAIL} }) } });`,
      'completed',
      [],
    ],
    [
      'an iterable whose next throws',
      `return engine.run(programs.exec('cat'), { stdin: { [Symbol.asyncIterator]: () => ({ next: ${FAIL} }) } });`,
      'INVALID_REQUEST options.stdin',
      [],
    ],
    [
      'an iterable that gives a hostile proxy',
      `return engine.run(programs.exec('cat'), { stdin: (async function* () { yield new Proxy({}, { get: ${FAIL}, getPrototypeOf: ${FAIL} }); })() });`,
      'INVALID_REQUEST options.stdin',
      [],
    ],
  ]),
);

test(
  'listeners',
  cases([
    ['that throw', `engine.on('event', ${FAIL}); return engine.run(programs.shell('echo a; echo b'));`, 'completed', ['theirs']],
    [
      'that change the event',
      `engine.on('event', (event) => { for (const key of Object.keys(event)) Object.defineProperty(event, key, { get: ${FAIL} }); });
    return engine.run(programs.shell('echo a; echo b'));`,
      'completed',
      [],
    ],
    ['that freeze the event', `engine.on('event', Object.freeze); return engine.run(programs.shell('echo a; echo b'));`, 'completed', []],
    [
      'whose call is another',
      `const listener = () => {}; listener.call = ${FAIL}; engine.on('event', listener); return engine.run(programs.shell('echo a'));`,
      'completed',
      [],
    ],
    [
      'that are hostile proxies',
      `engine.on('event', new Proxy(() => {}, { apply: ${FAIL}, get: ${FAIL} })); return engine.run(programs.shell('echo a'));`,
      'completed',
      ['theirs'],
    ],
    [
      'that reject',
      `engine.on('event', async () => { throw new Error('theirs'); }); return engine.run(programs.shell('echo a'));`,
      'completed',
      ['theirs'],
    ],
    [
      'beside a stream whose events they change',
      `engine.on('stdout', (event) => { event.type = 'none'; });
    let bytes = 0; for await (const event of engine.stream(programs.shell('head -c 8000000 /dev/zero | tr "\\\\0" x | fold -w 1000'))) bytes += event.line?.length ?? 0;
    return bytes;`,
      '8000000',
      [],
    ],
    [
      'of a channel, that throw and freeze',
      `const { channel } = await import('node:diagnostics_channel');
    for (const name of ['start', 'end']) channel('escher:execution:' + name).subscribe((trace) => { Object.freeze(trace); throw new Error('theirs'); });
    return engine.run(programs.nothing);`,
      'completed',
      ['theirs', 'Cannot add property status, object is not extensible'],
    ],
  ]),
);

const CLEAN = 'for (const undo of undos) undo();';
const keyOf = (name) => (name.startsWith('Symbol.') ? name : JSON.stringify(name));
const polluted = (prototype, name, descriptor) => `
  const undos = [];
  const pollute = () => {
    const [own] = [Object.getOwnPropertyDescriptor(${prototype}, ${keyOf(name)})];
    const descriptor = Object.assign(Object.create(null), { configurable: true }, ${descriptor});
    Object.defineProperty(${prototype}, ${keyOf(name)}, descriptor);
    undos.push(() => own ? Object.defineProperty(${prototype}, ${keyOf(name)}, own) : delete ${prototype}[${keyOf(name)}]);
  };`;

test('prototypes that were changed', async (t) => {
  const SETTER = '{ set() { throw new Error("theirs"); }, get() { return undefined; } }';
  const VALUE = '{ value: 7, writable: true, enumerable: true }';
  const table = [
    // These are the parts of descriptors, and of results, events and batches.
    ...['get', 'set', 'value', 'writable', 'enumerable', 'once', 'cause'].map((name) => ['Object.prototype', name, VALUE]),
    ...[
      'text',
      'numbers',
      'bytes',
      'result',
      'error',
      'partial',
      'continued',
      'planId',
      'step',
      'code',
      'message',
      'field',
      'executionId',
      'trace',
      'status',
      'steps',
      'signals',
      'abortReason',
      'retries',
      'createdAt',
      'stdout',
      'line',
      'waiters',
      'next',
      'toJSON',
      'kind',
      'name',
      'says',
      'secrets',
    ].map((name) => ['Object.prototype', name, SETTER]),
    ...['retries', 'completedAt', 'signal', 'stdin', 'executionId'].map((name) => ['Object.prototype', name, VALUE]),
    ['Object.prototype', 'return', '{ value() { throw new Error("theirs"); }, writable: true }'],
    ['Object.prototype', 'toJSON', '{ value: () => "theirs", writable: true }'],
    ['Object.prototype', 'toJSON', '{ get() { throw new Error("theirs"); } }'],
    ['Object.prototype', 'then', SETTER],
    ['Object.prototype', 'toString', '{ value: () => "theirs", writable: true }'],
    ['Object.prototype', 'Symbol.toStringTag', '{ value: "theirs", writable: true }'],
    ['Object.prototype', 'Symbol.asyncIterator', '{ value() { throw new Error("theirs"); }, writable: true }'],
    ['Array.prototype', 'toJSON', '{ value: () => "theirs", writable: true }'],
    ['Array.prototype', 'every', '{ value() { throw new Error("theirs"); }, writable: true }'],
  ];
  for (const [prototype, name, descriptor] of table) {
    await t.test(`${prototype}.${name} ${descriptor.slice(2, 8)}`, async () => {
      const seen = await beside(
        `
        const chars = programs.shell("printf 'a\\\\rb'; seq 3; head -c 70000 /dev/zero | tr '\\\\0' x");
        const results = await Promise.all([engine.run(chars), engine.run({ ...chars, metadata: { label: 'x', list: [1, [2]] } }, { retry: { attempts: 2, on: ['exit'] } })]);
        let lines = 0; for await (const event of engine.stream(programs.exec('seq', '5'))) if (event.type === 'stdout') lines++;
        const plan = await engine.runPlan({ description: 'd', strategy: { type: 'serial' }, commands: [programs.nothing, programs.exec('seq', '3')] });
        return [...results.map((result) => result.status + result.stdout.length), lines, plan.status, engine.listExecutions().length > 0].join();`,
        {
          listen: `${polluted(prototype, name, descriptor)} engine.on('event', () => {}); engine.on('stdout', () => {}); await engine.run(programs.nothing); pollute();`,
          after: CLEAN,
        },
      );
      assert.deepEqual(seen, { wrong: [], end: 'completed70009,completed70009,5,completed,true', thrown: [] });
    });
  }
});

test('methods of built-in objects that are replaced while others end', async (t) => {
  const THROWS = '{ value() { throw new Error("theirs"); }, writable: true }';
  const methods = [
    ...['get', 'set', 'has', 'delete', 'forEach', 'Symbol.iterator'].map((name) => ['Map.prototype', name]),
    ...['add', 'delete', 'forEach', 'Symbol.iterator'].map((name) => ['Set.prototype', name]),
    ...['slice', 'map', 'filter', 'concat', 'Symbol.iterator'].map((name) => ['Array.prototype', name]),
    ...['then', 'catch'].map((name) => ['Promise.prototype', name]),
    ...['call', 'apply', 'bind'].map((name) => ['Function.prototype', name]),
    ...['isWellFormed', 'includes'].map((name) => ['String.prototype', name]),
  ];
  for (const [prototype, name] of methods) {
    await t.test(`${prototype}.${name}`, async () => {
      const seen = await beside(
        `
        const [first, second] = [engine.run(programs.exec('echo', 'a')), engine.run(programs.shell('echo b; exit 3'))];
        // The others are accepted by then; all end while this turn of the loop lasts, and are delivered after it.
        await undefined;
        ${polluted(prototype, name, THROWS)} pollute();
        const end = Date.now() + 300; while (Date.now() < end);
        const undo = undos[0];
        setTimeout(undo, 3_000);
        const { stdout } = await first; const { exitCode } = await second;
        undo();
        return stdout + exitCode;`,
        {},
      );
      assert.equal(seen.end, 'a\n3');
      assert.deepEqual(seen.wrong, []);
    });
  }
});

test('a `process.env` whose code throws', async () => {
  const seen = await beside(
    `
    const before = process.env;
    process.env = new Proxy(before, { ownKeys() { throw new Error('theirs'); } });
    const running = engine.run(programs.nothing);
    process.env = before;
    return await running;`,
  );
  assert.deepEqual(seen, { wrong: [], end: 'INVALID_REQUEST process.env', thrown: [] });
});

test('prototypes that were changed before the first command', async () => {
  for (const name of ['code', 'message', 'get', 'env', 'secrets', 'kind', 'then']) {
    const { code, stdout, stderr } = await host(`
      const engine = new ExecutionEngine();
      Object.defineProperty(Object.prototype, '${name}', { configurable: true, set() { throw new Error('theirs'); }, get() { return undefined; } });
      const { stdout } = await engine.run(programs.exec('echo', 'first'));
      delete Object.prototype['${name}'];
      process.stdout.write(stdout);
      process.exit();
    `);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'first\n', stderr: '' }, name);
  }
});

test('an engine that is made while prototypes are changed', async () => {
  const GIVEN = '{ value: 7, writable: true, enumerable: true }';
  const FUNCTION = '{ value() { throw new Error("theirs"); }, writable: true, enumerable: true }';
  const table = [
    ...['get', 'set', 'value', 'field', 'executionId', 'errno', 'result', 'graceMs', 'return'].map((name) => [name, GIVEN]),
    ...['get', 'set', 'return', 'next'].map((name) => [name, FUNCTION]),
  ];
  for (const [name, descriptor] of table) {
    const { code, stdout, stderr } = await host(`
      const { Readable } = await import('node:stream');
      const input = Readable.from(['a', 'b']);
      const { signal } = new AbortController();
      ${polluted('Object.prototype', name, descriptor)}
      pollute();
      const engine = new ExecutionEngine({ secrets: ['hunter2-hunter2'] });
      const { stdout } = await engine.run(programs.exec('cat'), { stdin: input, signal });
      const steps = { 0: { signal } };
      const plan = await engine.runPlan({ description: 'd', strategy: { type: 'serial' }, commands: [programs.nothing] }, { steps });
      const refused = (await engine.executeMany([programs.exec('')]))[0];
      const missing = await engine.waitForCompletion('00000000-0000-4000-8000-000000000000').catch((error) => error);
      const own = Object.keys(missing);
      await engine.shutdown();
      ${CLEAN}
      process.stdout.write([stdout, plan.status, refused.reason.field, own].join());
      process.exit();
    `);
    const expected = 'ab,completed,requests[0].command.program,code,executionId';
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: expected, stderr: '' }, `${name} ${descriptor}`);
  }
});
