// The examples do what they say: their run is the test.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ExecutionManager } from '../examples/execution-manager.mjs';
import { newEngine } from './helpers/engine.mjs';
import { folder, until } from './helpers/programs.mjs';
import { NO_WAITS } from './helpers/waits.mjs';

const example = (name) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));

function output(name) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [example(name)], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '');
  return stdout.trim().split('\n');
}

test('opentelemetry: each execution is a span', () => {
  assert.deepEqual(output('opentelemetry.mjs'), [
    'greeting | UNSET | completed | 0',
    "sh -c 'exit 3' | ERROR | failed | 3",
    'a-program-that-is-nowhere | ERROR | failed |  | SPAWN_FAILED',
    'sleep 60 | ERROR | timeout |',
  ]);
});

/** Returns what `examples/terminal.mjs` shows of a command, and its exit code. */
function inTerminal(input, ...command) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [example('terminal.mjs'), ...command], {
    encoding: 'utf8',
    input,
    timeout: 60_000,
  });
  assert.equal(stderr, '');
  return { status, stdout };
}

const noTerminals = { skip: process.platform === 'win32' && 'commands have no terminals there' };

test('terminal: a pipe gives the keys, and its end ends the input', noTerminals, () => {
  assert.match(inTerminal('one\ntwo', 'cat').stdout, /two/);
  const session = inTerminal('echo "$((6 * 7)) in $(tty)"\nexit 7\n', 'sh');
  assert.match(session.stdout, /42 in \/dev\//);
  assert.equal(session.status, 7);
  assert.equal(inTerminal('', 'sh', '-c', 'kill -KILL $$').status, 137);
});

test('terminal: in a terminal keys, a resize and Ctrl-C pass through', noTerminals, async (t) => {
  const engine = newEngine(t);
  const line = 'trap "stty size" WINCH; trap "echo interrupted; exit 5" INT; stty size; while :; do sleep 0.05; done';
  const request = { command: { type: 'exec', program: process.execPath, args: [example('terminal.mjs'), 'sh', '-c', line] } };
  let shown = '';
  engine.on('data', ({ data }) => {
    shown += data;
  });
  const shows = (text) => until(() => shown.includes(text), `the terminal shows ${text}`);
  const id = await engine.execute(request, { terminal: { columns: 111, rows: 31 } });
  await shows('31 111');
  await engine.resize(id, { columns: 99, rows: 22 });
  await shows('22 99');
  await engine.write(id, '\x03');
  const { exitCode, stdout } = await engine.waitForCompletion(id);
  assert.equal(exitCode, 5);
  assert.match(stdout, /interrupted/);
});

test('interactive: answers what it knows, and ends what it does not', { skip: NO_WAITS }, () => {
  const questions = ['asked: Your name:', 'asked: Password:', 'asked: Install for Ann? [y/N]'];
  assert.deepEqual(output('interactive.mjs'), [
    ...questions,
    'completed: installed, with a password of 13 letters',
    ...questions,
    'no answer is known to: Install for Ann? [y/N]',
    'cancelled: Install for Ann? [y/N]',
  ]);
});

test('execution-manager: a day of playbooks, good and bad', () => {
  const lines = output('execution-manager.mjs');
  const has = (line) => assert.ok(lines.includes(line), `${line}\nis not in\n${lines.join('\n')}`);
  // Live, each conversation its own; a parameter is never code.
  for (const line of [
    'anna greet: inventory for Anna; rm -rf ~',
    'anna report: done for Anna; rm -rf ~',
    'ben report: done for unknown',
    'carla lint!: two warnings',
    'carla tag: tag v1.2.0',
  ])
    has(line);
  // A failure costs one conversation.
  has('anna inventory done: greet completed (exit code 0), count completed (exit code 0), report completed (exit code 0)');
  has('carla release failed: lint failed (exit code 3), tag completed (exit code 0), wait timeout (timeout)');
  has('gina no-program failed: start failed (SPAWN_FAILED)');
  has('finn inventory.json refused: its parameter folder has no value');
  has('hugo nowhere.json refused: it cannot be read (ENOENT)');
  for (const refused of [
    'dora typing-error.json refused: steps[1] (wrong): invalid request: command.arguments: unknown field',
    'emil not-json.json refused: it is not JSON',
  ]) {
    assert.ok(
      lines.some((line) => line.startsWith(refused)),
      refused,
    );
  }
  assert.ok(!lines.some((line) => line.includes('must not run') || line.includes('never reached')));
  // The audit list has all that ran, and nothing else.
  const audit = lines.slice(lines.indexOf('audit') + 1, -2);
  assert.equal(audit.length, 10);
  for (const line of ['carla wait timeout null', 'gina start failed null', 'ben count completed 0']) assert.ok(audit.includes(line), line);
  assert.equal(lines.at(-1), '10 commands: 7 completed, 2 failed, 1 timed out');
});

test('execution-manager: malformed playbooks', async (t) => {
  const engine = newEngine(t);
  const manager = new ExecutionManager(engine, () => {});
  const file = path.join(folder(t), 'bad.json');
  const step = { command: { type: 'exec', program: 'true' } };
  const bad = [
    null,
    7,
    'text',
    [],
    {},
    { name: 'x' },
    { name: 7, steps: [] },
    { name: 'x', steps: {} },
    { name: 'x', steps: [null] },
    { name: 'x', steps: [7] },
    { name: 'x', steps: [{}] },
    { name: 'x', steps: [step, { ...step, id: '../../x' }] },
    { name: 'x', steps: [{ ...step, timeout_ms: -1 }] },
    { name: 'x', steps: [{ ...step, env: { 'A=B': 'x' } }] },
    { name: 'x', steps: [{ ...step, on_error: 'continue' }] },
    { name: 'x', steps: [{ command: { type: 'exec', program: '{{name}}' } }] },
    { name: 'x', parameters: { a: {} }, steps: [step] },
  ];
  for (const playbook of bad) {
    writeFileSync(file, JSON.stringify(playbook));
    const { outcome, problem } = await manager.run('c', file);
    assert.equal(outcome, 'refused', JSON.stringify(playbook));
    assert.ok(problem.length > 0);
  }
  assert.equal(engine.getStats().total, 0, 'nothing of them ran');
  const last = await manager.run(
    'c',
    new URL('../examples/playbooks/release.json', import.meta.url),
    { version: '1' },
    AbortSignal.abort(),
  );
  assert.deepEqual([last.outcome, last.steps[0].detail], ['failed', 'aborted']);
});
