// Repeats tests of races and of killed processes many times, to find failures that are rare. Each part prints its counts.
//
//   node scripts/stress.mjs [--quick]        --quick: a fifth of it
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments } from './arguments.mjs';

const { values } = readArguments({ options: { quick: { type: 'boolean', default: false } } });
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const times = (count) => Math.max(1, Math.round(values.quick ? count / 5 : count));

/** The tests that race, by test program. Each repeats its race by itself, `ESCHER_TEST_REPEATS` times. */
const RACES = {
  engine: ['cancel_while_queued::', 'cancel_race::', 'cancel_twice::'],
  supervision: ['reused_pid::', 'cancel_while_spawning::', 'half_spawned::', 'foreign_reaper::', 'without_pidfd::'],
};
const JS_RACES = ['cancel-race', 'stream-race', 'worker', 'guardian-kill'];
/** Trees that are hard to end, hosts in namespaces of their own, and many trees. What they leave behind ends with their namespace. */
const HARD_TO_END = [
  'respawning-tree',
  'nested-engines',
  'process-table',
  'many-trees',
  'hidden-members',
  'guardian-attacked',
  'guardian-not-started',
  'exit-without-guardian',
  'detached-host-gone',
];
const HARD_TO_END_REPEATS = times(200);
const LONGEST_S = 3_600;
const REPEATS = times(1000);
/** Tests of single trees, with processes that change while the tree is scanned. They are run again as a whole. */
const TREES = {
  engine: ['grandchildren::', 'ignored_sigterm::', 'stopped_child::'],
  supervision: ['escaped::', 'job_control::', 'stopped_tree::'],
};
const TREE_ROUNDS = times(200);
const SHOWN_FAILURES = 3;

const parts = [
  ['hosts killed', () => node('scripts/decapitate.mjs', '--rounds', String(times(200)))],
  ['hosts killed after their guardians', () => node('scripts/decapitate.mjs', '--guardian-first', '--rounds', String(times(20)))],
  [`${times(200_000)} short commands`, () => node('--expose-gc', 'scripts/soak.mjs', '--runs', String(times(200_000)))],
  ['system calls that fail', () => node('scripts/faults.mjs', '--calls', String(times(3)))],
  [`trees that respawn, nested engines, 2 000 trees, a full process table, no /proc, a host with the process id 1`, hardToEnd],
  ['floods', () => node('scripts/floods.mjs', '--seconds', String(times(20)))],
  ...Object.entries(RACES).map(([program, names]) => [`${REPEATS} times the races of tests/${program}`, () => races(program, names)]),
  [`${REPEATS} times the races of __test__`, jsRaces],
  ...Object.entries(TREES).map(([program, names]) => [`${TREE_ROUNDS} times the trees of tests/${program}`, () => trees(program, names)]),
];

const failed = [];
for (const [name, run] of parts) {
  console.log(`\n== ${name}`);
  const startedAt = performance.now();
  const isFine = run();
  console.log(`== ${name}: ${isFine ? 'fine' : 'FAILED'} after ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  if (!isFine) failed.push(name);
}
console.log(failed.length === 0 ? '\nall fine' : `\nFAILED: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

function node(...args) {
  return run(process.execPath, args).status === 0;
}

/** Runs a program with its output here, and the races repeated. */
function run(program, args) {
  return spawnSync(program, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ESCHER_TEST_REPEATS: String(REPEATS) } });
}

function races(program, names) {
  const binary = build(program);
  return binary !== undefined && run(binary, names).status === 0;
}

function jsRaces() {
  return node(
    '--test',
    '--test-reporter=spec',
    '--test-concurrency=1',
    ...JS_RACES.map((name) => path.join('__test__', `${name}.test.mjs`)),
  );
}

/** The processes run in a process namespace with a bound: none of them outlives this. */
function hardToEnd() {
  const files = HARD_TO_END.map((name) => path.join('__test__', `${name}.test.mjs`));
  const bounded = ['unshare', '-pf', '--mount-proc', '--kill-child'];
  const isBounded = spawnSync(bounded[0], [...bounded.slice(1), 'true']).status === 0;
  if (!isBounded) console.error('━━ no process namespace can be made here: what survives has to be ended by hand');
  const words = [
    ...(isBounded ? bounded : []),
    'timeout',
    '--signal=KILL',
    String(LONGEST_S),
    process.execPath,
    '--test',
    '--test-reporter=spec',
    '--test-concurrency=1',
    ...files,
  ];
  const env = { ...process.env, ESCHER_TEST_REPEATS: String(HARD_TO_END_REPEATS), ESCHER_TEST_TREES: '2000' };
  return spawnSync(words[0], words.slice(1), { cwd: root, stdio: 'inherit', env }).status === 0;
}

/** Builds a test program once and runs some of it many times. */
function trees(program, names) {
  const binary = build(program);
  if (binary === undefined) return false;
  let failures = 0;
  for (let round = 1; round <= TREE_ROUNDS; round++) {
    const { status, signal, stdout, stderr } = spawnSync(binary, names, {
      cwd: root,
      encoding: 'utf8',
      timeout: 300_000,
      maxBuffer: 2 ** 28,
    });
    if (status !== 0 || !/ [1-9]\d* passed/.test(stdout)) {
      failures += 1;
      if (failures <= SHOWN_FAILURES) console.error(`round ${round}: ended with ${status ?? signal}\n${stdout}${stderr}`);
    }
    if (round % Math.ceil(TREE_ROUNDS / 10) === 0) console.log(`${round} of ${TREE_ROUNDS} rounds, ${failures} failed`);
  }
  return failures === 0;
}

/** Returns the path of a test program, as cargo prints it. */
function build(program) {
  const args = ['test', '--release', '--locked', '--no-run', '--test', program, '--message-format=json-render-diagnostics'];
  const { status, stdout } = spawnSync('cargo', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) return undefined;
  const messages = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  return messages.find(({ executable, target }) => executable && target.name === program)?.executable;
}
