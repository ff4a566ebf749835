// Commands that write without end, with their overflow in files: memory, disk and counters stay within their bounds.
//
//   node scripts/floods.mjs [--seconds 20] [--commands 16] [--quota-mib 64]
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { ExecutionEngine } from '../index.js';
import { readArguments } from './arguments.mjs';

const number = (value) => ({ type: 'number', default: value });
const { values } = readArguments({ options: { seconds: number(20), commands: number(16), 'quota-mib': number(64) } });
const [seconds, commands, quota] = [values.seconds, values.commands, values['quota-mib'] * 2 ** 20];
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
/** Two streams of each command at the default cap would be this; the caps here are small. */
const CAP = 2 ** 20;
const MOST_GROWTH = commands * 2 * CAP + 64 * 2 ** 20;

const overflowDir = mkdtempSync(path.join(tmpdir(), 'floods-'));
const engine = new ExecutionEngine({
  oversizedOutputStrategy: 'streamToFile',
  overflowDir,
  maxOverflowTotalBytes: quota,
  maxOutputSizeBytes: CAP,
  minFreeDiskBytes: 0,
});
let lines = 0;
engine.on('stdout', () => (lines += 1));
const before = process.memoryUsage().rss;
let peak = before;
const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 50);

const flood = { command: { type: 'shell', command: 'exec yes "a line of a flood that never ends"' }, timeoutMs: seconds * 1000 };
const results = await Promise.all(Array.from({ length: commands }, () => engine.run(flood, { killGraceMs: 0 })));
clearInterval(watch);

const sizes = files(overflowDir)
  .filter((name) => name.endsWith('.stdout'))
  .map((name) => statSync(name).size);
const onDisk = sizes.reduce((sum, size) => sum + size, 0);
const sum = (field) => results.reduce((total, result) => total + result[field], 0);
const problems = [];
const check = (isFine, problem) => isFine || problems.push(problem);
check(
  results.every((result) => result.status === 'timeout'),
  'not every flood was ended by its timeout',
);
check(onDisk <= quota, 'the quota was exceeded');
check(onDisk + sum('overflowLostBytes') === sum('stdoutBytes'), 'bytes on disk and lost bytes do not add up to the written ones');
check(peak - before <= MOST_GROWTH, `memory grew by more than ${mib(MOST_GROWTH)}`);
await engine.shutdown();
for (const { id } of results) engine.removeExecution(id);
check(files(overflowDir).filter((name) => name.endsWith('.stdout')).length === 0, 'overflow files are left');
rmSync(overflowDir, { recursive: true });

console.log(`${commands} floods for ${seconds} s: ${mib(sum('stdoutBytes'))} written, ${lines} lines received`);
console.log(
  `memory grew by ${mib(peak - before)}; on disk ${mib(onDisk)} of ${mib(quota)} in ${sizes.length} files; ${mib(sum('overflowLostBytes'))} counted as beyond the bounds`,
);
for (const problem of problems) console.error(`PROBLEM: ${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;

function files(dir) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(path.join(dir, entry.name)) : [path.join(dir, entry.name)],
  );
}
