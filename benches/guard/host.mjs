// A host to count: runs commands, streams lines or ends trees, and reports how often native code called into JavaScript.
//
//   node host.mjs runs <how many>
//   node host.mjs lines <file>
//   node host.mjs trees <how many>
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const [what, given] = process.argv.slice(2);

/** Calls from a thread of the engine into JavaScript, and the batches that JavaScript fetched then. */
const seen = { wakes: 0, batches: 0, lines: 0 };

// The facade uses the addon's class when an engine is constructed; this one counts.
const native = require('../../lib/native.js');
const { NativeEngine } = native;
native.NativeEngine = class extends NativeEngine {
  constructor(config, wake) {
    super(config, () => {
      seen.wakes++;
      wake();
    });
  }

  take(shared) {
    const batch = super.take(shared);
    if (batch !== null) seen.batches++;
    return batch;
  }
};

const { ExecutionEngine } = require('../../index.js');
const trees = what === 'trees' ? Number(given) : 0;
const engine = new ExecutionEngine({ maxInMemoryExecutions: Math.max(16, trees), ...(trees && { maxConcurrentExecutions: trees }) });
if (what === 'runs') {
  const program = existsSync('/bin/true') ? '/bin/true' : '/usr/bin/true';
  for (let left = Number(given); left > 0; left--) await engine.run({ command: { type: 'exec', program } });
} else if (what === 'trees') {
  seen.pids = [];
  const all = new Promise((resolve) => engine.on('started', ({ pid }) => seen.pids.push(pid) === trees && resolve()));
  for (let left = trees; left > 0; left--) await engine.execute({ command: { type: 'exec', program: 'sleep', args: ['300'] } });
  await all;
  await engine.cancelAll();
} else {
  engine.on('stdout', () => seen.lines++);
  const program = existsSync('/bin/cat') ? '/bin/cat' : '/usr/bin/cat';
  await engine.run({ command: { type: 'exec', program, args: [given] } });
}
await engine.shutdown();
console.log(JSON.stringify(seen));
