// `waiting` says that a command is blocked reading its input, and with which question; a mere sleeper never is.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { exec, folder, nodeProgram, nothing, shell } from './helpers/programs.mjs';
import { NO_WAITS } from './helpers/waits.mjs';

const onLinux = { skip: NO_WAITS };
const has = (program) => spawnSync(program, ['--version']).status === 0;
const hasPython = has('python3');
const withPython = { skip: onLinux.skip || (!hasPython && 'there is no python3') };
const AFTER = { waitingAfterMs: 200 };

/** Returns input that is open until it is ended. */
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

/** Runs a command in a terminal, or with open input, and answers each of its questions; gives its result, and what it asked. */
async function questioned(t, request, answers, options = { terminal: true }) {
  const { engine, events } = recordedEngine(t, AFTER);
  const asked = [];
  engine.on('waiting', ({ executionId, for: what, prompt }) => {
    asked.push([what, prompt]);
    if (answers.length === 0) return void engine.cancel(executionId);
    engine.write(executionId, answers.shift());
    // Node.js reads a pipe on until its end.
    if (answers.length === 0 && options.stdin) engine.endInput(executionId);
  });
  const result = await engine.run({ ...request, timeoutMs: 30_000 }, options);
  assert.equal(events.of(result.id).filter(({ type }) => type === 'waiting').length, asked.length);
  return { ...result, asked };
}

/** A raw mode with a list, as that of inquirer. */
const chooser = `const { stdin, stdout } = process;
  const items = ['red', 'green'];
  let at = 0;
  const draw = () => stdout.write('\\x1b[2K\\r\\x1b[32m?\\x1b[39m Colour: \\x1b[36m' + items[at] + '\\x1b[39m');
  stdin.setRawMode(true).setEncoding('utf8').on('data', (key) => {
    if (key === '\\x1b[B') { at = 1; draw(); }
    if (key === '\\r') { stdin.setRawMode(false).pause(); stdout.write('\\nchosen ' + items[at] + '\\n'); }
  });
  draw();`;

const readline = `const rl = require('readline').createInterface({ input: process.stdin, output: process.stdout });
  rl.question('Sure? ', (a) => { console.log('said', a); rl.close(); });`;

for (const [name, skip, request, answers, prompts, shown] of [
  ['readline of Node.js', false, nodeProgram(readline), ['yes\r'], ['Sure? '], /said yes/],
  ['a choice in raw mode', false, nodeProgram(chooser), ['\x1b[B', '\r'], ['? Colour: red', '? Colour: green'], /chosen green/],
  ['read -p of bash', !has('bash'), exec('bash', '-c', 'read -p "Name? " n; echo "is $n"'), ['Ann\n'], ['Name? '], /is Ann/],
  ['read -e of bash', !has('bash'), exec('bash', '-c', 'read -e -p "Name? " n; echo "is $n"'), ['Ann\r'], ['Name? '], /is Ann/],
  ['a reader of /dev/tty', false, shell('printf "Key: " >/dev/tty; read k </dev/tty; echo "is $k"'), ['x\n'], ['Key: '], /is x/],
  [
    'a child that copies its input by sendfile',
    !hasPython,
    exec('sh', '-c', 'echo go; python3 -c "import os; os.sendfile(1, 0, None, 64)" | wc -c'),
    ['123\n'],
    [''],
    /4/,
  ],
  ['a child that reads', false, shell('echo go; cat | wc -c'), ['123\n\x04'], [''], /4/],
  ['input of Python', !hasPython, exec('python3', '-c', "print('said', input('Q? '))"), ['yes\n'], ['Q? '], /said yes/],
  [
    'getpass of Python',
    !hasPython,
    exec('python3', '-c', 'import getpass; print(len(getpass.getpass()), "letters")'),
    ['correct horse\n'],
    ['Password: '],
    /13 letters/,
  ],
]) {
  test(`in a terminal: ${name}`, { skip: onLinux.skip || (skip && 'the program is not installed') }, async (t) => {
    const { stdout, asked } = await questioned(t, request, answers);
    assert.deepEqual(
      asked,
      prompts.map((prompt) => ['terminal', prompt]),
    );
    assert.match(stdout, shown);
  });
}

for (const [name, skip, request, answers, prompts, shown] of [
  ['readline of Node.js', false, nodeProgram(readline), ['yes\n'], ['Sure? '], /said yes/],
  ['read of a shell', false, shell("printf 'A? '; read a; printf 'B? ' >&2; read b; echo $a$b"), ['1\n', '2\n'], ['A? ', 'B? '], /12/],
  ['input of Python', !hasPython, exec('python3', '-c', "print('said', input('Q? '))"), ['yes\n'], ['Q? '], /said yes/],
]) {
  test(`with open input: ${name}`, { skip: onLinux.skip || (skip && 'the program is not installed') }, async (t) => {
    const { stdout, asked } = await questioned(t, request, answers, { stdin: 'open' });
    assert.deepEqual(
      asked,
      prompts.map((prompt) => ['stdin', prompt]),
    );
    assert.match(stdout, shown);
  });
}

const withGit = { skip: onLinux.skip || (!has('git') && 'there is no git') };
/** Git asks for the name and the password of a host that needs none to be reached. */
const credentials = (env) => ({
  ...shell("printf 'protocol=https\\nhost=example.invalid\\n\\n' | git -c credential.helper= credential fill"),
  env: { GIT_ASKPASS: '', SSH_ASKPASS: '', GIT_CONFIG_NOSYSTEM: '1', LC_ALL: 'C', ...env },
});

test('git asks for credentials in a terminal', withGit, async (t) => {
  const { stdout, asked } = await questioned(t, credentials(), ['ann\n', 'hunter2\n']);
  assert.deepEqual(asked, [
    ['terminal', "Username for 'https://example.invalid': "],
    ['terminal', "Password for 'https://ann@example.invalid': "],
  ]);
  assert.match(stdout, /username=ann\r\npassword=hunter2/);
});

test('git without a terminal, or with prompts turned off, fails by itself', withGit, async (t) => {
  for (const options of [{ stdin: 'open' }, {}]) {
    const { exitCode, stderr, asked } = await questioned(t, credentials(), [], options);
    assert.deepEqual([exitCode, asked], [128, []]);
    assert.match(stderr, /could not read Username for 'https:\/\/example\.invalid': No such device or address/);
  }
  const { exitCode, stdout, asked } = await questioned(t, credentials({ GIT_TERMINAL_PROMPT: '0' }), []);
  assert.deepEqual([exitCode, asked], [128, []]);
  assert.match(stdout, /terminal prompts disabled/);
});

test('an editor that git opens without a terminal fails by itself', withGit, async (t) => {
  const commit = shell('git init -q . && git -c user.name=a -c user.email=a@b.invalid commit --allow-empty');
  const unset = { GIT_EDITOR: null, VISUAL: null, EDITOR: null, LC_ALL: 'C' };
  for (const [env, reason] of [
    [{ TERM: 'dumb' }, /Terminal is dumb, but EDITOR unset/],
    [{ GIT_EDITOR: 'read line </dev/tty; false' }, /\/dev\/tty: No such device or address/],
  ]) {
    const { status, exitCode, stderr, asked } = await questioned(
      t,
      { ...commit, env: { ...unset, ...env }, workingDir: folder(t) },
      [],
      {},
    );
    assert.deepEqual([status, exitCode, asked], ['failed', 1, []]);
    assert.match(stderr, reason);
  }
});

test('in a terminal a command that sleeps, works, or reads something else does not wait', onLinux, async (t) => {
  const { engine, events } = recordedEngine(t, AFTER);
  const lines = [
    'sleep 1.5',
    'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done',
    'sleep 1.5 | cat',
    'printf "half a line"; sleep 1.5',
    'exec </dev/null; sleep 1.5; cat',
  ];
  const results = await Promise.all(lines.map((line) => engine.run(shell(line), { terminal: true })));
  for (const { id, status } of results) {
    assert.equal(status, 'completed');
    assert.ok(!events.types(id).includes('waiting'), JSON.stringify(events.of(id)));
  }
});

test('a reader that is stopped does not wait', onLinux, async (t) => {
  const engine = newEngine(t, AFTER);
  // What happens before the reader is stopped is not looked at: there is no listener yet.
  const becomes = (state) => `until read -r _ name state _ <"/proc/$!/stat" && [ "$name $state" = "(cat) ${state}" ]; do sleep 0.01; done`;
  const stopped = once(engine, 'stdout');
  const running = engine.run(shell(`cat <&0 & ${becomes('S')}; kill -STOP $!; ${becomes('T')}; echo stopped; sleep 1.5; kill -9 $!`), {
    stdin: 'open',
  });
  assert.equal((await stopped)[0].line, 'stopped');
  const asked = [];
  engine.on('waiting', (event) => asked.push(event));
  assert.equal((await running).status, 'completed');
  assert.deepEqual(asked, []);
});

test('a reader in the background does not wait', withPython, async (t) => {
  const { engine, events } = recordedEngine(t, AFTER);
  const poll = `'import select, sys; select.select([sys.stdin], [], [], 1)'`;
  const lines = ['cat & sleep 1.5; kill -9 $!', `python3 -c ${poll} & sleep 1.5`];
  const results = await Promise.all(lines.map((line) => engine.run(exec('bash', '-c', `set -m; ${line}`), { terminal: true })));
  for (const { id, status } of results) {
    assert.equal(status, 'completed');
    assert.ok(!events.types(id).includes('waiting'), JSON.stringify(events.of(id)));
  }
});

test('a reader of another terminal does not wait for this input', withPython, async (t) => {
  const { engine, events } = recordedEngine(t, AFTER);
  const source = `import os, pty, threading
ours, theirs = pty.openpty()
threading.Timer(1.5, lambda: os.write(ours, b"x\\n")).start()
os.read(theirs, 9)`;
  for (const options of [{ terminal: true }, { stdin: 'open' }]) {
    const { id, status } = await engine.run(exec('python3', '-c', source), options);
    assert.equal(status, 'completed');
    assert.ok(!events.types(id).includes('waiting'));
  }
});

test('secrets in a question of a terminal are masked', onLinux, async (t) => {
  const engine = newEngine(t, AFTER);
  const waiting = new Promise((resolve) => engine.once('waiting', resolve));
  const id = await engine.execute(shell("printf '\\033[1mIs hunter2-hunter2 right? \\033[0m'; read line"), {
    terminal: true,
    secrets: ['hunter2-hunter2'],
  });
  const { for: what, prompt } = await waiting;
  assert.deepEqual([what, prompt], ['terminal', 'Is *** right? ']);
  await engine.cancel(id);
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
