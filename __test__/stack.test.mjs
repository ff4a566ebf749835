// An error leads to the line that called.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ExecutionEngine, ExecutionError } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { exec, nothing } from './helpers/programs.mjs';

const HERE = fileURLToPath(import.meta.url);
const THERE = randomUUID();

/** The line behind the one of this file that called. */
const nextLine = () => 1 + Number(new Error('here').stack.split('\n')[2].match(/:(\d+):\d+\)?$/)[1]);

function assertLeadsTo(error, caller, at) {
  assert.ok(error instanceof ExecutionError, String(error));
  const frame = error.stack.split('\n').find((text) => text.includes(caller));
  assert.ok(frame, `${caller} is in the stack:\n${error.stack}`);
  assert.ok(frame.includes(`${HERE}:${at}:`), `${frame} names ${HERE}:${at}`);
}

test('a synchronous method', (t) => {
  const engine = newEngine(t);
  const calls = {
    getStatus: () => engine.getStatus(THERE),
    getResult: () => engine.getResult(THERE),
    removeExecution: () => engine.removeExecution(THERE),
    listExecutions: () => engine.listExecutions({ limit: -1 }),
    constructor: () => new ExecutionEngine({ maxTimeoutMs: -1 }),
    parseRequest: () => ExecutionEngine.parseRequest('{}'),
  };
  for (const [name, call] of Object.entries(calls)) {
    let at;
    function theCaller() {
      at = nextLine();
      call();
    }
    assert.throws(
      theCaller,
      (error) => {
        assertLeadsTo(error, 'theCaller', at);
        return true;
      },
      name,
    );
  }
});

const asynchronous = {
  'a refused execute': (engine) => engine.execute({ command: { type: 'exec' } }),
  'a refused run': (engine) => engine.run({ command: { type: 'exec' } }),
  'a run whose spawn fails': (engine) => engine.run(exec('/no/such/program')),
  'a wait for an unknown execution': (engine) => engine.waitForCompletion(THERE),
  'a cancel of an unknown execution': (engine) => engine.cancel(THERE),
  'a wait for a failed spawn': async (engine) => engine.waitForCompletion(await engine.execute(exec('/no/such/program'))),
  'a bad option': (engine) => engine.run(nothing, { priority: 'high' }),
  'a bad grace': (engine) => engine.shutdown({ graceMs: -1 }),
};

for (const [what, call] of Object.entries(asynchronous)) {
  test(what, async (t) => {
    const engine = newEngine(t);
    let at;
    async function theAsyncCaller() {
      at = nextLine();
      await call(engine);
    }
    const error = await theAsyncCaller().catch((caught) => caught);
    assertLeadsTo(error, 'theAsyncCaller', at);
  });
}

test('a stream: the caller of its loop', async (t) => {
  const engine = newEngine(t);
  let at;
  async function theAsyncCaller() {
    at = nextLine();
    for await (const _ of engine.stream({ command: {} }));
  }
  const error = await theAsyncCaller().catch((caught) => caught);
  assertLeadsTo(error, 'theAsyncCaller', at);
});

test('waiting long makes no difference', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 1 });
  await engine.execute({ command: { type: 'shell', command: 'sleep 0.2' } });
  let at;
  async function theAsyncCaller() {
    at = nextLine();
    await engine.run(exec('/no/such/program'));
  }
  const error = await theAsyncCaller().catch((caught) => caught);
  assertLeadsTo(error, 'theAsyncCaller', at);
});
