// What a single run does not show: races and deaths, again and again. Each part prints a summary of its own.
//
//   node scripts/stress.mjs [--quick]        --quick: a fifth of it
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const times = (count) => Math.max(1, Math.round(values.quick ? count / 5 : count));

// The tests that race, by test program; those of one program run together.
const RACES = {
  engine: ['cancel_race::', 'cancel_twice::', 'exit_at_timeout::', 'cancel_while_queued::'],
  supervision: ['escaped::', 'job_control::', 'stopped_tree::', 'without_pidfd::', 'foreign_reaper::'],
};
/** How often each test of a program runs. Those of `engine` are quick and race a few thousand times each by themselves. */
const REPEATS = { engine: 1000, supervision: 200 };
const SHOWN_FAILURES = 3;

const parts = [
  ['hosts killed', () => node('scripts/decapitate.mjs', '--rounds', String(times(200)))],
  ['hosts killed after their guardians', () => node('scripts/decapitate.mjs', '--guardian-first', '--rounds', String(times(20)))],
  ['system calls that fail', () => node('scripts/faults.mjs', '--calls', String(Math.max(1, times(3))))],
  ['floods', () => node('scripts/floods.mjs', '--seconds', String(times(20)))],
  ...Object.keys(RACES).map((program) => [`races of tests/${program}`, () => races(program)]),
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
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

/** Builds a test program once and runs its races many times. */
function races(program) {
  const binary = build(program);
  if (binary === undefined) return false;
  const rounds = times(REPEATS[program]);
  let failures = 0;
  for (let round = 1; round <= rounds; round++) {
    const { status, signal, stdout, stderr } = spawnSync(binary, RACES[program], { cwd: root, encoding: 'utf8', timeout: 300_000, maxBuffer: 2 ** 28 });
    if (status !== 0 || !/ [1-9]\d* passed/.test(stdout)) {
      failures += 1;
      if (failures <= SHOWN_FAILURES) console.error(`round ${round}: ended with ${status ?? signal}\n${stdout}${stderr}`);
    }
    if (round % Math.ceil(rounds / 10) === 0) console.log(`${round} of ${rounds} rounds, ${failures} failed`);
  }
  return failures === 0;
}

/** The path of a test program, as cargo says it. */
function build(program) {
  const args = ['test', '--release', '--locked', '--no-run', '--test', program, '--message-format=json-render-diagnostics'];
  const { status, stdout } = spawnSync('cargo', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 2 ** 28 });
  if (status !== 0) return undefined;
  const messages = stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  return messages.find(({ executable, target }) => executable && target.name === program)?.executable;
}
