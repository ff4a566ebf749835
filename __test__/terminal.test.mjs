// `terminal` runs a command in a pseudo-terminal of its own: one stream of data, lines without control sequences, input, and a size.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine, uncut, wholeLines } from './helpers/engine.mjs';
import { failure, refusal } from './helpers/outcomes.mjs';
import { withEnoughTime } from './helpers/pace.mjs';
import { exec, folder, forever, hasBusybox, isAlive, nothing, shell, until } from './helpers/programs.mjs';
import { REPEATS, repeatedly } from './helpers/repeats.mjs';
import { NO_WAITS } from './helpers/waits.mjs';

const skip = process.platform === 'win32' && 'commands have no terminals there';
const noBash = spawnSync('bash', ['-c', 'true']).status !== 0 && 'there is no bash';
const linux = { skip: process.platform !== 'linux' && 'reads /proc' };
const CODE = 'INVALID_REQUEST';
const TERMINAL = { terminal: true };

/** Returns what a terminal has shown. */
const shown = (events, id) =>
  events
    .of(id)
    .filter(({ type }) => type === 'data')
    .map(({ data }) => data)
    .join('');

test('stdin, stdout and stderr are the controlling terminal, in its size', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  const line = 'test -t 0 && test -t 1 && test -t 2 && echo all; stty size; echo err >&2; echo "$TERM"; echo from tty >/dev/tty';
  const result = await engine.run(shell(line), { terminal: { columns: 101, rows: 33 } });
  assert.equal(result.stdout, 'all\r\n33 101\r\nerr\r\nxterm-256color\r\nfrom tty\r\n');
  assert.deepEqual([result.status, result.stderr, result.stderrBytes, result.leaked], ['completed', '', 0, false]);
  assert.deepEqual(events.lines(result.id), ['all', '33 101', 'err', 'xterm-256color', 'from tty']);
  assert.equal(shown(events, result.id), result.stdout);
  // The `stty` of busybox replaces sizes that it finds too small or too large.
  const [least, most] = hasBusybox ? [2, 29_999] : [1, 65_535];
  const sizes = [
    [true, '24 80'],
    [{}, '24 80'],
    [{ columns: 132 }, '24 132'],
    [{ rows: least, columns: null }, `${least} 80`],
    [{ columns: most, rows: most }, `${most} ${most}`],
  ];
  for (const [terminal, size] of sizes) assert.equal((await engine.run(shell('stty size'), { terminal })).stdout, `${size}\r\n`);
  for (const terminal of [false, null, undefined]) assert.equal((await engine.run(shell('test -t 1'), { terminal })).exitCode, 1);
});

test('a variable TERM of the request has precedence', { skip }, async (t) => {
  const engine = newEngine(t);
  const result = await engine.run(shell('echo "$TERM"', { env: { TERM: 'vt100' } }), TERMINAL);
  assert.equal(result.stdout, 'vt100\r\n');
});

test('the size that variables of the host name is not that of the terminal', { skip }, async (t) => {
  const engine = newEngine(t);
  const hostEnv = { ...process.env, COLUMNS: '200', LINES: '5' };
  const request = shell('echo "[$COLUMNS $LINES]"');
  assert.equal((await engine.run(request, { ...TERMINAL, hostEnv })).stdout, '[ ]\r\n');
  assert.equal((await engine.run(request, { hostEnv })).stdout, '[200 5]\n');
  const own = { ...request, env: { COLUMNS: '7', LINES: '8' } };
  assert.equal((await engine.run(own, { ...TERMINAL, hostEnv })).stdout, '[7 8]\r\n');
});

test('data is as it was written, lines have no control sequences', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  const codes =
    '\\033[1;31mred\\033[0m \\033]0;title\\007plain\\033(B\\n10%%\\r20%%\\rdone\\nab\\bc\\n\\033[?1049h\\033[2J\\033[Hin\\033[?1049l\\n';
  const { result, lines } = await uncut({ engine, events }, shell(`printf '${codes}'`));
  const raw = '\x1b[1;31mred\x1b[0m \x1b]0;title\x07plain\x1b(B\r\n10%\r20%\rdone\r\nab\bc\r\n\x1b[?1049h\x1b[2J\x1b[Hin\x1b[?1049l\r\n';
  assert.equal(result.stdout, raw);
  assert.equal(shown(events, result.id), raw);
  assert.deepEqual(
    lines.map(({ line, carriageReturn }) => (carriageReturn ? `${line}<` : line)),
    ['red plain', '10%<', '20%<', 'done', 'ac', 'in'],
  );
});

test('data is whole characters, or the exact bytes', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  const halves = shell("printf 'a\\342'; sleep 0.3; printf '\\202\\254b\\377'");
  const text = await engine.run(halves, TERMINAL);
  assert.equal(shown(events, text.id), 'a€b\ufffd');
  assert.ok(!shown(events, text.id).startsWith('a\ufffd'));
  const bytes = await engine.run(halves, { ...TERMINAL, encoding: 'buffer' });
  const data = events.of(bytes.id).filter(({ type }) => type === 'data');
  assert.ok(data.every((event) => Buffer.isBuffer(event.data)));
  assert.deepEqual(Buffer.concat(data.map((event) => event.data)), Buffer.from('a\xe2\x82\xacb\xff', 'latin1'));
  assert.deepEqual(bytes.stdout, Buffer.from('a\xe2\x82\xacb\xff', 'latin1'));
});

test('secrets are masked in data, lines and the result, echoes among them', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('read -r word; echo "got $word"'), { ...TERMINAL, secrets: ['hunter2-hunter2'] });
  await engine.write(id, 'hunter2-hunter2\n');
  const { stdout } = await engine.waitForCompletion(id);
  assert.equal(stdout, '***\r\ngot ***\r\n');
  assert.equal(shown(events, id), stdout);
  assert.deepEqual(events.lines(id), ['***', 'got ***']);
});

test('a secret that control sequences cut into parts is in no line, record or question', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t, { waitingAfterMs: 200, logDir: folder(t), logFormat: 'jsonl' });
  const secret = 'hunter2-hunter2';
  const line = String.raw`printf 'is hunter2\033[1m-hunter2\033[0m\nis hunterX\b2-hunter2\nis hunter2\033[1m-hunter2\033[0m right? '; read word`;
  engine.on('waiting', ({ executionId }) => engine.write(executionId, '\n'));
  const { id, logPath } = await engine.run({ ...shell(line), timeoutMs: 20_000 }, { ...TERMINAL, secrets: [secret] });
  const lines = events.of(id).filter(({ type }) => type === 'stdout');
  assert.deepEqual(wholeLines(lines).slice(0, 2), ['is ***', 'is ***']);
  assert.ok(!lines.some((event) => event.line.includes(secret)));
  assert.ok(!readFileSync(logPath, 'utf8').includes(secret));
  const waiting = events.of(id).filter(({ type }) => type === 'waiting');
  if (!NO_WAITS)
    assert.deepEqual(
      waiting.map(({ prompt }) => prompt),
      ['is *** right? '],
    );
});

test('nor one whose parts come with a pause between them', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t, { waitingAfterMs: 200, logDir: folder(t), logFormat: 'jsonl' });
  const secret = 'hunter2-hunter2';
  for (const first of ['hunter2', 'hunter2-\\b', 'hun\\033[0mter2']) {
    const line = `stty -echo; printf 'is ${first}\\033[1m'; read -r word; printf -- '-hunter2\\033[0m\\n'; printf 'is hunter2\\033[0m'`;
    // The beginning of the line is shown when the command is silent.
    const paused = once(engine, 'stdout');
    const waiting = NO_WAITS ? undefined : once(engine, 'waiting');
    const id = await engine.execute({ ...shell(line), timeoutMs: 20_000 }, { ...TERMINAL, secrets: [secret] });
    assert.deepEqual([(await paused)[0].line, (await paused)[0].partial], ['is ', true]);
    if (waiting) assert.equal((await waiting)[0].prompt, 'is ');
    await engine.write(id, '\n');
    const { logPath } = await engine.waitForCompletion(id);
    const lines = events.of(id).filter(({ type }) => type === 'stdout');
    assert.deepEqual(
      lines.slice(0, 2).map((event) => event.line),
      ['is ', '***'],
    );
    assert.deepEqual(wholeLines(lines.slice(2)), ['is hunter2'], 'and what has become no secret is shown in the end');
    assert.ok(!readFileSync(logPath, 'utf8').includes('-hunter2'));
  }
});

test('a program that writes its carriage returns itself has the same lines', { skip }, async (t) => {
  const line = String.raw`printf 'a\r\nb\r'; printf '\r\nc\r\033[K\r10%%\r\r20%%\n'`;
  // A pause between its two writes makes the line end a lone carriage return.
  const { lines } = await uncut(recordedEngine(t), shell(line), (piece) => piece.line === 'b' && piece.carriageReturn);
  assert.deepEqual(
    lines.map(({ line, carriageReturn = false }) => [line, carriageReturn]),
    [
      ['a', false],
      ['b', false],
      ['c', true],
      ['10%', true],
      ['20%', false],
    ],
  );
});

test('a stream has data at the pace of its reader', { skip }, async (t) => {
  const engine = newEngine(t);
  let all = '';
  const types = new Set();
  for await (const event of engine.stream(shell('seq 100000'), TERMINAL)) {
    types.add(event.type);
    if (event.type === 'data') all += event.data;
  }
  assert.equal(all, Array.from({ length: 100_000 }, (_, index) => `${index + 1}\r\n`).join(''));
  assert.deepEqual([...types].sort(), ['completed', 'data', 'started', 'stdout']);
});

test('keys are written, control characters act, and the end of the input is one', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(exec('cat'), TERMINAL);
  await engine.write(id, 'one\n');
  await events.first((event) => event.type === 'data' && event.executionId === id && shown(events, id).includes('one\r\none\r\n'));
  await engine.endInput(id);
  const { stdout, exitCode } = await engine.waitForCompletion(id);
  assert.deepEqual([stdout.replaceAll('^D\b\b', ''), exitCode], ['one\r\none\r\n', 0]);

  const open = await engine.execute(exec('cat'), TERMINAL);
  await engine.write(open, 'no line end');
  await engine.endInput(open);
  assert.equal((await failure(() => engine.write(open, 'late'), CODE)).field, 'id');
  assert.match((await engine.waitForCompletion(open)).stdout, /no line end.*no line end$/);

  const interrupted = await engine.execute(
    shell('trap "echo interrupted; exit 3" INT; echo ready; while :; do sleep 0.05; done'),
    TERMINAL,
  );
  await events.line('ready', interrupted);
  await engine.write(interrupted, '\x03');
  const result = await engine.waitForCompletion(interrupted);
  assert.equal(result.exitCode, 3);
  assert.match(result.stdout, /interrupted/);
});

test('the end of the input is the character that the program has set, else Ctrl-D', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  for (const [modes, read, wanted] of [
    ['eof ^G', 'cat; echo end', /ready\r\nend\r\n$/],
    ['eof undef -echo', 'stty -icanon; head -c 1 | od -An -tu1', /ready\r\n +4\r\n$/],
    ['raw -echo', 'head -c 1 | od -An -tu1', /ready\n +4\n$/],
  ]) {
    const id = await engine.execute(shell(`stty ${modes}; echo ready; ${read}`), TERMINAL);
    await events.line('ready', id);
    await engine.endInput(id);
    assert.match((await engine.waitForCompletion(id)).stdout, wanted);
  }
});

test('input that is given as a whole is followed by the end of the input', { skip }, async (t) => {
  const engine = newEngine(t);
  const forms = [{ input: 'a\nb\n' }, { stdin: 'a\nb\n' }, { input: ['a\n', Buffer.from('b\n')] }, { input: new Blob(['a\nb\n']) }];
  for (const given of forms) {
    const { stdout, status } = await engine.run(shell('stty -echo; echo go; cat'), { ...TERMINAL, ...given });
    assert.equal(status, 'completed');
    assert.match(stdout, /go\r\na\r\nb\r\n$/);
  }
  assert.equal((await engine.run(exec('cat'), { ...TERMINAL, stdin: '' })).status, 'completed');
});

test('a resize reaches the command, a queued one, and the next attempt', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t, { maxConcurrentExecutions: 1 });
  const watching = shell('trap "stty size; exit" WINCH; echo ready; while :; do sleep 0.05; done');
  const id = await engine.execute(watching, TERMINAL);
  await events.line('ready', id);
  const queued = await engine.execute(shell('stty size'), TERMINAL);
  await engine.resize(queued, { columns: 90, rows: 9 });
  await engine.resize(id, { columns: 120, rows: 40 });
  assert.equal((await engine.waitForCompletion(id)).stdout, 'ready\r\n40 120\r\n');
  assert.equal((await engine.waitForCompletion(queued)).stdout, '9 90\r\n');
  await engine.resize(id, { columns: 1, rows: 1 });

  const mark = path.join(folder(t), 'mark');
  const flaky = shell('[ -e "$MARK" ] && exec stty size; : > "$MARK"; echo first; read -r go; exit 1', { env: { MARK: mark } });
  const again = await engine.execute(flaky, { ...TERMINAL, retry: { attempts: 2, backoffMs: 0 } });
  await events.line('first', again);
  await engine.resize(again, { columns: 70, rows: 7 });
  await engine.write(again, '\n');
  assert.equal((await engine.waitForCompletion(again)).stdout, '7 70\r\n');
});

test('what is wrong is refused with its path', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t);
  for (const value of ['yes', 1, 0n, [], () => {}, Symbol('s'), new Date()])
    await refusal(() => engine.run(nothing, { terminal: value }), CODE, 'options.terminal', value);
  for (const value of [0, -1, 1.5, 65_536, Number.NaN, '80', true, {}]) {
    await refusal(() => engine.run(nothing, { terminal: { columns: value } }), CODE, 'options.terminal.columns', value);
    await refusal(() => engine.run(nothing, { terminal: { rows: value } }), CODE, 'options.terminal.rows', value);
  }
  assert.match((await failure(() => engine.run(nothing, { terminal: { cols: 80 } }), CODE)).message, /unknown field .*: (did you|leave)/);
  assert.equal((await failure(() => engine.run(nothing, { ...TERMINAL, mergeOutput: true }), CODE)).field, 'options.mergeOutput');
  assert.equal((await failure(() => engine.run(nothing, { ...TERMINAL, stdin: 'inherit' }), CODE)).field, 'options.stdin');
  for (const fine of [{ mergeOutput: false }, { stdin: 'open' }]) await engine.run(nothing, { ...TERMINAL, ...fine });

  const plain = await engine.execute(forever);
  await events.line('ready', plain);
  const error = await failure(() => engine.resize(plain, { columns: 80, rows: 24 }), CODE);
  assert.equal(error.field, 'id');
  assert.match(error.message, /has no terminal: start it with the option `terminal`/);
  await engine.cancel(plain);
  const id = await engine.execute(exec('cat'), TERMINAL);
  for (const value of [0, -1, 1.5, 65_536, '80', true, null, undefined])
    await refusal(() => engine.resize(id, { columns: value, rows: 24 }), CODE, 'columns', value);
  await refusal(() => engine.resize(id, { columns: 80 }), CODE, 'rows', undefined);
  for (const value of [undefined, null, 5, 'x', [80, 24]]) await failure(() => engine.resize(id, value), CODE);
  await failure(() => engine.resize(randomUUID(), { columns: 80, rows: 24 }), 'NOT_FOUND');
  await engine.cancel(id);
});

test('SIGHUP follows the stop signal: an interactive shell and its jobs end', { skip: skip || noBash }, async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: 60_000, waitingAfterMs: 100 });
  const id = await engine.execute(exec('bash', '--norc', '-i'), TERMINAL);
  await engine.write(id, 'sleep 300 & echo "job $!."\n');
  const { data, sequence } = await events.first((event) => event.type === 'data' && /job \d+\./.test(event.data));
  const job = Number(/job (\d+)\./.exec(data)[1]);
  assert.ok(isAlive(job));
  // bash acts on a signal that comes before it waits for keys only when it gets a key.
  if (!NO_WAITS) await events.first((event) => event.type === 'waiting' && event.sequence > sequence);
  await engine.cancel(id);
  const { killed } = engine.getResult(id);
  assert.ok(!killed.mechanism.includes('SIGKILL'), killed.mechanism);
  await until(() => !isAlive(job), 'the job has ended');
});

test('a timeout, an idle timeout and an abort end it', { skip }, async (t) => {
  const engine = newEngine(t, { killGraceMs: 2_000 });
  assert.equal((await engine.run({ ...exec('cat'), timeoutMs: 100 }, TERMINAL)).reason, 'timeout');
  await withEnoughTime(100, async (idleTimeoutMs) => {
    const idle = await engine.run(exec('cat'), { ...TERMINAL, idleTimeoutMs });
    assert.equal(idle.reason, 'idle_timeout');
    return Boolean(NO_WAITS) || idle.diagnosis.processes[0]?.waitsFor === 'terminal';
  });
  assert.equal((await engine.run(exec('cat'), { ...TERMINAL, signal: AbortSignal.timeout(50) })).reason, 'aborted');
});

test('input that a command has left unread in its terminal delays no end, and no other execution', { skip }, async (t) => {
  const { engine, events } = recordedEngine(t, { killGraceMs: 2_000 });
  const unread = Buffer.alloc(3_000_000, 'x');
  await repeatedly(REPEATS, 2, async (index) => {
    const rest = index % 2 === 0 ? 'sleep 300' : 'sleep 0.05';
    const id = await engine.execute({ ...shell(`stty raw -echo; echo ready; exec ${rest}`), timeoutMs: 60_000 }, TERMINAL);
    await events.first((event) => event.executionId === id && event.type === 'data' && /ready/.test(event.data));
    const refused = failure(() => engine.write(id, unread), CODE);
    if (index % 2 === 0) await engine.cancel(id);
    assert.equal((await engine.waitForCompletion(id)).reason, index % 2 === 0 ? 'cancelled' : 'exit');
    assert.equal((await refused).field, 'id');
    assert.equal((await engine.run(nothing)).status, 'completed');
  });
});

test('a command that closes its terminal for a while, and opens it again, loses nothing', { skip }, async (t) => {
  const engine = newEngine(t);
  const line =
    'exec 0<&- 1>&- 2>&-; sleep 0.2; exec </dev/tty >/dev/tty; stty -echo; head -c 300000 /dev/zero | tr "\\0" x; read word; echo "[$word]"';
  const id = await engine.execute({ ...shell(line), timeoutMs: 20_000 }, TERMINAL);
  await until(async () => (await engine.readOutput(id)).length === 300_000, 'it has written');
  await engine.write(id, 'again\n');
  const { status, stdout, leaked } = await engine.waitForCompletion(id);
  assert.deepEqual([status, stdout.slice(300_000), leaked], ['completed', '[again]\r\n', false]);
});

test('nothing is lost at the end of 10 MB', { skip }, async (t) => {
  const engine = newEngine(t, { maxOutputSizeBytes: 64 });
  // Every line is numbered, so that the size and the end show whether there is a gap.
  const line = 'x'.repeat(90);
  const request = shell(`i=0; yes ${line} | head -n 105000; echo the end`);
  await repeatedly(REPEATS, 2, async () => {
    const { stdoutBytes, stdout, leaked } = await engine.run(request, TERMINAL);
    assert.equal(stdoutBytes, 105_000 * (line.length + 2) + 'the end\r\n'.length);
    assert.match(stdout, /the end\r\n$/);
    assert.equal(leaked, false);
  });
});

test('the last output of a short command is never lost', { skip }, async (t) => {
  const engine = newEngine(t);
  await repeatedly(REPEATS * 10, 8, async (index) => {
    const { stdout } = await engine.run(exec('echo', String(index)), TERMINAL);
    assert.equal(stdout, `${index}\r\n`);
  });
});

test('1 000 terminals leave no descriptor', linux, async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 16 });
  const count = () => readdirSync('/proc/self/fd').length;
  await engine.run(nothing, TERMINAL);
  await until(() => count() > 0, 'it runs');
  const before = count();
  await repeatedly(1_000, 32, async (index) => {
    const request = index % 3 === 0 ? exec('cat') : shell('echo out; exit 3');
    const id = await engine.execute(request, TERMINAL);
    if (index % 3 === 0) await engine.endInput(id);
    assert.equal((await engine.waitForCompletion(id)).exitCode, index % 3 === 0 ? 0 : 3);
    engine.removeExecution(id);
  });
  await until(() => count() <= before, `all descriptors are closed: ${count()} and not ${before}`);
});
