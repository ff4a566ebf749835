// The arguments of `cancel`, `cancelAll` and `signal` are checked before anything is done.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { forever, shell } from './helpers/programs.mjs';
import { nameOf, notObject, notWhole } from './helpers/values.mjs';

const CODE = 'INVALID_REQUEST';

for (const method of ['cancel', 'cancelAll']) {
  test(`a bad grace period of ${method}`, async (t) => {
    const { engine, events } = recordedEngine(t);
    const id = await engine.execute(forever);
    await events.line('ready');
    const call = (options) => (method === 'cancel' ? engine.cancel(id, options) : engine.cancelAll(options));
    for (const graceMs of notWhole) {
      await t.test(nameOf(graceMs), async () => {
        const error = await failure(() => call({ graceMs }), CODE);
        assert.equal(error.field, 'graceMs');
        assert.match(error.message, /^invalid request: graceMs: it is .*: give (milliseconds, 0 or more|plain data)$/s);
      });
    }
    for (const options of notObject) await t.test(`options: ${nameOf(options)}`, () => failure(() => call(options), CODE));
    const error = await failure(() => call({ grace: 5 }), CODE);
    assert.match(error.message, /did you mean `graceMs`/);
    assert.equal(engine.getStatus(id), 'running', 'nothing was ended');
    for (const options of [undefined, null, {}, { graceMs: null }, { graceMs: undefined }, { graceMs: 2 ** 53 - 1 }]) await call(options);
    assert.equal(engine.getStatus(id), 'cancelled');
  });
}

test('a misspelt signal is refused, with the one that was meant', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell("trap 'echo got it' USR1 TERM; echo ready; while :; do sleep 0.1; done"), { killGraceMs: 0 });
  await events.line('ready');
  const meant = {
    SIGTREM: 'SIGTERM',
    sigterm: 'SIGTERM',
    TERM: 'SIGTERM',
    SIGUSR: 'SIGUSR1',
    'SIGUSR1 ': 'SIGUSR1',
    SigHup: 'SIGHUP',
    KILL: 'SIGKILL',
    SIGQIUT: 'SIGQUIT',
  };
  for (const [name, suggestion] of Object.entries(meant)) {
    await t.test(nameOf(name), async () => {
      const error = await failure(() => engine.signal(id, name), CODE);
      assert.equal(error.field, 'signal');
      assert.ok(error.message.endsWith(`: did you mean \`${suggestion}\`?`), error.message);
    });
  }
  assert.equal(engine.getStatus(id), 'running');
  assert.deepEqual(events.lines(id), ['ready'], 'no signal was sent');
});

test('what is far from every name is refused with the list of names, and is not repeated', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(forever);
  await events.line('ready');
  for (const name of ['', 'SIG', 'X', 'hunter2-the-password', 'SIGRTMIN+3', 'SIGUSR1\0', 'S'.repeat(100_000)]) {
    await t.test(nameOf(name.slice(0, 30)), async () => {
      const error = await failure(() => engine.signal(id, name), CODE);
      assert.equal(error.field, 'signal');
      if (!name.startsWith('SIGUSR1')) assert.match(error.message, /: give one of SIGHUP, .*SIGTERM/);
      if (name.length > 3) assert.ok(!error.message.includes(name), error.message);
      assert.ok(error.message.length < 1_000, 'the message has an end');
    });
  }
  assert.equal(engine.getStatus(id), 'running');
});

test('what is no text is refused, with how to give it', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(forever);
  await events.line('ready');
  for (const name of [
    undefined,
    null,
    0,
    15,
    NaN,
    true,
    15n,
    {},
    [],
    ['SIGTERM'],
    () => 'SIGTERM',
    Symbol('SIGTERM'),
    new String('SIGTERM'),
    Buffer.from('SIGTERM'),
  ]) {
    await t.test(nameOf(name), async () => {
      const error = await failure(() => engine.signal(id, name), CODE);
      assert.equal(error.field, 'signal');
      assert.match(error.message, /give the name of a signal, such as "SIGUSR1"$/);
    });
  }
  assert.equal(engine.getStatus(id), 'running');
});
