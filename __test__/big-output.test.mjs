// Much output in little memory.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { nodeProgram } from './helpers/programs.mjs';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
/** The most growth of memory, besides the captured output, which has a cap of its own. */
const MOST_GROWTH = 32 * MIB;

/** The young space of V8 has its greatest size from the start. It is no part of what output needs, and grows when the garbage collector chooses. */
const FLAGS = ['--expose-gc', '--min-semi-space-size=16', '--max-semi-space-size=16'];

/** Runs a host that runs a command with a way to listen, and prints how far its memory grew. */
function growth(listen, command) {
  const source = `
    const { ExecutionEngine } = require(${JSON.stringify(path.resolve('index.js'))});
    const engine = new ExecutionEngine({ maxOutputSizeBytes: 2 ** 20 });
    let pieces = 0, length = 0;
    const count = (event) => { if (event.line !== undefined) { pieces += 1; length += event.line.length; } };
    const request = (command) => ({ command: { type: 'shell', command }, timeoutMs: 3_600_000 });
    (async () => {
      const read = async (command) => { ${listen} };
      // The memory that any output needs is not counted.
      await read('head -c ${128 * MIB} /dev/zero');
      global.gc();
      const before = process.resourceUsage().maxRSS;
      const result = await read(process.argv[1]);
      console.log(JSON.stringify({ grown: (process.resourceUsage().maxRSS - before) * 1024, bytes: result.stdoutBytes, truncated: result.stdoutTruncated, pieces, length }));
    })();
  `;
  const { stdout, stderr } = spawnSync(process.execPath, [...FLAGS, '-e', source, command], { encoding: 'utf8' });
  return JSON.parse(stdout || `{"stderr":${JSON.stringify(stderr)}}`);
}

const LISTENING = {
  'no listener': 'return engine.run(request(command));',
  'a listener': "pieces = length = 0; engine.removeAllListeners().on('stdout', count); return engine.run(request(command));",
  'a stream':
    'pieces = length = 0; const stream = engine.stream(request(command)); for await (const event of stream) count(event); return stream.result;',
};

for (const [reader, listen] of Object.entries(LISTENING)) {
  test(`1 GiB without a line end, read by ${reader}: bounded memory`, (t) => {
    const reported = growth(listen, `head -c ${GIB} /dev/zero`);
    t.diagnostic(`grown by ${(reported.grown / MIB).toFixed(1)} MiB`);
    assert.deepEqual([reported.bytes, reported.truncated], [GIB, true], JSON.stringify(reported));
    assert.ok(reported.grown <= MOST_GROWTH, `grown by ${reported.grown} bytes`);
    if (reader === 'no listener') return;
    assert.equal(reported.length, GIB);
    // On a busy machine, silences cut some pieces.
    assert.ok(reported.pieces >= GIB / 65_536 && reported.pieces < 2 * (GIB / 65_536), `${reported.pieces} pieces`);
  });
}

test('a million one-byte writes are read in large pieces', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id, stdout, stdoutBytes } = await engine.run(
    nodeProgram("const { writeSync } = require('fs'); for (let at = 1; at <= 1_000_000; at++) writeSync(1, at % 50 ? 'x' : '\\n')"),
  );
  assert.equal(stdoutBytes, 1_000_000);
  assert.equal(stdout, `${'x'.repeat(49)}\n`.repeat(20_000));
  const lines = events.of(id).filter((event) => event.type === 'stdout');
  assert.deepEqual([lines.filter((event) => !event.partial).length, lines.map((event) => event.line).join('').length], [20_000, 980_000]);
});
