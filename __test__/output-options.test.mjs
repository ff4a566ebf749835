// The options of one execution for its output have precedence over the configuration.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { folder, isAlive, shell } from './helpers/programs.mjs';

const letters = shell('printf 0123456789abcdefghijklmnopqrstuvwxyz; printf 0123456789 >&2');

test('the cap of one execution, above and below that of the engine', async (t) => {
  const engine = newEngine(t, { maxOutputSizeBytes: 20, truncateKeep: 'head' });
  const sizes = async (options) => {
    const { stdout, stderr, stdoutBytes, stdoutTruncated, stderrTruncated } = await engine.run(letters, options);
    assert.equal(stdoutBytes, 36);
    return [stdout.split('\n')[0], stderr.split('\n')[0], stdoutTruncated, stderrTruncated];
  };
  assert.deepEqual(await sizes({}), ['0123456789abcdefghij', '0123456789', true, false]);
  assert.deepEqual(await sizes({ maxOutputSizeBytes: null }), ['0123456789abcdefghij', '0123456789', true, false]);
  assert.deepEqual(await sizes({ maxOutputSizeBytes: 36 }), ['0123456789abcdefghijklmnopqrstuvwxyz', '0123456789', false, false]);
  assert.deepEqual(await sizes({ maxOutputSizeBytes: 4 }), ['0123', '0123', true, true]);
  assert.deepEqual(await sizes({ maxOutputSizeBytes: 0 }), ['', '', true, true]);
});

test('which part is kept, for one execution', async (t) => {
  const engine = newEngine(t, { maxOutputSizeBytes: 4 });
  const kept = async (truncateKeep) => (await engine.run(letters, { truncateKeep })).stdout.replace(/\n.*\n/, '|');
  assert.deepEqual(await Promise.all(['head', 'tail', 'both', null].map(kept)), ['0123|', '|wxyz', '01|yz', '01|yz']);
});

test('the strategy of one execution, whatever that of the engine is', async (t) => {
  const strategies = ['truncateWithWarning', 'failExecution', 'streamToFile'];
  for (const ofEngine of strategies) {
    const engine = newEngine(t, { maxOutputSizeBytes: 10, oversizedOutputStrategy: ofEngine, overflowDir: folder(t) });
    const truncated = await engine.run(letters, { oversizedOutputStrategy: 'truncateWithWarning' });
    assert.deepEqual([truncated.status, truncated.stdoutOverflowFile], ['completed', undefined], ofEngine);
    const error = await failure(() => engine.run(letters, { oversizedOutputStrategy: 'failExecution' }), 'OUTPUT_SIZE_EXCEEDED');
    assert.equal(error.result.reason, 'output_limit');
    const filed = await engine.run(letters, { oversizedOutputStrategy: 'streamToFile' });
    assert.equal(readFileSync(filed.stdoutOverflowFile, 'utf8'), '0123456789abcdefghijklmnopqrstuvwxyz');
    assert.equal(filed.stderrOverflowFile, undefined);
    engine.removeExecution(filed.id);
  }
});

test('an error about the cap names the cap of the execution', async (t) => {
  const engine = newEngine(t);
  const options = { maxOutputSizeBytes: 7, oversizedOutputStrategy: 'failExecution' };
  assert.match((await failure(() => engine.run(letters, options), 'OUTPUT_SIZE_EXCEEDED')).message, /\(7\)/);
});

test('lines of one execution are turned on or off', async (t) => {
  for (const ofEngine of [true, false]) {
    const { engine, events } = recordedEngine(t, { streamOutput: ofEngine });
    for (const [streamOutput, isOn] of [
      [undefined, ofEngine],
      [true, true],
      [false, false],
    ]) {
      const { id, stdout } = await engine.run(shell('echo a; echo b'), { streamOutput });
      assert.deepEqual([events.lines(id), stdout], [isOn ? ['a', 'b'] : [], 'a\nb\n']);
    }
  }
});

test('mergeOutput and leftovers have a default in the configuration', async (t) => {
  const engine = newEngine(t, { mergeOutput: true, leftovers: 'kill', drainTimeoutMs: 50 });
  const both = shell('echo a; echo b >&2');
  assert.deepEqual([(await engine.run(both)).stdout, (await engine.run(both, { mergeOutput: false })).stdout], ['a\nb\n', 'a\n']);
  const leaves = shell('sleep 300 & echo $!');
  assert.equal(isAlive(Number((await engine.run(leaves)).stdout)), false);
  const left = Number((await engine.run(leaves, { leftovers: 'leave' })).stdout);
  assert.equal(isAlive(left), true);
  process.kill(left);
});

test('the drain of one execution', async (t) => {
  const engine = newEngine(t, { drainTimeoutMs: 60_000 });
  const go = path.join(folder(t), 'go');
  const late = shell('(while [ ! -e "$GO" ]; do sleep 0.01; done; echo late) & echo first', { env: { GO: go } });
  const short = await engine.run(late, { drainTimeoutMs: 50 });
  const exited = once(engine, 'exited');
  const running = engine.run(late);
  await exited;
  writeFileSync(go, '');
  const long = await running;
  assert.deepEqual([short.stdout, short.leaked, long.stdout, long.leaked], ['first\n', true, 'first\nlate\n', false]);
});

test('a plan and its steps have them too', async (t) => {
  const engine = newEngine(t, { truncateKeep: 'head' });
  const { results } = await engine.runPlan(
    { description: 'two', strategy: { type: 'serial' }, commands: [letters, letters] },
    { maxOutputSizeBytes: 4, steps: { 1: { maxOutputSizeBytes: 2, truncateKeep: 'tail' } } },
  );
  assert.deepEqual(
    results.map(({ stdout }) => stdout.replace(/\n.*\n/, '|')),
    ['0123|', '|yz'],
  );
});
