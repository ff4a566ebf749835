// Running work keeps Node.js alive unless unref was called; nothing else does.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { host } from './helpers/hosts.mjs';

/** Checks that the host exited by itself, soon, and printed this. */
function leftWith({ code, signal, stdout, stderr, ms }, text, limitMs = 10_000) {
  assert.deepEqual({ code, signal, stdout, stderr }, { code: 0, signal: null, stdout: text, stderr: '' });
  assert.ok(ms < limitMs, `it took ${ms} ms`);
}

describe('keep-alive', { concurrency: 4 }, () => {
  test('an engine that does nothing lets Node.js exit at once', async () => {
    leftWith(
      await host(`
      const engine = new ExecutionEngine();
      engine.on('event', () => {}).on('stdout', () => {});
      console.log('made');
    `),
      'made\n',
    );
  });

  test('a finished engine lets Node.js exit at once', async () => {
    leftWith(
      await host(`
      const engine = new ExecutionEngine();
      engine.on('event', () => {});
      console.log((await engine.run(programs.shell('echo hi'))).stdout.trim());
      await engine.run(programs.exec('/no/such/program')).catch((error) => console.log(error.code));
    `),
      'hi\nSPAWN_FAILED\n',
    );
  });

  test('running work keeps Node.js alive, without a waiter', async () => {
    const result = await host(`
      const engine = new ExecutionEngine();
      engine.on('completed', (event) => console.log('completed', event.result.stdout.trim()));
      engine.execute(programs.shell('sleep 0.5; echo done'));
    `);
    leftWith(result, 'completed done\n');
    assert.ok(result.ms > 500);
  });

  test('running work keeps Node.js alive, without a listener', async () => {
    leftWith(
      await host(`
      import { existsSync } from 'node:fs';
      import path from 'node:path';
      import { mkdtempSync, rmSync } from 'node:fs';
      const dir = mkdtempSync('/tmp/engine-test-');
      const marker = path.join(dir, 'marker');
      process.on('exit', () => { console.log(existsSync(marker)); rmSync(dir, { recursive: true }); });
      new ExecutionEngine().execute(programs.shell('sleep 0.4; touch "$MARKER"', { env: { MARKER: marker } }));
    `),
      'true\n',
    );
  });

  test('waiting work keeps Node.js alive too', async () => {
    leftWith(
      await host(`
      const engine = new ExecutionEngine({ maxConcurrentExecutions: 1 });
      engine.on('stdout', (event) => console.log(event.line));
      engine.execute(programs.shell('sleep 0.2; echo one'));
      engine.execute(programs.shell('sleep 0.2; echo two'));
    `),
      'one\ntwo\n',
    );
  });

  test('a pending cancel and a pending shutdown keep Node.js alive', async () => {
    leftWith(
      await host(`
      const engine = new ExecutionEngine({ killGraceMs: 300 });
      const ready = new Promise((resolve) => engine.once('stdout', resolve));
      const id = await engine.execute(programs.stubborn);
      await ready;
      engine.cancel(id).then(() => console.log('cancelled', engine.getResult(id).signal));
    `),
      'cancelled SIGKILL\n',
    );
  });

  test('unref: running work does not keep Node.js alive', async () => {
    leftWith(
      await host(`
      const engine = new ExecutionEngine();
      if (engine.unref() !== engine) throw new Error('unref gives the engine');
      await engine.execute(programs.shell('exec sleep 20'));
      process.on('exit', () => console.log('left'));
    `),
      'left\n',
    );
  });

  test('unref during the run: Node.js may leave from then on', async () => {
    leftWith(
      await host(`
      const engine = new ExecutionEngine();
      engine.on('stdout', () => { console.log('ready'); engine.unref(); });
      engine.on('cancelled', () => console.log('not reached'));
      await engine.execute(programs.shell('echo ready; exec sleep 20'));
    `),
      'ready\n',
    );
  });

  test('ref takes unref back, however often either was called', async () => {
    leftWith(
      await host(`
      const engine = new ExecutionEngine();
      engine.unref().unref();
      if (engine.ref().ref() !== engine) throw new Error('ref gives the engine');
      engine.execute(programs.shell('sleep 0.3; echo done')).then((id) => engine.waitForCompletion(id)).then((result) => console.log(result.stdout.trim()));
    `),
      'done\n',
    );
  });

  test('ref during the run keeps Node.js from then on', async () => {
    leftWith(
      await host(`
      const engine = new ExecutionEngine().unref();
      const run = engine.run(programs.shell('sleep 0.3; echo done'));
      engine.ref();
      run.then((result) => console.log(result.stdout.trim()));
    `),
      'done\n',
    );
  });

  test('an unread stream keeps Node.js alive only while its command runs', async () => {
    leftWith(
      await host(`
      const stream = new ExecutionEngine().stream(programs.shell('echo hi'));
      for await (const event of stream) if (event.type === 'stdout') console.log(event.line);
      console.log((await stream.result).status);
    `),
      'hi\ncompleted\n',
    );
  });

  test('a signal that never fires does not keep Node.js alive, nor do listeners leak', async () => {
    leftWith(
      await host(`
      process.on('warning', (warning) => console.log(warning.name));
      const engine = new ExecutionEngine();
      const { signal } = new AbortController();
      for (let index = 0; index < 40; index += 1) await engine.run(programs.nothing, { signal });
      for (let index = 0; index < 40; index += 1) new ExecutionEngine();
      console.log(process.listenerCount('exit') + process.listenerCount('beforeExit') + process.listenerCount('SIGTERM') < 5);
    `),
      'true\n',
    );
  });

  test('no event of an engine comes as a surprise: error is not among them', async () => {
    leftWith(
      await host(`
      const engine = new ExecutionEngine();
      await engine.run(programs.exec('/no/such/program')).catch(() => {});
      await engine.run(programs.shell('exit 1'));
      console.log(engine.listenerCount('error'), engine.eventNames().length);
    `),
      '0 0\n',
    );
  });
});
