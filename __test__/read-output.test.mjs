// `readOutput` gives what a command has written so far, while it runs and after.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { folder, shell, until, untilFile } from './helpers/programs.mjs';

test('while it runs and after it has ended, of both streams, in whole or the end of it', async (t) => {
  const { engine, events } = recordedEngine(t);
  let go;
  const once = new Promise((resolve) => (go = resolve));
  const id = await engine.execute(shell('echo first; echo wrong >&2; echo ready; read line; echo last'), {
    stdin: (async function* () {
      await once;
      yield 'go\n';
    })(),
  });
  await events.line('ready', id);
  await events.line('wrong', id);
  assert.equal(await engine.readOutput(id), 'first\nready\n');
  assert.equal(await engine.readOutput(id, { stream: 'stdout', tailBytes: null }), 'first\nready\n');
  assert.equal(await engine.readOutput(id, { stream: 'stderr' }), 'wrong\n');
  assert.equal(await engine.readOutput(id, { tailBytes: 6 }), 'ready\n');
  assert.equal(await engine.readOutput(id, { tailBytes: 0 }), '');
  go();
  await engine.waitForCompletion(id);
  assert.equal(await engine.readOutput(id), 'first\nready\nlast\n');
  assert.equal(await engine.readOutput(id, { stream: 'stderr', tailBytes: 3 }), 'ng\n');
});

test('before the command runs it is empty', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 1 });
  const gate = `${folder(t)}/gate`;
  const running = await engine.execute(untilFile(gate));
  const queued = await engine.execute(shell('echo later'));
  assert.equal(await engine.readOutput(queued), '');
  await engine.cancel(running);
  await engine.waitForCompletion(queued);
  assert.equal(await engine.readOutput(queued), 'later\n');
});

test('secrets are masked, those that were added later too', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('echo known-secret and later-secret; echo ready; exec sleep 300'), { secrets: ['known-secret'] });
  await events.line('ready', id);
  assert.equal(await engine.readOutput(id), '*** and later-secret\nready\n');
  engine.addSecret('later-secret', { executionId: id });
  assert.equal(await engine.readOutput(id), '*** and ***\nready\n');
  await engine.cancel(id);
  assert.equal(await engine.readOutput(id), '*** and ***\nready\n');
});

test('above the cap it has the part that the result has, with the mark', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('printf 0123456789; echo; echo ready; exec sleep 300'), {
    maxOutputSizeBytes: 4,
    truncateKeep: 'head',
  });
  await events.line('ready', id);
  assert.match(await engine.readOutput(id), /^0123\n\[\.\.\. output truncated: 13 of 17 bytes omitted \.\.\.\]\n$/);
  await engine.cancel(id);
});

test('text is not cut inside a character, and bytes are Buffers', async (t) => {
  const engine = newEngine(t);
  const text = await engine.run(shell("printf 'a€b'"));
  assert.deepEqual(await Promise.all([1, 2, 3, 4, 5].map((tailBytes) => engine.readOutput(text.id, { tailBytes }))), [
    'b',
    'b',
    'b',
    '€b',
    'a€b',
  ]);
  const bytes = await engine.run(shell("printf '\\377\\000x'"), { encoding: 'buffer' });
  assert.deepEqual(await engine.readOutput(bytes.id), Buffer.from([255, 0, 120]));
  assert.deepEqual(await engine.readOutput(bytes.id, { tailBytes: 2 }), Buffer.from([0, 120]));
});

test('between two attempts it is the output of the last one', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('echo failed; exit 1'), { retry: { attempts: 2, backoffMs: 600_000 } });
  await events.first((event) => event.type === 'retry');
  assert.equal(await engine.readOutput(id), 'failed\n');
  await engine.cancel(id);
});

test('at every moment of the end it is all there', async (t) => {
  const engine = newEngine(t);
  for (let round = 0; round < 50; round++) {
    const id = await engine.execute(shell('echo a; echo b'));
    let isOver = false;
    const done = engine.waitForCompletion(id).then(() => (isOver = true));
    let longest = '';
    await until(async () => {
      const wasOver = isOver;
      const text = await engine.readOutput(id);
      assert.ok(text.startsWith(longest), `${JSON.stringify(longest)} became ${JSON.stringify(text)}`);
      longest = text;
      return wasOver;
    }, 'the end');
    await done;
    assert.equal(longest, 'a\nb\n');
  }
});

test('bad calls', async (t) => {
  const engine = newEngine(t);
  const { id } = await engine.run(shell('true'));
  for (const [options, field] of [
    [{ stream: 'out' }, 'stream'],
    [{ stream: 1 }, 'stream'],
    [{ tailBytes: -1 }, 'tailBytes'],
    [{ tailBytes: '5' }, 'tailBytes'],
    [{ tail: 5 }, 'tail'],
    ['stdout', 'options'],
    [5, 'options'],
  ]) {
    const error = await failure(() => engine.readOutput(id, options), 'INVALID_REQUEST');
    assert.equal(error.field, field, error.message);
  }
  assert.match((await failure(() => engine.readOutput(id, { tailbytes: 1 }), 'INVALID_REQUEST')).message, /did you mean `tailBytes`/);
  await failure(() => engine.readOutput('00000000-0000-4000-8000-000000000000'), 'NOT_FOUND');
  assert.equal((await failure(() => engine.readOutput(5), 'INVALID_REQUEST')).field, 'id');
});
