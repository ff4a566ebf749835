// After a shutdown nothing of an engine is open, by every measure that test runners use.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { host } from './helpers/hosts.mjs';

/** The resources that jest looks at: those that were made and not destroyed, apart from those that it leaves out. */
const LOOK = `
  import { createHook } from 'node:async_hooks';
  const IGNORED = ['PROMISE', 'TIMERWRAP', 'ELDHISTOGRAM', 'PerformanceObserver', 'RANDOMBYTESREQUEST', 'DNSCHANNEL', 'ZLIB', 'SIGNREQUEST', 'TLSWRAP', 'TCPWRAP', 'Immediate', 'Microtask', 'TickObject'];
  const open = new Map();
  const hook = createHook({ init: (id, type) => { if (!IGNORED.includes(type)) open.set(id, type); }, destroy: (id) => open.delete(id) });
  hook.enable();
`;

test('no resource, no handle, no timer', async () => {
  const { code, stdout, stderr } = await host(`
    ${LOOK}
    const engine = new ExecutionEngine();
    engine.on('event', () => {});
    const controller = new AbortController();
    await engine.run(programs.shell('echo a; exit 1'), { signal: controller.signal, retry: { attempts: 2, on: ['exit'], backoffMs: 1 } });
    await engine.run(programs.exec('cat'), { stdin: (async function* () { yield 'a'; })() });
    for await (const event of engine.stream(programs.exec('seq', '3'))) event;
    await engine.runPlan({ description: 'd', strategy: { type: 'parallel' }, commands: [programs.nothing, programs.nothing] });
    await engine.run(programs.exec('/no/such')).catch(() => {});
    const running = engine.run(programs.forever);
    await engine.shutdown();
    await running;
    await engine.shutdown();
    // A native handle ends in a later turn of the event loop, when the thread that used it last has left it.
    for (const end = performance.now() + 5_000; open.size > 0 && performance.now() < end; ) await new Promise((resolve) => setImmediate(resolve));
    console.log(JSON.stringify([[...open.values()], process.getActiveResourcesInfo().filter((name) => !/^(Pipe|TTY|FS)/.test(name) && name !== 'Immediate')]));
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '[[],[]]\n', stderr: '' });
});

test('a host ends by itself after a shutdown, also with an engine that still has its listeners', async () => {
  const { code, stderr } = await host(`
    const engines = Array.from({ length: 5 }, () => new ExecutionEngine());
    for (const engine of engines) engine.on('event', () => {});
    await Promise.all(engines.map((engine) => engine.run(programs.nothing)));
    await Promise.all(engines.map((engine) => engine.shutdown()));
    globalThis.kept = engines;
  `);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});

test('what is known is known after a shutdown too', async () => {
  const { code, stdout } = await host(`
    const engine = new ExecutionEngine();
    const { id } = await engine.run(programs.exec('echo', 'a'));
    await engine.shutdown();
    console.log(engine.getResult(id).stdout.trim(), engine.getStatus(id), engine.listExecutions().length, await engine.run(programs.nothing).catch((error) => error.code));
  `);
  assert.deepEqual({ code, stdout }, { code: 0, stdout: 'a completed 1 ENGINE_SHUT_DOWN\n' });
});
