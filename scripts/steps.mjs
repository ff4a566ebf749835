// Runs steps, as many side by side as there are processors, and shows the output of each as one piece.
//
// A step writes into a file of its own, so that what runs at the same time does not mix. Steps that are `alone` (they measure time) start when
// all others have ended; their output is shown while they run.
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const LOGS = path.join('target', 'steps');
const AT_ONCE = Math.max(1, Math.min(4, os.availableParallelism()));
const FOLLOW_EVERY_MS = 200;
const KILL_AFTER_MS = 5_000;
/** Lines of a failed step that are repeated at the end of a run that went on after it. */
const LAST_LINES = 40;

/**
 * @param {(it: Output) => boolean | Promise<boolean>} passes Whether it went well.
 * @param {object} [how]
 * @param {string[]} [how.after] Steps whose results it needs.
 * @param {string} [how.lock] Of the steps with the same lock one runs at a time.
 * @param {boolean} [how.alone] Nothing runs beside it.
 */
export function step(name, title, passes, { after = [], lock = undefined, alone = false } = {}) {
  return { name, title, passes, after, lock, alone };
}

/**
 * Runs the steps, and returns whether all of them passed. Without `keepGoing` the first that fails ends the others, and its output is the last.
 *
 * @param {ReturnType<typeof step>[]} steps
 * @param {{ keepGoing: boolean, isQuiet: boolean, repeat: (name: string) => string }} options `isQuiet`: of steps that passed only
 *   a line is shown. `repeat` gives the command that runs a step again.
 */
export async function runSteps(steps, { keepGoing, isQuiet, repeat }) {
  mkdirSync(path.join(root, LOGS), { recursive: true });
  const failed = [];
  const besides = steps.filter(({ alone }) => !alone);
  // A single one needs no file to wait in.
  const isFollowed = besides.length === 1 && !isQuiet;
  if (!(await sideBySide(besides, { isFollowed, isQuiet, keepGoing, failed, repeat })) && !keepGoing) return false;
  for (const one of steps.filter(({ alone }) => alone)) {
    if (await runAlone(one)) continue;
    failed.push(one);
    fail(one, repeat);
    if (!keepGoing) return false;
  }
  // After success nothing is printed: the whole run ends with the summary of the last test runner.
  if (keepGoing && failed.length > 0) summarize(failed, repeat);
  if (isQuiet && failed.length === 0) console.log(`all passed in ${sinceStart()} s`);
  return failed.length === 0;
}

/** Returns whether all steps passed. */
async function sideBySide(steps, { isFollowed, isQuiet, keepGoing, failed, repeat }) {
  const waiting = [...steps];
  const running = new Map();
  const unfinished = new Set(steps.map(({ name }) => name));
  const canStart = ({ after, lock }) =>
    !after.some((name) => unfinished.has(name)) && !(lock && [...running.keys()].some((other) => other.lock === lock));

  while (waiting.length > 0 || running.size > 0) {
    while (running.size < AT_ONCE) {
      const index = waiting.findIndex(canStart);
      if (index < 0) break;
      const [next] = waiting.splice(index, 1);
      const output = new Output(next, { isFollowed, isQuiet, isGroup: true });
      running.set(next, { output, ended: output.run().then((passed) => ({ one: next, passed })) });
    }
    const { one, passed } = await Promise.race([...running.values()].map(({ ended }) => ended));
    const { output } = running.get(one);
    running.delete(one);
    unfinished.delete(one.name);
    if (!passed) failed.push(one);
    if (!passed && !keepGoing) {
      for (const other of running.values()) other.output.stop();
      await Promise.all([...running.values()].map(({ ended }) => ended));
      if (running.size > 0) console.log(`\n━━ ended because of a failure: ${[...running.keys()].map(({ name }) => name).join(', ')}`);
    }
    output.show(passed);
    if (!passed) fail(one, repeat);
    if (!passed && !keepGoing) return false;
  }
  return failed.length === 0;
}

async function runAlone(one) {
  const output = new Output(one, { isFollowed: true, isGroup: false });
  const passed = await output.run();
  output.show(passed);
  return passed;
}

/** The running step: what it prints, and the programs that it starts. */
class Output {
  #step;
  #isFollowed;
  #isQuiet;
  #isGroup;
  #fd;
  #shown = 0;
  #child = undefined;
  #isStopped = false;
  #startedAt = performance.now();

  constructor(one, { isFollowed, isQuiet = false, isGroup }) {
    this.#step = one;
    this.#isFollowed = isFollowed;
    this.#isQuiet = isQuiet;
    this.#isGroup = isGroup;
    closeSync(openSync(logOf(one), 'w'));
    this.#fd = openSync(logOf(one), 'a+');
  }

  async run() {
    const { title, passes } = this.#step;
    if (this.#isFollowed) console.log(`\n━━ ${this.#step.name}: ${title} (${sinceStart()} s so far)`);
    const timer = this.#isFollowed ? setInterval(() => this.#follow(), FOLLOW_EVERY_MS) : undefined;
    try {
      return await passes(this);
    } catch (error) {
      this.say(error.stack);
      return false;
    } finally {
      clearInterval(timer);
      if (this.#isFollowed) this.#follow();
    }
  }

  /** Shows what was printed and not shown yet. */
  show(passed) {
    const seconds = Math.round((performance.now() - this.#startedAt) / 1000);
    if (this.#isQuiet && passed) {
      const skipped = readFileSync(logOf(this.#step), 'utf8').match(/^.*\bSKIPPED\b.*$/gm) ?? [];
      for (const line of [`✔ ${this.#step.name}: ${this.#step.title} (${seconds} s)`, ...skipped]) console.log(line);
    } else if (!this.#isFollowed) {
      console.log(`\n━━ ${this.#step.name}: ${this.#step.title} (took ${seconds} s, ${sinceStart()} s so far)`);
      this.#follow();
    }
    closeSync(this.#fd);
  }

  say(line) {
    writeSync(this.#fd, `${line}\n`);
  }

  /** Runs a program; returns whether its exit code is 0. */
  program(program, args, env = {}) {
    const variables = Object.entries(env).map(([name, value]) => `${name}='${value}'`);
    const words = args.map((arg) => (path.isAbsolute(arg) ? path.relative(root, arg) : arg));
    const line = [...variables, program === process.execPath ? 'node' : program, ...words].join(' ');
    this.say(`$ ${line.length > 200 ? `${line.slice(0, 199)}…` : line}`);
    if (this.#isStopped) return Promise.resolve(false);
    return new Promise((resolve) => {
      // A group of its own can be ended as a whole. Alone, a step stays in the group of the terminal.
      const options = { cwd: root, stdio: ['ignore', this.#fd, this.#fd], env: { ...process.env, ...env }, detached: this.#isGroup };
      const child = spawn(program, args, options);
      this.#child = child;
      withProgram.add(this);
      const ended = (problem) => {
        withProgram.delete(this);
        this.#child = undefined;
        if (problem) this.say(problem);
        resolve(!problem);
      };
      child.once('error', (error) => ended(`${program} did not run: ${error.message}`));
      child.once('exit', (code, signal) => {
        if (signal) ended(`${program} was ended by ${signal}`);
        else ended(code === 0 ? undefined : `${program} ended with exit code ${code}`);
      });
    });
  }

  cargo(...args) {
    return this.program('cargo', args);
  }

  node(...args) {
    return this.program(process.execPath, args);
  }

  stop(signal = 'SIGTERM') {
    this.#isStopped = true;
    this.#kill(signal);
    setTimeout(() => this.#kill('SIGKILL'), KILL_AFTER_MS).unref();
  }

  #kill(signal) {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(this.#isGroup ? -pid : pid, signal);
    } catch {
      // The step has just ended.
    }
  }

  #follow() {
    const bytes = Buffer.alloc(fstatSync(this.#fd).size - this.#shown);
    const length = readSync(this.#fd, bytes, 0, bytes.length, this.#shown);
    this.#shown += length;
    // The text is written without the buffering of a stream: it stays in order when this process is ended.
    for (let at = 0; at < length; ) at += writeAll(bytes.subarray(at, length));
  }
}

/** Steps with a program that runs. */
const withProgram = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    for (const output of withProgram) output.stop(signal);
    process.kill(process.pid, signal);
  });
}

/** Writes as much as possible: a pipe whose reader is slow refuses bytes for a while. */
function writeAll(bytes) {
  try {
    return writeSync(1, bytes);
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    return 0;
  }
}

function logOf({ name }) {
  return path.join(root, LOGS, `${name}.log`);
}

function sinceStart() {
  return Math.round(performance.now() / 1000);
}

/** Prints the end of a run whose step failed: the names of the tests that failed, and the command that repeats the step. */
function fail(one, repeat) {
  const tests = failedTests(readFileSync(logOf(one), 'utf8'));
  if (tests.length > 0) console.log(`\nfailed tests:\n${tests.map((test) => `  ${test}`).join('\n')}`);
  console.log(`\n━━ FAILED: ${one.name} (${one.title}); again with: ${repeat(one.name)}`);
}

function summarize(failed, repeat) {
  for (const one of failed) {
    const text = readFileSync(logOf(one), 'utf8');
    const lines = failedTests(text);
    console.log(`\n━━ FAILED: ${one.name} (${path.join(LOGS, `${one.name}.log`)}); again with: ${repeat(one.name)}`);
    console.log(lines.length > 0 ? lines.map((line) => `  ${line}`).join('\n') : text.trimEnd().split('\n').slice(-LAST_LINES).join('\n'));
  }
  console.log(`\n━━ FAILED steps: ${failed.map(({ name }) => name).join(', ')}`);
}

/** Returns the tests that failed, as the runners of Rust and Node.js print them. */
function failedTests(text) {
  const ofRust = [...text.matchAll(/^test (.+) \.\.\. FAILED$/gm)].map(([, name]) => name);
  const ofNode = [...text.matchAll(/^test at (\S+)\n✖ (.+?)(?: \([\d.]+ms\))?$/gm)].map(([, at, name]) => `${at}  ${name}`);
  return [...new Set([...ofRust, ...ofNode])];
}
