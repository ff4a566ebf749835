// The global engine of a thread runs one command at a time.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { host } from './helpers/hosts.mjs';

/** Runs a module in a process of its own and gives the lines it wrote. */
async function lines(source) {
  const { code, stdout, stderr } = await host(source);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return stdout.split('\n').slice(0, -1);
}

test('it is made once, and found from then on', async () => {
  assert.deepEqual(
    await lines(`
    const code = (call) => { try { return call() instanceof ExecutionEngine; } catch (error) { return error instanceof ExecutionError && error.code; } };
    console.log(code(() => ExecutionEngine.global()));
    console.log(code(() => ExecutionEngine.initGlobal({ killGraceMs: 7 })));
    console.log(code(() => ExecutionEngine.global()), ExecutionEngine.global() === ExecutionEngine.global(), ExecutionEngine.global().config.killGraceMs);
    console.log(code(() => ExecutionEngine.initGlobal()), code(() => ExecutionEngine.initGlobal({ nonsense: 1 })));
  `),
    ['NOT_INITIALIZED', 'true', 'true true 7', 'ALREADY_INITIALIZED ALREADY_INITIALIZED'],
  );
});

test('it runs one command at a time; the others wait', async () => {
  assert.deepEqual(
    await lines(`
    const engine = ExecutionEngine.initGlobal();
    console.log(engine.config.maxConcurrentExecutions, engine.config.concurrencyPolicy);
    const order = [];
    engine.on('started', () => order.push('start')).on('completed', () => order.push('end'));
    const results = await Promise.all(['a', 'b', 'c'].map((name) => engine.run(programs.shell('sleep 0.05; echo ' + name))));
    console.log(results.map((result) => result.stdout.trim()).join());
    console.log(results[0].completedAt <= results[1].startedAt && results[1].completedAt <= results[2].startedAt);
    console.log(engine.getConcurrencyMetrics().maxConcurrent);
  `),
    ['1 queue', 'a,b,c', 'true', '1'],
  );
});

test('another number than 1 is refused, 1 is not; a bad configuration leaves none behind', async () => {
  assert.deepEqual(
    await lines(`
    for (const config of [{ maxConcurrentExecutions: 2 }, { maxConcurrentExecutions: 0 }, { maxConcurrentExecutions: '1' }, { killGraceMs: -1 }, { nonsense: 1 }, { concurrencyPolicy: 'reject' }, 5, 'x']) {
      try { ExecutionEngine.initGlobal(config); console.log('accepted'); } catch (error) { console.log(error.code, error.field); }
    }
    console.log(ExecutionEngine.initGlobal({ maxConcurrentExecutions: 1, concurrencyPolicy: 'queue' }).config.maxConcurrentExecutions);
  `),
    [
      'INVALID_CONFIG maxConcurrentExecutions',
      'INVALID_CONFIG maxConcurrentExecutions',
      'INVALID_CONFIG maxConcurrentExecutions',
      'INVALID_CONFIG killGraceMs',
      'INVALID_CONFIG nonsense',
      'INVALID_CONFIG concurrencyPolicy',
      'INVALID_CONFIG config',
      'INVALID_CONFIG config',
      '1',
    ],
  );
});

test('a subclass gets the same one', async () => {
  assert.deepEqual(
    await lines(`
    class Own extends ExecutionEngine {}
    const engine = Own.initGlobal();
    console.log(engine === ExecutionEngine.global(), engine === Own.global());
  `),
    ['true true'],
  );
});
