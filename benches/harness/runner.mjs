// Measures the contenders of a row in turns, each measurement in a new process.
import { spawn } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { number } from './report.mjs';
import { findRuntime, inRuntime, placeOf } from './runtimes.mjs';

const worker = path.join(path.dirname(fileURLToPath(import.meta.url)), 'worker.mjs');

/** A measurement that takes many minutes hangs. */
export const HANGS_AFTER_MS = 300_000;

/** Returns a function that measures a row: `{ measured: { contender: [measurement] }, skipped, failed }`. */
export function createRunner({ options, limit, say }) {
  return async function runRow(row) {
    const { present, skipped } = await sortOut(row, limit, say);
    const measured = Object.fromEntries(present.map((name) => [name, []]));
    const failed = [];
    if (present.length === 0) return { measured, skipped, failed };
    const data = (await row.prepare?.()) ?? null;
    const interrupted = (signal) => {
      running?.kill('SIGKILL');
      row.cleanup?.(data);
      process.exit(signal === 'SIGINT' ? 130 : 143);
    };
    process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
    try {
      for (let round = 1; round <= options.rounds; round++) {
        for (const contender of orderOf(present, round)) {
          if (failed.some(({ name }) => name === contender)) continue;
          try {
            const job = { row: row.name, contender, data, limit: limit?.path ?? null, quick: options.quick };
            const measurement = await measure(job, placeOf(row.contenders[contender]).runtime, options.cpuProf);
            measured[contender].push(measurement);
            say(`${row.name} ${round}/${options.rounds}  ${contender}: ${number(measurement.value)} ${row.unit}`);
          } catch (error) {
            failed.push({ name: contender, why: error.message });
            say(`${row.mayFail?.includes(contender) ? 'fails' : 'FAILED'}  ${row.name}, ${contender}: ${error.message}`);
          }
        }
      }
    } finally {
      process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
      row.cleanup?.(data);
    }
    // A contender that failed half-way has no result: its rounds are not those of the others.
    for (const { name } of failed) delete measured[name];
    return { measured, skipped, failed };
  };
}

/** Returns which contenders can run here. */
async function sortOut(row, limit, say) {
  const present = [];
  const skipped = [];
  for (const [name, need] of Object.entries(row.contenders)) {
    const why = tooSmallFor(row) ?? (await whyNotThere(need, limit));
    if (why) {
      skipped.push({ name, why });
      say(`SKIPPED  ${row.name}, ${name}: ${why}`);
    } else {
      present.push(name);
    }
  }
  return { present, skipped };
}

/**
 * Returns the order of contenders in a round, from 1: a rotation, forwards in odd rounds and backwards in even ones. The effects that a
 * measurement leaves behind (clock speed, memory to be freed) do not always meet the same contender.
 */
export function orderOf(names, round) {
  const first = ((round - 1) >> 1) % names.length;
  const rotated = [...names.slice(first), ...names.slice(0, first)];
  return round % 2 === 1 ? rotated : rotated.reverse();
}

async function whyNotThere(need, limit) {
  const { runtime, packages, isLimit } = placeOf(need);
  if (isLimit) return limit.why;
  const { why } = findRuntime(runtime);
  if (why) return why;
  for (const name of packages) {
    const whyNot = await whyNotLoadable(name, runtime);
    if (whyNot) return whyNot;
  }
  return null;
}

/** Returns why the machine is too small, else `null`: a machine that swaps measures its disk. */
function tooSmallFor({ needsMiB = 0 }) {
  const freeMiB = Math.floor(os.freemem() / 1024 / 1024);
  return needsMiB > freeMiB ? `it needs ${needsMiB} MiB of memory, and ${freeMiB} MiB are free` : null;
}

const loadable = new Map();

/** Loads a package in another process: loading a native addon here could not be undone. */
function whyNotLoadable(name, runtime) {
  const key = `${name} in ${runtime}`;
  if (!loadable.has(key)) loadable.set(key, tryToLoad(name, runtime));
  return loadable.get(key);
}

async function tryToLoad(name, runtime) {
  const { status, output } = await run(inRuntime(runtime, worker, JSON.stringify({ load: name })));
  return status === 0 ? null : `${name} does not load: ${readResult(output).error ?? `its process ended with ${status}`}`;
}

async function measure(job, runtime, cpuProf) {
  const profile =
    cpuProf && runtime === 'node'
      ? ['--cpu-prof', `--cpu-prof-dir=${cpuProf}`, `--cpu-prof-name=${job.row}.${job.contender}.cpuprofile`]
      : [];
  const { status, output } = await run(inRuntime(runtime, ...profile, worker, JSON.stringify(job)));
  const said = readResult(output);
  if (said.error) throw new Error(said.error.split('\n')[0]);
  if (status !== 0)
    throw new Error(
      status === 'SIGKILL' ? `it was killed, after ${HANGS_AFTER_MS / 1000} s or by the system` : `its process ended with ${status}`,
    );
  return said;
}

/** Returns the result, which is the last line: a contender may print, and one that was killed has printed no result. */
function readResult(output) {
  const line = output.trimEnd().split('\n').at(-1);
  return line.startsWith('{') ? JSON.parse(line) : {};
}

/** The measurement that runs, to be ended with this process. */
let running;

/** Runs a program here, so that modules are found from the package; its standard error is ours. */
function run([program, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: path.dirname(worker),
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: HANGS_AFTER_MS,
      killSignal: 'SIGKILL',
    });
    running = child;
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', reject).on('close', (code, signal) => resolve({ status: code ?? signal, output }));
  });
}
