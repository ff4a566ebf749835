// An engine without references is collected; one with running work is not.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { host } from './helpers/hosts.mjs';

const COLLECT = `
  const collected = async (reference) => {
    for (let round = 0; round < 100 && reference.deref(); round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      globalThis.gc();
    }
    return reference.deref() === undefined;
  };
`;

test('an idle engine is collected, also one that has worked and one with listeners', async () => {
  const { code, stdout, stderr } = await host(
    `${COLLECT}
    const idle = () => new WeakRef(new ExecutionEngine());
    const worked = async () => {
      const engine = new ExecutionEngine();
      engine.on('event', () => {});
      await engine.run(programs.shell('echo hi'));
      return new WeakRef(engine);
    };
    console.log(await collected(idle()), await collected(await worked()));
  `,
    { flags: ['--expose-gc'] },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'true true\n', stderr: '' });
});

test('an engine with work is not collected: its events come', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'escher-collected-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'enough');
  const { code, stdout, stderr } = await host(
    `${COLLECT}
    const { writeFileSync } = await import('node:fs');
    let ended;
    const over = new Promise((resolve) => { ended = resolve; });
    const start = () => {
      const engine = new ExecutionEngine();
      engine.on('completed', (event) => ended(event.result.stdout));
      engine.execute(programs.untilFile(${JSON.stringify(file)}, 'echo done'));
      return new WeakRef(engine);
    };
    const reference = start();
    for (let round = 0; round < 20; round += 1) { globalThis.gc(); await new Promise((resolve) => setTimeout(resolve, 10)); }
    const isThere = reference.deref() !== undefined;
    writeFileSync(${JSON.stringify(file)}, '');
    console.log(isThere, (await over).endsWith('done\\n') && 'done');
  `,
    { flags: ['--expose-gc'] },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'true done\n', stderr: '' });
});

test("an engine with work that was unref'd may be collected, and ends its trees then", async () => {
  const { code, stdout, stderr } = await host(
    `${COLLECT}
    const alive = setInterval(() => {}, 1_000);
    const start = async () => {
      const engine = new ExecutionEngine().unref();
      // The engine is held until it has started: this function waits for it, and nothing else holds either of them.
      globalThis.held = engine;
      const started = new Promise((resolve) => engine.once('started', resolve));
      await engine.execute(programs.forever);
      const { pid } = await started;
      delete globalThis.held;
      return { pid, reference: new WeakRef(engine) };
    };
    const { pid, reference } = await start();
    console.log(programs.isAlive(pid), await collected(reference));
    await programs.until(() => !programs.isAlive(pid), 'its tree is gone');
    console.log(programs.isAlive(pid));
    clearInterval(alive);
  `,
    { flags: ['--expose-gc'] },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'true true\nfalse\n', stderr: '' });
});

test('hundreds of engines cost nothing for long', async () => {
  const { code, stdout, stderr } = await host(
    `
    import { readdirSync } from 'node:fs';
    const count = () => (process.platform === 'linux' ? [readdirSync('/proc/self/fd').length, readdirSync('/proc/self/task').length] : [0, 0]);
    const round = async (engines) => {
      for (let index = 0; index < engines; index += 1) await new ExecutionEngine().run(programs.nothing);
      for (let turn = 0; turn < 10; turn += 1) { globalThis.gc(); await new Promise((resolve) => setTimeout(resolve, 5)); }
    };
    // The memory that so many engines leave for the collector at once is not their lasting cost.
    await round(500);
    const [[fds, threads], rss] = [count(), process.memoryUsage.rss()];
    await round(500);
    // The threads of the last ones may still be ending.
    const isDown = () => count().every((now, index) => now <= [fds, threads][index] + 2);
    await programs.until(isDown, 'no descriptors and threads are left');
    const growth = (process.memoryUsage.rss() - rss) / 1024 / 1024;
    console.log(growth < 16 || growth);
  `,
    { flags: ['--expose-gc'] },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'true\n', stderr: '' });
});
