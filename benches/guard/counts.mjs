// The counts of the guard, and how they are taken.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { countCalls, countReads } from './trace.mjs';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const host = path.join(root, 'benches', 'guard', 'host.mjs');
const programs = path.join(root, 'target', 'benches', 'release');

const MIB = 1024 * 1024;
/** The amounts: a repeated cost shows in the difference of two amounts, and the cost of a start does not. */
const TREES = { few: 20, many: 200 };
const RUNS = { few: 40, many: 120 };
const STREAMED = { few: MIB, many: 17 * MIB };
const WORKED = { few: 1, many: 5 };

/** Libc copies with loops. With `rep movsb`, each byte would count as an instruction, and hide all others. */
const GLIBC_TUNABLES = 'glibc.cpu.x86_rep_movsb_threshold=16777216:glibc.cpu.x86_rep_stosb_threshold=16777216';
/** A machine's own variables and folders are no part of what is counted. */
const env = { PATH: '/usr/bin:/bin' };

/** Counted without a tool, and so on systems that others imitate as well. */
export const BATCH_COUNTS = [
  // Whether the last lines of a read wait for those of the next one depends on which thread is faster.
  { name: 'batchesPerMiB', title: 'batches of a MiB of lines; calls into JavaScript are no more than these', tolerance: 0.25 },
  { name: 'wakesPerRun', title: 'calls into JavaScript of a short command' },
];

/** The groups of counts, each of which needs one tool, or none. */
export const GROUPS = [
  {
    counts: [
      { name: 'allocationsPerRun', title: 'allocations of a short command in the core' },
      { name: 'allocationsPer1000Lines', title: 'allocations of 1 000 lines for a Rust listener' },
    ],
    measure: (folder) => JSON.parse(run(path.join(programs, 'allocations'), [folder])),
  },
  { counts: BATCH_COUNTS, measure: (folder) => measureBatches(folder, askHost) },
  {
    tool: { name: 'strace', works: () => works('strace', ['-f', '-y', '-qq', '-b', 'execve', '-o', '/dev/null', 'true']) },
    counts: [
      { name: 'callsPerRun', title: 'system calls of a short command in the host, without the next three' },
      { name: 'childCallsPerRun', title: 'system calls of a child before its program starts' },
      // The faster thread decides how often one has to wait; a change that makes all of them wait twice is still seen.
      { name: 'waitsPerRun', title: 'waits and wake-ups of a short command', tolerance: 0.5 },
      // There are almost none but the garbage collector's, which vary; a mapping for each command would be seen.
      { name: 'memoryCallsPerRun', title: 'system calls about memory of a short command', tolerance: 4 },
      // Waits and memory vary here by more than their size, so they are left out.
      { name: 'callsPer1000Lines', title: 'system calls of 1 000 lines for a JavaScript listener, without waits and memory' },
    ],
    measure: measureCalls,
  },
  {
    tool: { name: 'strace', works: () => works('strace', ['-f', '-qq', '-b', 'execve', '-o', '/dev/null', 'true']) },
    // The number of scans until a process is gone depends on timing; scans for each tree would be ten times as many.
    counts: [{ name: 'procReadsPerTree', title: 'files of /proc that are opened to end one of many trees', tolerance: 1 }],
    measure: measureProcReads,
  },
  {
    // Valgrind shows programs one and the same processor, with AVX2 if the real one has it, as nearly all have by now.
    tool: { name: 'valgrind', works: () => works('valgrind', ['--tool=none', '-q', 'true']) && hasAvx2() },
    counts: [
      { name: 'splitterInstructionsPerMiB', title: 'instructions of the splitter for a MiB of lines' },
      { name: 'limiterInstructionsPerMiB', title: 'instructions of the limiter for a MiB, most of it beyond the cap' },
      { name: 'redactorInstructionsPerMiB', title: 'instructions of the redactor for a MiB' },
      { name: 'schedulerInstructionsPer1000', title: 'instructions of the scheduler for 1 000 that wait' },
    ],
    measure: measureInstructions,
  },
];

/** Builds the programs that count inside the core. Returns whether the build passed. */
export function build() {
  // benches/core/.cargo/config.toml sets the target directory.
  const made = spawnSync('cargo', ['build', '--release', '--bins', '--locked'], {
    cwd: path.join(root, 'benches', 'core'),
    stdio: 'inherit',
  });
  if (made.error) console.error(`cargo did not run: ${made.error.message}`);
  return made.status === 0 && spawnSync(process.execPath, [path.join(root, 'scripts', 'build.mjs')], { stdio: 'inherit' }).status === 0;
}

/**
 * @param {string} folder For files of lines.
 * @param {(what: string, given: string | number) => { wakes: number, batches: number }} ask Runs host.mjs and returns what it has printed.
 */
export function measureBatches(folder, ask) {
  const [few, many] = bothAmounts((key) => ask('lines', writeLines(folder, key)));
  for (const { wakes, batches } of [few, many]) {
    // This is not a count of its own: how often JavaScript is already awake depends on how fast it is.
    if (wakes > batches) throw new Error(`JavaScript was called ${wakes} times for ${batches} batches`);
  }
  const runs = ask('runs', RUNS.few);
  return {
    batchesPerMiB: ((many.batches - few.batches) * MIB) / (STREAMED.many - STREAMED.few),
    wakesPerRun: runs.wakes / RUNS.few,
  };
}

function measureCalls(folder) {
  const trace = path.join(folder, 'trace');
  const counted = (...given) => {
    // Children are not traced after their exec: slowed down, they would outlast the time for which a spawning thread polls them.
    run('strace', ['-f', '-y', '-qq', '-b', 'execve', '-e', 'signal=none', '-o', trace, process.execPath, host, ...given]);
    return countCalls(readFileSync(trace, 'utf8'));
  };
  // Each amount is measured twice, and the least of each kind counts: other work of a host comes on top.
  const least = (...given) => {
    const [one, other] = [counted(...given), counted(...given)];
    return Object.fromEntries(Object.keys(one).map((kind) => [kind, Math.min(one[kind], other[kind])]));
  };
  const runs = bothAmounts((key) => least('runs', String(RUNS[key])));
  const streams = bothAmounts((key) => least('lines', writeLines(folder, key)));
  const perRun = (kind) => (runs[1][kind] - runs[0][kind]) / (RUNS.many - RUNS.few);
  const thousands = (linesOf('many') - linesOf('few')) / 1000;
  return {
    callsPerRun: perRun('calls'),
    childCallsPerRun: perRun('child'),
    waitsPerRun: perRun('waits'),
    memoryCallsPerRun: perRun('memory'),
    callsPer1000Lines: (streams[1].calls - streams[0].calls) / thousands,
  };
}

function measureProcReads(folder) {
  const trace = path.join(folder, 'trace-proc');
  const counted = (key) => {
    const words = ['-f', '-qq', '-b', 'execve', '-e', 'trace=openat,execve', '-e', 'signal=none', '-o', trace];
    const { pids } = JSON.parse(run('strace', [...words, process.execPath, host, 'trees', String(TREES[key])]));
    return countReads(readFileSync(trace, 'utf8'), pids);
  };
  // The least of some: a process that exits late causes further scans.
  const [few, many] = bothAmounts((key) => Math.min(...Array.from({ length: 4 }, () => counted(key))));
  return { procReadsPerTree: (many - few) / (TREES.many - TREES.few) };
}

function measureInstructions() {
  const count = (module, amount) => {
    const args = [
      '--tool=cachegrind',
      '--cache-sim=no',
      '--cachegrind-out-file=/dev/null',
      path.join(programs, 'instructions'),
      module,
      String(amount),
    ];
    const { status, stderr } = spawnSync('valgrind', args, { cwd: '/', env: { ...env, GLIBC_TUNABLES }, encoding: 'utf8' });
    const found = /I\s+refs:\s+([\d,]+)/.exec(stderr);
    if (status !== 0 || !found) throw new Error(`valgrind did not count: ${stderr}`);
    return Number(found[1].replaceAll(',', ''));
  };
  const each = (module) => {
    const [few, many] = bothAmounts((key) => count(module, WORKED[key]));
    return Math.round((many - few) / (WORKED.many - WORKED.few));
  };
  return {
    splitterInstructionsPerMiB: each('splitter'),
    limiterInstructionsPerMiB: each('limiter'),
    redactorInstructionsPerMiB: each('redactor'),
    schedulerInstructionsPer1000: each('scheduler'),
  };
}

function bothAmounts(measure) {
  return ['few', 'many'].map(measure);
}

function askHost(what, given) {
  return JSON.parse(run(process.execPath, [host, what, String(given)]));
}

/** Writes a file with so many lines, and returns its path. */
function writeLines(folder, key) {
  const file = path.join(folder, `lines-${key}.txt`);
  if (!existsSync(file)) writeFileSync(file, linesText(STREAMED[key]));
  return file;
}

/** Returns lines of 1 to 128 bytes, one length after the other. */
function linesText(bytes) {
  const cycle = Array.from({ length: 128 }, (_, at) => `${'x'.repeat((at * 37) % 128)}\n`).join('');
  return cycle.repeat(Math.ceil(bytes / cycle.length)).slice(0, bytes);
}

function linesOf(key) {
  return linesText(STREAMED[key]).split('\n').length - 1;
}

/** Returns what a program prints. It must succeed. */
function run(program, args) {
  return execFileSync(program, args, { cwd: '/', env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function works(program, args) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

function hasAvx2() {
  return /\bavx2\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
}
