// Shows the engine in TypeScript: `node examples/node-caller.ts`. Node.js runs the file without a compilation, and `tsc --strict` accepts
// it.

const { NO_COLOR, FORCE_COLOR } = process.env;
const isWanted = FORCE_COLOR === undefined ? process.stdout.isTTY : !['0', 'false'].includes(FORCE_COLOR);
const isColourful = isWanted && !NO_COLOR;
const paint = (code = '', text = '') => (isColourful ? `\x1b[${code}m${text}\x1b[0m` : text);
const [bold, dim, red, green, yellow] = ['1', '2', '31', '32', '33'];

async function main() {
  const { ExecutionEngine, ExecutionError } = await import('@escher/execution-engine');
  const { join } = await import('node:path');
  const { setTimeout: sleep } = await import('node:timers/promises');

  const engine = new ExecutionEngine({ maxConcurrentExecutions: 2 });
  const section = (title = '') => console.log(`\n${paint(bold, title)}`);

  // ── Every event of every command, as it happens ───────────────────────────────────────────────────────────────────

  engine.on('event', (event) => {
    const { label } = engine.listExecutions().find(({ id }) => id === event.executionId) ?? {};
    const say = (text = '') => {
      const elapsed = `${process.uptime().toFixed(2)} s`.padStart(7);
      console.log(`${paint(dim, elapsed)}  ${paint(colourOf(label), label?.padEnd(9))} ${text}`);
    };
    if (event.type === 'queued') say(paint(dim, '◌ waits for a slot'));
    else if (event.type === 'started') say(`${paint(dim, '▶')} ${paint(dim, event.command)}`);
    else if (event.type === 'degraded') say(`  ${event.message}`);
    else if (event.type === 'waiting') say(`  asks: ${event.prompt}`);
    else if (event.type === 'exited') return;
    else if (event.type === 'retry') say(`  attempt ${event.attempt} failed`);
    else if (event.type === 'progress') return;
    else if (event.type === 'data') return;
    else if (event.type === 'stdout') say(`  ${event.line}`);
    else if (event.type === 'stderr') say(`  ${paint(red, event.line)}`);
    else if ('result' in event) {
      if (event.error) say(`  ${paint(red, event.error.message)}`);
      say(outcome(event.result));
    }
  });

  // ── What is shown ─────────────────────────────────────────────────────────────────────────────────────────────────

  console.log(paint(bold, '@escher/execution-engine'), paint(dim, `on Node ${process.version}, ${process.platform}`));

  section('A shell pipeline, a program without a shell, a script');
  const pipeline = await engine.run({
    command: { type: 'shell', command: 'seq 1 1000 | grep 7 | wc -l' },
    metadata: { label: 'pipeline' },
  });
  const exec = await engine.run({
    command: { type: 'exec', program: 'printf', args: ['%s\\n', 'no shell: $HOME stays $HOME', '; and so does *'] },
    metadata: { label: 'exec' },
  });
  const script = await engine.run({
    command: { type: 'script', path: 'inventory.sh', args: ['this machine'] },
    workingDir: join(__dirname, 'scripts'),
    env: { DEPTH: 'quick' },
    metadata: { label: 'script' },
  });

  section('Four at once, of which two may run');
  const steps = await Promise.all(
    ['north', 'east', 'south', 'west'].map((label) =>
      engine.run({
        command: { type: 'shell', command: 'for part in 1 2 3; do echo "part $part of 3"; sleep 0.1; done' },
        metadata: { label },
      }),
    ),
  );

  section('A timeout, a cancel, a failure: results, not exceptions');
  const timeout = await engine.run({
    command: { type: 'shell', command: 'echo "this takes an hour"; sleep 3600' },
    timeoutMs: 400,
    metadata: { label: 'timeout' },
  });
  const id = await engine.execute({
    command: { type: 'shell', command: 'while echo "still at it"; do sleep 0.2; done' },
    metadata: { label: 'cancel' },
  });
  await sleep(500);
  await engine.cancel(id);
  const cancel = await engine.waitForCompletion(id);
  const failure = await engine.run({
    command: { type: 'exec', program: 'ls', args: ['/no/such/folder'] },
    metadata: { label: 'failure' },
  });

  section('A program that may not be there: the only kind of exception');
  const aws = await engine
    .run({ command: { type: 'exec', program: 'aws', args: ['--version'] }, metadata: { label: 'aws' } })
    .catch((error) => {
      if (error instanceof ExecutionError && error.errno === 'ENOENT' && error.result) return error.result;
      throw error;
    });

  // ── Did all go as intended? ───────────────────────────────────────────────────────────────────────────────────────

  const table = [
    { result: pipeline, wanted: 'the line 271', ok: pipeline.success && pipeline.stdout.trim() === '271' },
    { result: exec, wanted: 'its arguments', ok: exec.stdout === 'no shell: $HOME stays $HOME\n; and so does *\n' },
    { result: script, wanted: 'four lines', ok: script.success && script.stdout.split('\n').length === 5 },
    ...steps.map((result) => ({ result, wanted: 'three parts', ok: result.stdout.endsWith('part 3 of 3\n') })),
    { result: timeout, wanted: 'a timeout', ok: timeout.status === 'timeout' && timeout.durationMs >= 400 },
    { result: cancel, wanted: 'a cancel', ok: cancel.status === 'cancelled' && cancel.stdout.includes('still') },
    { result: failure, wanted: 'a code and a message', ok: failure.status === 'failed' && failure.stderr !== '' },
    { result: aws, wanted: 'a version, or no program', ok: aws.success || aws.reason === 'spawn_failed' },
  ];

  section('Summary');
  console.log(paint(dim, `  ${row(['command', 'took', 'queued', 'stdout', 'stderr'])}  outcome`));
  for (const { result, ok } of table) {
    const { durationMs, queuedMs, stdoutBytes, stderrBytes, metadata } = result;
    const cells = row([metadata.label ?? '', ms(durationMs), ms(queuedMs), `${stdoutBytes} B`, `${stderrBytes} B`]);
    const mark = ok ? paint(green, '✔') : paint(red, '✘');
    console.log(`${mark} ${paint(colourOf(metadata.label), cells.slice(0, 10))}${cells.slice(10)}  ${outcome(result)}`);
  }
  const wrong = table.filter(({ ok }) => !ok);
  for (const { result, wanted } of wrong) {
    const { status, exitCode, signal, stdout, stderr } = result;
    console.log(`\n${paint(red, `${result.metadata.label} should have given ${wanted}, but gave`)}`);
    console.log({ status, exitCode, signal, stdout, stderr });
  }
  const { total } = engine.getStats();
  console.log(`\n${total - wrong.length} of ${total} as intended, in ${process.uptime().toFixed(1)} s`);
  process.exitCode = wrong.length === 0 ? 0 : 1;

  /** Returns a short description of the outcome of an execution. */
  function outcome(result = pipeline) {
    const took = paint(dim, `(${ms(result.durationMs)})`);
    const { status, exitCode, signal, reason } = result;
    if (reason === 'spawn_failed') return paint(yellow, '◌ skipped: it is not there');
    if (status === 'completed') return `${paint(green, '✔ completed')} ${took}`;
    if (status === 'failed') return `${paint(red, `✘ failed with ${signal ?? `exit code ${exitCode}`}`)} ${took}`;
    return `${paint(yellow, `■ ${status}, ended by ${signal ?? `exit code ${exitCode}`}`)} ${took}`;
  }
}

const seen = [''];
/** Returns the colour of a label; each label has a colour of its own. */
function colourOf(label = '') {
  if (!seen.includes(label)) seen.push(label);
  const palette = ['36', '35', '34', '96', '95', '94'];
  return palette[seen.indexOf(label) % palette.length];
}

function ms(duration = 0) {
  return `${duration < 10 ? duration.toFixed(1) : Math.round(duration)} ms`;
}

function row(cells = ['']) {
  return cells.map((cell, column) => (column === 0 ? cell.padEnd(10) : cell.padStart(9))).join('');
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
