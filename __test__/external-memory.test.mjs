// Memory of the engine that JavaScript keeps is known to its collector: results that are no longer used do not pile up.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { host } from './helpers/hosts.mjs';
import { file, folder } from './helpers/programs.mjs';

const MIB = 2 ** 20;

/** Returns the largest resident memory of a host that runs `cat` of a file again and again, in MiB. */
async function peakOf(name, { rounds, run, setup = '', flags = [] }) {
  const { code, stdout, stderr } = await host(
    `
    import { execFile } from 'node:child_process';
    import { promisify } from 'node:util';
    const [name, cat] = [${JSON.stringify(name)}, programs.exec('cat', ${JSON.stringify(name)})];
    const engine = new ExecutionEngine({ maxInMemoryExecutions: 0 });
    let peak = 0;
    ${setup}
    for (let round = 0; round < ${rounds}; round++) {
      ${run}
      peak = Math.max(peak, process.memoryUsage.rss());
    }
    await engine.shutdown();
    console.log(peak);
  `,
    { limitMs: 120_000, flags },
  );
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return Number(stdout) / MIB;
}

const PEER = (encoding) => ({
  setup: 'const run = promisify(execFile);',
  run: `(await run('cat', [name], { maxBuffer: 2 ** 30, encoding: '${encoding}' })).stdout.length;`,
});

for (const [what, size, rounds] of [
  ['5 MB', 5e6, 150],
  ['10 MB', 10e6, 80],
]) {
  test(`results of ${what}, one after the other`, async (t) => {
    const name = file(folder(t), 'large', 'a\n'.repeat(size / 2));
    const peer = { utf8: await peakOf(name, { rounds, ...PEER('utf8') }), buffer: await peakOf(name, { rounds, ...PEER('buffer') }) };
    const ways = {
      'a text': ['utf8', { run: '(await engine.run(cat)).stdout.length;' }],
      'a text that is never read': ['utf8', { run: 'await engine.waitForCompletion(await engine.execute(cat));' }],
      'a text that only a listener gets': [
        'utf8',
        {
          setup: `let end; engine.on('completed', () => end());`,
          run: 'const ended = new Promise((resolve) => { end = resolve; }); await engine.execute(cat); await ended;',
        },
      ],
      bytes: ['buffer', { run: `(await engine.run(cat, { encoding: 'buffer' })).stdout.length;` }],
      'a text that is read again and again': [
        'utf8',
        {
          run: 'const id = await engine.execute(cat); for (let i = 0; i < 3; i++) try { engine.getResult(id).stdout.length; } catch {} await engine.waitForCompletion(id);',
        },
      ],
      'a step of a plan': [
        'utf8',
        { run: `(await engine.runPlan({ description: 'd', strategy: { type: 'serial' }, commands: [cat] })).results[0].stdout.length;` },
      ],
    };
    for (const [way, [encoding, how]] of Object.entries(ways)) {
      await t.test(way, async () => {
        const peak = await peakOf(name, { rounds, ...how });
        assert.ok(peak <= 1.5 * peer[encoding], `${Math.round(peak)} MiB; child_process ${Math.round(peer[encoding])} MiB`);
      });
    }
  });
}

test('many small results', async (t) => {
  const name = file(folder(t), 'small', 'a'.repeat(70_000));
  const rounds = 1_500;
  const peer = await peakOf(name, { rounds, ...PEER('utf8') });
  const peak = await peakOf(name, { rounds, run: '(await engine.run(cat)).stdout.length;' });
  assert.ok(peak <= 1.5 * peer, `${Math.round(peak)} MiB; child_process ${Math.round(peer)} MiB`);
});

test('a text that is kept counts, and one that was collected does not', async (t) => {
  const name = file(folder(t), 'large', 'a'.repeat(8e6));
  const { code, stdout, stderr } = await host(
    `
    const engine = new ExecutionEngine({ maxInMemoryExecutions: 0 });
    const cat = programs.exec('cat', ${JSON.stringify(name)});
    const kept = [];
    const external = async () => {
      for (let round = 0; round < 3; round++) { globalThis.gc(); await new Promise((resolve) => setTimeout(resolve, 5)); }
      // Counts are brought up to date by what the engine does next.
      await engine.run(programs.nothing);
      return process.memoryUsage().external;
    };
    const before = await external();
    for (let round = 0; round < 4; round++) kept.push((await engine.run(cat)).stdout);
    const held = (await external()) - before;
    console.log(held >= 31e6 && held < 36e6 ? 'counted' : held, kept.length);
    kept.length = 0;
    const left = (await external()) - before;
    console.log(Math.abs(left) < 1e6 ? 'gone' : left);
  `,
    { flags: ['--expose-gc'] },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'counted 4\ngone\n', stderr: '' });
});

test('a worker with little heap, and hosts that end while they hold results', async (t) => {
  const name = file(folder(t), 'large', 'a'.repeat(5e6));
  const engine = new URL('../index.js', import.meta.url).href;
  const { code, stdout, stderr } = await host(
    `
    import { Worker } from 'node:worker_threads';
    const source = \`
      const { parentPort } = require('node:worker_threads');
      import(${JSON.stringify(engine)}).then(async ({ ExecutionEngine }) => {
        const engine = new ExecutionEngine({ maxInMemoryExecutions: 0 });
        globalThis.kept = [];
        for (let round = 0; round < 60; round++) {
          const { stdout } = await engine.run({ command: { type: 'exec', program: 'cat', args: [${JSON.stringify(name)}] } }, round % 2 ? { encoding: 'buffer' } : {});
          if (round % 10 === 0) kept.push(stdout);
        }
        parentPort.postMessage(kept.length);
      });\`;
    for (let round = 0; round < 4; round++) {
      const worker = new Worker(source, { eval: true, execArgv: [], resourceLimits: { maxOldGenerationSizeMb: 32 } });
      const over = new Promise((resolve) => worker.once('exit', resolve));
      console.log(await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)));
      if (round % 2) await worker.terminate();
      await over;
    }
    const engine = new ExecutionEngine();
    globalThis.kept = [await engine.run(programs.exec('cat', ${JSON.stringify(name)}))];
    if (process.memoryUsage.rss() > 400e6) console.log(process.memoryUsage.rss());
  `,
    { limitMs: 60_000, flags: ['--max-old-space-size=64'] },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '6\n'.repeat(4), stderr: '' });
});
