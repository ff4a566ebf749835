// A long text is in memory once, for JavaScript and for the record: no code can observe it, in whatever order they are released.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { recordedEngine } from './helpers/engine.mjs';
import { host } from './helpers/hosts.mjs';
import { nodeProgram } from './helpers/programs.mjs';

const engine = fileURLToPath(new URL('../index.js', import.meta.url));
const KIB = 1024;
/** The size from which on texts are shared. */
const SHARED = 64 * KIB;

const write = (unit, count) => nodeProgram(`process.stdout.write(${JSON.stringify(unit)}.repeat(${count}))`);

for (const [what, unit] of [
  ['ASCII', 'x'],
  ['lines', 'abc\n'],
  ['a control character', '\u007f'],
  ['Latin-1', 'é'],
  ['beyond', '€\u{1F600}'],
]) {
  test(`a text of every length around a shared one is what was written: ${what}`, async (t) => {
    const { engine } = recordedEngine(t);
    for (const count of [SHARED - 1, SHARED, SHARED + 1, 8 * SHARED]) {
      const { id, stdout } = await engine.run(write(unit, count));
      const wanted = unit.repeat(count);
      assert.ok(stdout === wanted, `${count} times`);
      assert.ok(engine.getResult(id).stdout === wanted, 'again');
      engine.removeExecution(id);
      assert.ok(stdout === wanted, 'without its record');
      // Each operation on a string.
      assert.equal(stdout.lastIndexOf(unit), wanted.length - unit.length);
      assert.ok(JSON.parse(JSON.stringify({ stdout })).stdout === wanted);
      assert.ok(structuredClone(stdout) === wanted && `${stdout}|`.endsWith(`${unit}|`));
      assert.ok(Buffer.from(stdout).equals(Buffer.from(wanted)) && new Map([[stdout, 1]]).get(wanted) === 1);
      assert.equal(stdout.split(unit).length, count + 1);
    }
  });
}

test('standard output and standard error are not mixed up', async (t) => {
  const { engine } = recordedEngine(t);
  const source = `process.stdout.write('o'.repeat(${SHARED})); process.stderr.write('e'.repeat(${2 * SHARED}))`;
  const { stdout, stderr } = await engine.run(nodeProgram(source));
  assert.ok(stdout === 'o'.repeat(SHARED) && stderr === 'e'.repeat(2 * SHARED));
});

test('texts outlive their records and the engine', async () => {
  const { code, stdout, stderr } = await host(
    `
    const kept = [];
    const engine = new ExecutionEngine();
    for (let round = 0; round < 20; round += 1) {
      const letter = String.fromCharCode(97 + round);
      const { id, stdout } = await engine.run(programs.shell('head -c 2097152 /dev/zero | tr "\\\\0" ' + letter));
      engine.removeExecution(id);
      kept.push(stdout);
    }
    await engine.shutdown();
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
    globalThis.gc();
    console.log(kept.every((text, round) => text === String.fromCharCode(97 + round).repeat(2 ** 21)));
  `,
    { flags: ['--expose-gc'] },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'true\n', stderr: '' });
});

test('the memory of a text goes when neither the record nor JavaScript needs it', async () => {
  const { code, stdout, stderr } = await host(
    `
    const MIB = 2 ** 20;
    const engine = new ExecutionEngine();
    const one = async () => {
      const { id, stdout } = await engine.run(programs.shell('head -c 2097152 /dev/zero | tr "\\\\0" x'));
      engine.removeExecution(id);
      if (stdout.length !== 2 * MIB) throw new Error(String(stdout.length));
    };
    const rounds = async (count) => { for (let round = 0; round < count; round += 1) { await one(); globalThis.gc(); } };
    await rounds(10);
    const before = process.memoryUsage.rss();
    await rounds(60);
    const grown = Math.round((process.memoryUsage.rss() - before) / MIB);
    console.log(grown < 40 ? 'goes' : 'of 120 MiB ' + grown + ' are left');
  `,
    { flags: ['--expose-gc'] },
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'goes\n', stderr: '' });
});

test('a worker ends while it holds such texts, by itself or by force', async () => {
  const { code, stdout, stderr } = await host(`
    const { Worker } = await import('node:worker_threads');
    const source = \`
      const { ExecutionEngine } = require(process.env.ENGINE);
      const { parentPort } = require('node:worker_threads');
      const engine = new ExecutionEngine();
      globalThis.kept = [];
      (async () => {
        for (let round = 0; round < 4; round += 1) {
          kept.push((await engine.run({ command: { type: 'shell', command: 'head -c 1048576 /dev/zero | tr "\\\\\\\\0" x' } })).stdout);
        }
        parentPort.postMessage(kept.at(-1).length);
      })();\`;
    for (let round = 0; round < 6; round += 1) {
      const worker = new Worker(source, { eval: true, execArgv: [], env: { ...process.env, ENGINE: ${JSON.stringify(engine)} } });
      const over = new Promise((resolve) => worker.once('exit', resolve));
      const length = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      if (round % 2) await worker.terminate();
      await over;
      if (length !== 2 ** 20) throw new Error(String(length));
    }
    console.log('over');
  `);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'over\n', stderr: '' });
});
