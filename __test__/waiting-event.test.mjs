// `waiting` says that a command is blocked reading its input, and with which question; a mere sleeper never is.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { exec, nodeProgram, nothing, shell } from './helpers/programs.mjs';

const onLinux = { skip: process.platform !== 'linux' && 'the system does not show it' };
const hasPython = spawnSync('python3', ['--version']).status === 0;
const withPython = { skip: onLinux.skip || (!hasPython && 'there is no python3') };
const AFTER = { waitingAfterMs: 200 };

/** Input that is open until it is ended. */
function openInput() {
  const chunks = [];
  let wake = () => {};
  let isEnded = false;
  return {
    write(text) {
      chunks.push(text);
      wake();
    },
    end() {
      isEnded = true;
      wake();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        while (chunks.length > 0) yield chunks.shift();
        if (isEnded) return;
        await new Promise((resolve) => (wake = resolve));
      }
    },
  };
}

/** Runs a command that gets an answer each time it waits; gives its result, and what it asked. */
async function answered(t, request, answers) {
  const { engine, events } = recordedEngine(t, AFTER);
  const input = openInput();
  const asked = [];
  engine.on('waiting', (event) => {
    asked.push([event.for, event.prompt]);
    if (answers.length > 0) input.write(answers.shift());
    if (answers.length === 0) input.end();
  });
  const result = await engine.run({ ...request, timeoutMs: 60_000 }, { stdin: input });
  const emitted = events.of(result.id).filter(({ type }) => type === 'waiting');
  assert.equal(emitted.length, asked.length);
  return { ...result, asked };
}

test('a shell that reads, with its question on either stream', onLinux, async (t) => {
  const { stdout, asked } = await answered(
    t,
    shell("echo hello; printf 'Name? '; read name; printf 'Age? ' >&2; read age; echo $name $age"),
    ['Ann\n', '7\n'],
  );
  assert.deepEqual(asked, [
    ['stdin', 'Name? '],
    ['stdin', 'Age? '],
  ]);
  assert.equal(stdout, 'hello\nName? Ann 7\n');
});

test('a reader without a question, in a child of the command', onLinux, async (t) => {
  const { stdout, asked } = await answered(t, shell('echo go; cat | wc -c'), ['12345']);
  assert.deepEqual([asked, stdout.replace(/ /g, '')], [[['stdin', '']], 'go\n5\n']);
});

test('readline of Node.js, which waits in epoll', onLinux, async (t) => {
  const source = `const rl = require('readline').createInterface({ input: process.stdin, output: process.stdout });
    rl.question('Sure? ', (a) => { console.log('said', a); rl.close(); });`;
  const { stdout, asked } = await answered(t, nodeProgram(source), ['yes\n']);
  assert.deepEqual([asked, stdout], [[['stdin', 'Sure? ']], 'Sure? said yes\n']);
});

for (const [name, source] of [
  ['input', "print(input('Q? '))"],
  [
    'poll',
    'import select, sys\np = select.poll()\np.register(sys.stdin, select.POLLIN)\nprint("Q? ", end="", flush=True)\np.poll()\nprint(input())',
  ],
  ['select', 'import select, sys\nprint("Q? ", end="", flush=True)\nselect.select([sys.stdin], [], [])\nprint(input())'],
  [
    'a thread',
    'import threading\nprint("Q? ", end="", flush=True)\nt = threading.Thread(target=lambda: print(input()))\nt.start()\nt.join()',
  ],
]) {
  test(`Python: ${name}`, withPython, async (t) => {
    const { stdout, asked } = await answered(t, exec('python3', '-c', source), ['yes\n']);
    assert.deepEqual([asked, stdout], [[['stdin', 'Q? ']], 'Q? yes\n']);
  });
}

test('a command that sleeps, works, or reads something else does not wait', onLinux, async (t) => {
  const { engine, events } = recordedEngine(t, AFTER);
  const lines = [
    'sleep 1.5',
    'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done',
    'sleep 1.5 | cat > /dev/null',
    'for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done',
    'exec 3<&0 </dev/null; sleep 1.5',
  ];
  const results = await Promise.all(lines.map((line) => engine.run(shell(line), { stdin: openInput() })));
  for (const { id, status } of results) {
    assert.equal(status, 'completed');
    assert.ok(!events.types(id).includes('waiting'), JSON.stringify(events.of(id)));
  }
});

test('input that is there, or is at its end, is no wait', onLinux, async (t) => {
  const { engine, events } = recordedEngine(t, AFTER);
  const ended = await engine.run(shell('read line; sleep 0.8; cat'), { stdin: 'one\ntwo\n' });
  const none = await engine.run(shell('cat; sleep 0.5'));
  for (const { id } of [ended, none]) assert.ok(!events.types(id).includes('waiting'));
});

test('each wait is reported once', onLinux, async (t) => {
  const { engine, events } = recordedEngine(t, AFTER);
  const input = openInput();
  const id = await engine.execute(shell("printf 'Q? '; read line; echo; cat"), { stdin: input });
  await events.first((event) => event.type === 'waiting');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert.equal(events.types(id).filter((type) => type === 'waiting').length, 1);
  input.write('a\n');
  await events.first((event) => event.type === 'waiting' && event.prompt === '');
  await engine.cancel(id);
});

test('open input', onLinux, async (t) => {
  const engine = newEngine(t, AFTER);
  const asked = [];
  engine.on('waiting', ({ executionId, for: what, prompt }) => {
    asked.push([what, prompt]);
    engine.write(executionId, 'Ann\n');
  });
  const command = shell("printf 'Name? '; read name; echo hello $name");
  const open = await engine.run(command, { stdin: 'open' });
  assert.equal(open.stdout, 'Name? hello Ann\n');
  assert.deepEqual(asked, [['stdin', 'Name? ']]);
});

test('a second wait without any output between', onLinux, async (t) => {
  const { stdout, asked } = await answered(t, shell('read a; read b; echo $a $b'), ['1\n', '2\n']);
  assert.deepEqual(asked, [
    ['stdin', ''],
    ['stdin', ''],
  ]);
  assert.equal(stdout, '1 2\n');
});

test('secrets in a question are masked', onLinux, async (t) => {
  const engine = newEngine(t, AFTER);
  const waiting = new Promise((resolve) => engine.once('waiting', resolve));
  const id = await engine.execute(shell("printf 'Is hunter2-hunter2 right? '; read line"), {
    stdin: openInput(),
    secrets: ['hunter2-hunter2'],
  });
  assert.equal((await waiting).prompt, 'Is *** right? ');
  await engine.cancel(id);
});

test('a stream gets it too, and nothing is looked at without a listener', onLinux, async (t) => {
  const engine = newEngine(t, AFTER);
  const input = openInput();
  const seen = [];
  for await (const event of engine.stream(shell("printf 'Q? '; read line; echo $line"), { stdin: input })) {
    seen.push(event);
    if (event.type === 'waiting') input.write('x\n');
  }
  assert.deepEqual(
    seen.filter(({ type }) => type === 'waiting').map(({ prompt }) => prompt),
    ['Q? '],
  );
  assert.equal((await engine.run(nothing, { stdin: openInput() })).status, 'completed');
});
