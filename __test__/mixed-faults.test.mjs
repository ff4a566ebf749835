// 200 commands with a fault each beside 200 plain ones on one engine: the plain ones are exact and on time, each fault has its own end.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { checkEvents } from './helpers/engine.mjs';
import { exec, isAlive, nodeProgram, shell, until } from './helpers/programs.mjs';

const EACH = 200;
const SECRET = 'correct-horse-battery-staple';
/** The others may delay a fault, but not without a limit. */
const SETTLED_MS = 45_000;

const posix = process.platform !== 'win32';
const dir = mkdtempSync(path.join(os.tmpdir(), 'mixed-faults-'));
const fifo = path.join(dir, 'fifo');
if (posix) spawnSync('mkfifo', [fifo]);
mkdirSync(path.join(dir, 'folder'));
writeFileSync(path.join(dir, 'not-executable'), 'text');

const forever = shell('echo ready; exec sleep 300');
const refused = (code, field) => (end) => assert.deepEqual([end.code, ...(field ? [end.field] : [])], [code, ...(field ? [field] : [])]);
const status =
  (...words) =>
  (end) =>
    assert.deepEqual([end.status, end.reason], words);
/** A fault that only one listener or stream has, and not the execution. */
const completes = (stdout) => (end) => assert.deepEqual([end.status, end.stdout], ['completed', stdout]);

/** An abort signal that does what a real one never does. */
const hostile = (traits) => Object.assign(new EventTarget(), { aborted: false, reason: undefined, throwIfAborted() {} }, traits);
const boom = () => {
  throw new Error('a fault of the caller');
};

/** The faults by name: how the command is run, and how it has to end. `end` is a result, or the error that was thrown. */
const FAULTS = {
  // These cannot be started.
  'a program that is not there': [(engine) => engine.run(exec('/no/such/program')), refused('SPAWN_FAILED')],
  'a program that may not be executed': [(engine) => engine.run(exec(path.join(dir, 'not-executable'))), refused('SPAWN_FAILED')],
  'a directory that is not there': [(engine) => engine.run(shell('true', { workingDir: '/no/such/directory' })), refused('SPAWN_FAILED')],
  'a script that is a FIFO': [
    (engine) => engine.run({ command: { type: 'script', path: fifo, interpreter: '/bin/sh' }, timeoutMs: 1_000 }),
    (end) => assert.ok(end.code === 'SPAWN_FAILED' || end.status === 'timeout', `${end.code ?? end.status}`),
  ],
  // These are refused.
  'an unknown field': [(engine) => engine.run({ ...shell('true'), timeout: 5 }), refused('INVALID_REQUEST', 'timeout')],
  'a request that throws when it is read': [
    (engine) =>
      engine.run({
        get command() {
          return boom();
        },
      }),
    (end) => assert.match(`${end.code} ${end.message}`, /INVALID_REQUEST|a fault of the caller/),
  ],
  'metadata without end': [
    (engine) => {
      const loop = {};
      loop.loop = loop;
      return engine.run({ ...shell('true'), metadata: { label: 'x', loop } });
    },
    refused('INVALID_REQUEST'),
  ],
  'a secret that is too short': [(engine) => engine.run(shell('true'), { secrets: ['abc'] }), refused('INVALID_REQUEST')],
  // These are ended.
  'a timeout': [(engine) => engine.run({ ...forever, timeoutMs: 300 }), status('timeout', 'timeout')],
  'an idle timeout': [(engine) => engine.run(forever, { idleTimeoutMs: 300 }), status('timeout', 'idle_timeout')],
  'a cancel': [
    async (engine) => {
      const id = await engine.execute(forever);
      await engine.cancel(id);
      return engine.waitForCompletion(id);
    },
    status('cancelled', 'cancelled'),
  ],
  'an abort': [(engine) => engine.run(forever, { signal: AbortSignal.timeout(200) }), status('cancelled', 'aborted')],
  'a command that ignores the stop signal': [
    (engine) => engine.run({ ...shell("trap '' TERM; while :; do sleep 0.05; done"), timeoutMs: 300 }, { killGraceMs: 200 }),
    status('timeout', 'timeout'),
  ],
  'a command that kills itself': [(engine) => engine.run(shell('kill -9 $$')), status('failed', 'signal')],
  'a command that stops itself': [
    (engine) => engine.run({ ...shell('kill -STOP $$'), timeoutMs: 400 }, { killGraceMs: 200 }),
    status('timeout', 'timeout'),
  ],
  // These write too much, or wrongly.
  'a flood': [
    (engine) => engine.run({ ...exec('yes', 'x'.repeat(1000)), timeoutMs: 500 }, { killGraceMs: 200 }),
    status('timeout', 'timeout'),
  ],
  'a line without end': [
    (engine) => engine.run(shell('head -c 3000000 /dev/zero | tr "\\0" x')),
    (end) => assert.deepEqual([end.status, end.stdoutBytes], ['completed', 3_000_000]),
  ],
  'bytes that are not UTF-8': [(engine) => engine.run(shell("printf '\\377\\376ok\\300\\n'")), completes('\ufffd\ufffdok\ufffd\n')],
  'nothing is read from a stream': [
    async (engine) => {
      const stream = engine.stream({ ...exec('yes'), timeoutMs: 500 }, { killGraceMs: 200 });
      return stream.result;
    },
    status('timeout', 'timeout'),
  ],
  'a stream that is left': [
    async (engine) => {
      const stream = engine.stream(exec('yes'));
      for await (const event of stream) if (event.type === 'stdout') break;
      return stream.result;
    },
    status('cancelled', 'cancelled'),
  ],
  // These leave something behind.
  'a background process that holds the pipe': [
    (engine) => engine.run(shell('sleep 300 & echo parent'), { leftovers: 'kill' }),
    completes('parent\n'),
  ],
  // A refused size is of one byte more than a small file system would take.
  'a full disk': [
    (engine) => engine.run(shell('ulimit -f 1; head -c 100000 /dev/zero > "$DIR/full-$$"', { env: { DIR: dir } })),
    (end) => assert.equal(end.status, 'failed'),
  ],
  // Input.
  'input that breaks off': [
    (engine) =>
      engine.run(exec('cat'), {
        stdin: (async function* () {
          yield 'a part\n';
          boom();
        })(),
      }),
    refused('INVALID_REQUEST', 'options.stdin'),
  ],
  'input of a wrong type': [
    (engine) =>
      engine.run(exec('cat'), {
        stdin: (async function* () {
          yield 5;
        })(),
      }),
    refused('INVALID_REQUEST'),
  ],
  'input that is not read': [
    (engine) => engine.run(exec('true'), { stdin: Readable.from(['x'.repeat(100_000), 'x'.repeat(100_000)]) }),
    completes(''),
  ],
  'input that fails to be destroyed': [
    (engine) => engine.run(exec('true'), { stdin: Object.assign(Readable.from(['x'.repeat(200_000), 'x']), { destroy: boom }) }),
    completes(''),
  ],
  // Logs.
  'a log that is a FIFO': [(engine) => engine.run({ ...shell('true'), outputLogPath: fifo }), refused('LOG_FAILED')],
  'a log that is a directory': [
    (engine) => engine.run({ ...shell('true'), outputLogPath: path.join(dir, 'folder') }),
    refused('LOG_FAILED'),
  ],
  'a log whose directory is not there': [
    (engine) => engine.run({ ...shell('true'), outputLogPath: path.join(dir, 'no', 'log') }),
    refused('LOG_FAILED'),
  ],
  // Secrets.
  'a secret in the output': [
    (engine) => engine.run(shell('printf "%s\\n" "$S"; printf %s "$S" | base64', { env: { S: SECRET } }), { secrets: [SECRET] }),
    (end) => {
      assert.equal(end.status, 'completed');
      assert.doesNotMatch(end.stdout, new RegExp(`${SECRET}|${Buffer.from(SECRET).toString('base64')}`));
      assert.match(end.stdout, /^\*\*\*\n/);
    },
  ],
  // Signals of the caller's own making.
  'a signal without removeEventListener': [
    (engine) => engine.run(shell('echo fine'), { signal: hostile({ removeEventListener: undefined }) }),
    (end) => assert.ok(end.code === 'INVALID_REQUEST' || end.stdout === 'fine\n', `${end.code ?? end.status}`),
  ],
  'a signal whose removeEventListener throws': [
    (engine) => engine.run(shell('echo fine'), { signal: hostile({ removeEventListener: boom }) }),
    (end) => assert.ok(end.code === 'INVALID_REQUEST' || end.stdout === 'fine\n', `${end.code ?? end.status}`),
  ],
  'a signal whose addEventListener throws': [
    (engine) => engine.run(shell('echo fine'), { signal: hostile({ addEventListener: boom }) }),
    (end) => assert.ok(end instanceof Error || end.stdout === 'fine\n'),
  ],
  'a signal that throws when it is looked at': [
    (engine) => engine.run(shell('echo fine'), { signal: Object.defineProperty(hostile({}), 'aborted', { get: boom }) }),
    (end) => assert.ok(end instanceof Error, 'it is refused'),
  ],
  // A loop that keeps the host's thread.
  'a blocked event loop': [
    (engine) => {
      const run = engine.run(shell('echo fine'));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30);
      return run;
    },
    completes('fine\n'),
  ],
};

/** Returns what each plain command writes: lines and bytes of both streams that are known. */
const plain = (index) => ({
  request: shell(`printf 'plain %s\\n' ${index}; seq ${index} ${index + 500}; echo "error ${index}" >&2; printf end`),
  stdout: `plain ${index}\n${Array.from({ length: 501 }, (_, line) => `${index + line}\n`).join('')}end`,
  stderr: `error ${index}\n`,
});

describe('mixed faults', { skip: !posix && 'the commands are those of POSIX' }, () => {
  test('plain commands beside them are exact and on time', { timeout: 180_000 }, async (t) => {
    // Faults that concern the caller only: a throwing listener, and exceptions that hostile objects throw later.
    const thrown = [];
    const keep = (error) => thrown.push(error.message);
    process.prependListener('uncaughtException', keep);
    const runner = process.listeners('uncaughtException').filter((listener) => listener !== keep);
    for (const listener of runner) process.removeListener('uncaughtException', listener);
    t.after(() => {
      process.removeListener('uncaughtException', keep);
      for (const listener of runner) process.on('uncaughtException', listener);
      rmSync(dir, { recursive: true, force: true });
    });

    const engine = new ExecutionEngine({
      maxConcurrentExecutions: 16,
      maxInMemoryExecutions: 2_000,
      logDir: path.join(dir, 'logs'),
      defaultTimeoutMs: 60_000,
    });
    t.after(() => within(engine.shutdown(), 'the shutdown').finally(() => engine.unref()));
    const events = new Map();
    let lines = 0;
    engine.on('event', (event) => {
      const known = events.get(event.executionId) ?? [];
      if (known.length === 0) events.set(event.executionId, known);
      known.push(event);
    });
    engine.on('stdout', () => {
      if ((lines += 1) % 1_000 === 0) boom();
    });

    const kinds = Object.entries(FAULTS);
    const [faulty, exact] = [[], []];
    for (let index = 0; index < EACH; index += 1) {
      const [name, [run, check]] = kinds[index % kinds.length];
      const wrapped = (async () => run(engine))().then(
        (result) => result,
        (error) => error,
      );
      faulty.push({ name, check, end: within(wrapped, `${name} (${index})`) });
      // They have a high priority, so that they wait for slots as briefly as possible: a late one was delayed by a fault.
      const { request, ...expected } = plain(index);
      exact.push({ index, expected, end: within(engine.run(request, { priority: 10 }), `plain ${index}`) });
    }

    for (const { index, expected, end } of exact) {
      const result = await end;
      assert.deepEqual(
        [result.status, result.exitCode, result.stdout, result.stderr],
        ['completed', 0, expected.stdout, expected.stderr],
        `plain ${index}`,
      );
      assert.deepEqual(
        [result.stdoutBytes, result.logLostBytes, result.leaked, result.killed],
        [expected.stdout.length, 0, false, undefined],
      );
      assert.ok(result.durationMs < 20_000, `plain ${index} took ${result.durationMs} ms`);
      const log = readFileSync(result.logPath, 'utf8');
      assert.equal(log.length, expected.stdout.length + expected.stderr.length, `the log of plain ${index}`);
      const own = events.get(result.id);
      checkEvents(own, result.id);
      const text = own
        .filter(({ type }) => type === 'stdout')
        .map(({ line, partial, continued }) => (partial || continued ? line : `${line}\n`))
        .join('');
      assert.equal(text.replace(/\n$/, ''), expected.stdout, `the lines of plain ${index}`);
    }
    const problems = [];
    for (const { name, check, end } of faulty) {
      try {
        check(await end);
      } catch (error) {
        problems.push(`${name}: ${error.message}`);
      }
    }
    assert.deepEqual([...new Set(problems)], []);

    for (const [id, own] of events) {
      const last = own.at(-1);
      checkEvents(own, id);
      const pid = last.result?.pid;
      if (pid && last.result.killed) await until(() => !isAlive(pid), `${id} is gone`);
    }
    assert.ok(thrown.length > 0, 'the listener has thrown');
    assert.deepEqual([...new Set(thrown)], ['a fault of the caller']);
    const { currentlyRunning, currentlyPending } = engine.getConcurrencyMetrics();
    assert.deepEqual([currentlyRunning, currentlyPending], [0, 0]);
    const after = await engine.run(nodeProgram('process.stdout.write("and on")'));
    assert.equal(after.stdout, 'and on');
  });
});

async function within(work, what) {
  let timer;
  const limit = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`hangs: ${what}`)), SETTLED_MS)));
  limit.catch(() => {});
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}
