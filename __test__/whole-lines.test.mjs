// With `lines: 'whole'` each line is one event, when it is complete.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { file, folder, shell } from './helpers/programs.mjs';

/** Returns the lines of one stream, with their flags. Each of them makes a file in `seen`, named by what stands in its event. */
async function linesOf(engine, command, options, type = 'stdout', seen) {
  const lines = [];
  for await (const event of engine.stream(shell(command, seen && { env: { SEEN: seen } }), options)) {
    if (event.type !== type) continue;
    const flags = ['partial', 'continued', 'carriageReturn'].filter((flag) => event[flag]);
    lines.push([event.line, ...flags].join(' '));
    if (seen) file(seen, event.line);
  }
  return lines;
}

/** A shell line that waits until the reader has got this line. */
const untilSeen = (line) => `while [ ! -e "$SEEN/${line}" ]; do sleep 0.01; done`;

/** Checks that each pause cuts a line into pieces, and that what is last has no line end. */
async function assertPieces(t, engine, options) {
  const command = `printf a; ${untilSeen('a')}; printf 'b\\n'; printf c; ${untilSeen('c')}; printf d`;
  const lines = await linesOf(engine, command, options, 'stdout', folder(t));
  assert.deepEqual(lines.slice(0, 3), ['a partial', 'b', 'c partial']);
  // A command that does not exit at once has made a pause too.
  assert.match(lines.slice(3).join(), /^d( partial,)?$/);
}

const slow = "printf a; sleep 0.4; printf 'b\\n'; printf c; sleep 0.4; printf d";

test('a line that is written in parts is one event, and the last one needs no line end', async (t) => {
  const engine = newEngine(t);
  await assertPieces(t, engine);
  assert.deepEqual(await linesOf(engine, slow, { lines: 'whole' }), ['ab', 'cd']);
  assert.deepEqual(await linesOf(engine, `{ ${slow}; } >&2`, { lines: 'whole' }, 'stderr'), ['ab', 'cd']);
});

test('it can be the default, and one execution can have pieces', async (t) => {
  const engine = newEngine(t, { lines: 'whole' });
  assert.deepEqual(await linesOf(engine, slow), ['ab', 'cd']);
  await assertPieces(t, engine, { lines: 'pieces' });
});

test('a line above maxLineBytes still comes in pieces', async (t) => {
  const engine = newEngine(t, { maxLineBytes: 64 });
  const lines = await linesOf(engine, "printf '%0100d'; sleep 0.4; printf '%05d\\n'", { lines: 'whole' });
  assert.deepEqual(lines, [`${'0'.repeat(64)} continued`, '0'.repeat(41)]);
});

test('a carriage return ends a line, and a line feed after a pause belongs to it', async (t) => {
  const engine = newEngine(t);
  const command = `printf '10%%\\r'; ${untilSeen('10%')}; printf '\\n20%%\\r30%%'; sleep 0.4; printf '\\r\\n'`;
  const lines = await linesOf(engine, command, { lines: 'whole' }, 'stdout', folder(t));
  assert.deepEqual(lines, ['10% carriageReturn', '20% carriageReturn', '30%']);
});

test('the records of a log are whole lines too', async (t) => {
  const engine = newEngine(t, { lines: 'whole', logDir: folder(t), logFormat: 'jsonl' });
  const { logPath } = await engine.run(shell(slow));
  const records = readFileSync(logPath, 'utf8').trim().split('\n').map(JSON.parse);
  assert.deepEqual(
    records.map(({ text }) => text),
    ['ab', 'cd'],
  );
});
