// Many short commands through one engine with retention on: records, memory, descriptors and threads stay where they were.
//
//   node --expose-gc scripts/soak.mjs [--runs 200000]
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';

import { ExecutionEngine } from '../index.js';
import { readArguments } from './arguments.mjs';

const { values } = readArguments({ options: { runs: { type: 'number', default: 200_000 } } });
const RUNS = values.runs;
const AT_ONCE = 16;
const LOOKS = 20;
const KEPT = 200;
/** The most growth in MiB, by which a heap and an allocator may differ from one moment to another. */
const MOST_GROWTH_MIB = 10;

if (typeof globalThis.gc !== 'function') throw new Error('start it with node --expose-gc');

const engine = new ExecutionEngine({
  maxInMemoryExecutions: KEPT,
  executionRetentionSecs: 2,
  cleanupIntervalSecs: 1,
  maxRetainedOutputBytes: 1024 * 1024,
});
let lines = 0;
engine.on('stdout', () => (lines += 1));

const looks = [];
let started = 0;
for (let look = 1; look <= LOOKS; look += 1) {
  const until = Math.round((RUNS * look) / LOOKS);
  await Promise.all(Array.from({ length: AT_ONCE }, () => runUntil(until)));
  looks.push(resources());
  console.log(`${String(until).padStart(6)} runs: ${describe(looks.at(-1))}`);
}

// The first half fills caches, pools and the retained records.
const warm = looks.slice(0, LOOKS / 2);
const later = looks.slice(LOOKS / 2);
const most = (list, field) => Math.max(...list.map((look) => look[field]));
const growth = most(later, 'rssMiB') - most(warm, 'rssMiB');
console.log(`memory after the first half: ${growth.toFixed(1)} MiB more`);
assert.ok(growth <= MOST_GROWTH_MIB, `resident memory grew by ${growth.toFixed(1)} MiB`);
assert.ok(most(later, 'descriptors') <= most(warm, 'descriptors') + 8, 'descriptors do not grow');
// A pool starts a thread when all that it has are busy: one for each command at once at most, however late that happens.
assert.ok(most(looks, 'threads') <= looks[0].threads + AT_ONCE, 'threads do not grow');
assert.ok(most(looks, 'records') <= KEPT + AT_ONCE, 'records stay within their bound');

const { total, completed } = engine.getStats();
assert.deepEqual({ total, completed, lines }, { total: RUNS, completed: RUNS, lines: RUNS });
await engine.shutdown();

async function runUntil(count) {
  while (started < count) {
    const number = (started += 1);
    const { stdout } = await engine.run({
      command: { type: 'exec', program: 'echo', args: [String(number)] },
      metadata: { label: 'soak' },
    });
    assert.equal(stdout, `${number}\n`);
  }
}

function resources() {
  globalThis.gc();
  const threads = /^Threads:\s*(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1];
  return {
    rssMiB: process.memoryUsage.rss() / 2 ** 20,
    descriptors: readdirSync('/proc/self/fd').length,
    threads: Number(threads),
    records: engine.listExecutions().length,
  };
}

function describe({ rssMiB, descriptors, threads, records }) {
  return `${rssMiB.toFixed(1)} MiB, ${descriptors} descriptors, ${threads} threads, ${records} records`;
}
