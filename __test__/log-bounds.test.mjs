// Logs are bounded, say where bytes are missing, and have whole records; files that are rotated or removed are noticed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { noSmallDisk, withSmallDisk } from './helpers/mounts.mjs';
import { file, folder, shell, until, untilFile } from './helpers/programs.mjs';

const SEQ = execFileSync('seq', ['100000'], { encoding: 'utf8' });
const records = (text) => {
  assert.ok(text === '' || text.endsWith('\n'), `the last record is whole: ${text.slice(-100)}`);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
};

test('a log ends at maxLogFileBytes, the rest is counted, and the command never waits', async (t) => {
  const { engine, events } = recordedEngine(t, { logDir: folder(t), maxLogFileBytes: 100_000, minFreeDiskBytes: 0 });
  const { id, status, stdoutBytes, logPath, logLostBytes } = await engine.run(shell('seq 100000'));
  assert.deepEqual([status, stdoutBytes, logLostBytes], ['completed', SEQ.length, SEQ.length - 100_000]);
  assert.equal(readFileSync(logPath, 'utf8'), SEQ.slice(0, 100_000));
  assert.match(events.of(id).find((event) => event.type === 'degraded').message, /max_log_file_bytes/);
  assert.equal(engine.getStats().logLostBytes, logLostBytes);
});

test('maxLogFileBytes counts what other executions have written to the same outputLogPath', async (t) => {
  const engine = newEngine(t, { maxLogFileBytes: 10, minFreeDiskBytes: 0 });
  const outputLogPath = path.join(folder(t), 'shared.log');
  const lost = [];
  for (const text of ['12345', '67890abc', 'more'])
    lost.push((await engine.run({ ...shell(`printf ${text}`), outputLogPath })).logLostBytes);
  assert.deepEqual([readFileSync(outputLogPath, 'utf8'), lost], ['1234567890', [0, 3, 4]]);
});

test('jsonl: at a bound, records are whole or absent', async (t) => {
  for (const maxLogFileBytes of [0, 1, 90, 1_000, 33_333]) {
    const engine = newEngine(t, { logDir: folder(t), logFormat: 'jsonl', maxLogFileBytes, minFreeDiskBytes: 0 });
    const { logPath, logLostBytes } = await engine.run(shell('seq 1000'));
    const text = readFileSync(logPath, 'utf8');
    assert.ok(text.length <= maxLogFileBytes && logLostBytes > 0, `${text.length} of ${maxLogFileBytes}`);
    records(text).forEach((record, index) => assert.equal(record.text, String(index + 1)));
  }
});

test('all logs of an engine have a bound, and records that leave make room', async (t) => {
  const engine = newEngine(t, { logDir: folder(t), maxLogTotalBytes: 50_000, minFreeDiskBytes: 0 });
  const run = () => engine.run(shell('seq 10000'));
  const results = await Promise.all([run(), run(), run()]);
  const sizes = results.map(({ logPath }) => statSync(logPath).size);
  assert.equal(
    sizes.reduce((sum, size) => sum + size),
    50_000,
  );
  results.forEach((result, index) => assert.equal(sizes[index] + result.logLostBytes, result.stdoutBytes));
  for (const { id } of results) engine.removeExecution(id);
  assert.equal((await run()).logLostBytes, 0);
});

test('a log leaves on its disk what minFreeDiskBytes asks for', async (t) => {
  const engine = newEngine(t, { logDir: folder(t), minFreeDiskBytes: Number.MAX_SAFE_INTEGER });
  const { status, stdoutBytes, logPath, logLostBytes } = await engine.run(shell('seq 1000'));
  assert.deepEqual([status, logLostBytes, statSync(logPath).size], ['completed', stdoutBytes, 0]);
});

// Fills the disk by the log, makes room, and lets the command continue.
const REFILLED = `
  const filler = path.join(dir, 'filler');
  fs.writeFileSync(filler, Buffer.alloc(300_000));
  const go = path.join(dir, 'go');
  const engine = new ExecutionEngine({ logDir: dir, logFormat: FORMAT, minFreeDiskBytes: 0 });
  const degraded = []; engine.on('degraded', ({ message }) => degraded.push(message));
  const seen = []; engine.on('stdout', ({ line }) => seen.push(line));
  const id = await engine.execute(shell('echo ready; seq 50000; echo full; while [ ! -e "$GO" ]; do sleep 0.01; done; seq 50001 50100; echo end', { env: { GO: go } }));
  await until(() => seen.includes('full') && degraded.length > 0);
  await until(async () => (await engine.readLogs(id)).length > 1000);
  fs.rmSync(filler);
  fs.writeFileSync(go, '');
  const { status, logPath, logLostBytes, stdoutBytes } = await engine.waitForCompletion(id);
  say({ status, logLostBytes, stdoutBytes, log: fs.readFileSync(logPath, 'latin1'), degraded });
  process.exit();
`;

test('a disk that was full and has room again: a mark shows where bytes are missing', { skip: noSmallDisk }, async (t) => {
  const outcome = await withSmallDisk(folder(t), 400_000, REFILLED.replace('FORMAT', '"raw"'));
  assert.deepEqual([outcome.status, outcome.degraded.length], ['completed', 1], JSON.stringify(outcome.degraded));
  const mark = /\n\[\.\.\. (\d+) bytes are missing here: No space left on device.*? \.\.\.\]\n/g;
  const missing = [...outcome.log.matchAll(mark)].map((match) => Number(match[1]));
  assert.ok(missing.length > 0, 'there is a mark');
  assert.equal(
    missing.reduce((sum, bytes) => sum + bytes),
    outcome.logLostBytes,
  );
  assert.equal(outcome.log.replace(mark, '').length + outcome.logLostBytes, outcome.stdoutBytes);
  assert.ok(outcome.log.startsWith('ready\n1\n2\n') && outcome.log.endsWith('50099\n50100\nend\n'));
});

test('jsonl on a disk that was full: every record is whole, and one says how much is missing', { skip: noSmallDisk }, async (t) => {
  const outcome = await withSmallDisk(folder(t), 400_000, REFILLED.replace('FORMAT', '"jsonl"'));
  assert.equal(outcome.status, 'completed');
  const all = records(outcome.log);
  const gaps = all.filter((record) => record.missingBytes !== undefined);
  assert.ok(gaps.length > 0, 'a record describes the gap');
  assert.equal(
    gaps.reduce((sum, gap) => sum + gap.missingBytes, 0),
    outcome.logLostBytes,
  );
  for (const gap of gaps) assert.ok(/No space left/.test(gap.reason) && Date.parse(gap.time) > 0, JSON.stringify(gap));
  const texts = all.filter((record) => record.text !== undefined).map((record) => record.text);
  assert.deepEqual([texts[0], texts.at(-2), texts.at(-1)], ['ready', '50100', 'end']);
  const numbers = texts.map(Number).filter((number) => number > 0);
  numbers.forEach((number, index) => assert.ok(index === 0 || number > numbers[index - 1], `${number} comes in order`));
});

/** Runs `between` after `ready` is in the log, and then lets the command say `12345`. */
async function interrupted(t, config, between) {
  const [dir, go] = [folder(t), path.join(folder(t), 'go')];
  const { engine, events } = recordedEngine(t, { minFreeDiskBytes: 0, ...config });
  const outputLogPath = path.join(dir, 'the.log');
  const id = await engine.execute({ ...untilFile(go, 'echo 12345'), outputLogPath });
  await until(async () => (await engine.readLogs(id).catch(() => '')) === 'ready\n', 'the first line is in the log');
  between(outputLogPath);
  file(path.dirname(go), 'go');
  const { logLostBytes } = await engine.waitForCompletion(id);
  return {
    engine,
    id,
    outputLogPath,
    logLostBytes,
    degraded: events
      .of(id)
      .filter((event) => event.type === 'degraded')
      .map((event) => event.message),
  };
}

const posix = process.platform === 'win32' ? 'an open file cannot be renamed there' : false;

test('a log that is deleted or replaced in use is counted and reported', { skip: posix }, async (t) => {
  const replace = (log) => {
    writeFileSync(`${log}.new`, 'not ours');
    renameSync(`${log}.new`, log);
  };
  for (const between of [(log) => rmSync(log), replace]) {
    const { outputLogPath, logLostBytes, degraded } = await interrupted(t, {}, between);
    assert.equal(logLostBytes, 12);
    assert.equal(degraded.length, 1);
    assert.match(degraded[0], /deleted/);
    if (between === replace) assert.equal(readFileSync(outputLogPath, 'utf8'), 'not ours');
  }
});

test('rotation by rename: the command goes on in the renamed file, nothing is lost', { skip: posix }, async (t) => {
  const rotate = (log) => {
    renameSync(log, `${log}.1`);
    writeFileSync(log, '', { mode: 0o600 });
  };
  const { engine, outputLogPath, logLostBytes, degraded } = await interrupted(t, {}, rotate);
  assert.deepEqual([readFileSync(`${outputLogPath}.1`, 'utf8'), readFileSync(outputLogPath, 'utf8')], ['ready\n12345\n', '']);
  assert.deepEqual([logLostBytes, degraded], [0, []]);
  await engine.run({ ...shell('echo next'), outputLogPath });
  assert.equal(readFileSync(outputLogPath, 'utf8'), 'next\n', 'the next execution writes to the new one');
});

test('rotation by copy and truncate: the command goes on at the start, the bound begins anew', { skip: posix }, async (t) => {
  const { engine, id, outputLogPath, logLostBytes } = await interrupted(t, { maxLogFileBytes: 8, maxLogTotalBytes: 8 }, (log) =>
    truncateSync(log),
  );
  assert.equal(readFileSync(outputLogPath, 'utf8'), '12345\n');
  assert.deepEqual([logLostBytes, await engine.readLogs(id)], [0, '12345\n']);
});
