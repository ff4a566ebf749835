// Output in files on Windows: logs, overflow beyond the cap, and what secrets leave in them.
import assert from 'node:assert/strict';
import { existsSync, linkSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { newEngine, recordedEngine } from '../helpers/engine.mjs';
import { heldScratch, nodeRuns, notInWine, rejection, scratch, until } from './helpers.mjs';

const COUNT = "for (let i = 1; i <= 20000; i++) require('fs').writeSync(1, `${i}\\n`);";
const COUNTED = Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join('');
const spilling = (t, more) => ({
  oversizedOutputStrategy: 'streamToFile',
  overflowDir: heldScratch(t),
  minFreeDiskBytes: 1,
  maxOutputSizeBytes: 100,
  ...more,
});

test('a log holds the bytes of both streams, and what the cap cuts from the result', async (t) => {
  const logDir = path.join(scratch(t), 'a', 'logs');
  const engine = newEngine(t, { logDir, maxOutputSizeBytes: 100 });
  const both = await engine.run(
    nodeRuns("require('fs').writeSync(1, 'one\\r\\n'); require('fs').writeSync(2, Buffer.from([255, 0, 116]))"),
  );
  assert.equal(both.logPath, path.join(logDir, `${both.id}.log`));
  assert.deepEqual([...readFileSync(both.logPath)].sort(), [...Buffer.from('one\r\n\xff\0t', 'latin1')].sort());
  const long = await engine.run(nodeRuns(COUNT));
  assert.ok(long.stdoutTruncated);
  assert.ok((await engine.readLogs(long.id)) === COUNTED, 'the log is complete');
  assert.equal(await engine.readLogs(long.id, { tailBytes: 6 }), '20000\n');
  assert.deepEqual(readdirSync(logDir).sort(), [both, long].map(({ id }) => `${id}.log`).sort());
});

test('outputLogPath is made, then appended to', async (t) => {
  const outputLogPath = path.join(scratch(t), 'build.log');
  const engine = newEngine(t);
  for (const word of ['one', 'two']) {
    const { logPath, logLostBytes } = await engine.run({ ...nodeRuns(`console.log('${word}')`), outputLogPath });
    assert.deepEqual([logPath, logLostBytes], [outputLogPath, 0]);
  }
  assert.equal(readFileSync(outputLogPath, 'utf8'), 'one\ntwo\n');
});

test('a link, a device or a directory at outputLogPath is refused, and nothing runs', async (t) => {
  const folder = scratch(t);
  const at = (name) => path.join(folder, name);
  writeFileSync(at('victim'), 'mine');
  linkSync(at('victim'), at('hardlink'));
  mkdirSync(at('directory'));
  const engine = newEngine(t);
  const refused = async (outputLogPath) => {
    const error = await rejection(
      engine.run({ ...nodeRuns(`require('fs').writeFileSync(${JSON.stringify(at('ran'))}, '')`), outputLogPath }),
    );
    assert.equal(error.code, 'LOG_FAILED', error.stack);
    assert.ok(error.message.includes(outputLogPath) && error.message.includes('nothing was run'), error.message);
    assert.equal(error.result.pid, null);
  };
  for (const name of ['hardlink', 'directory', 'no\\such\\directory']) await refused(at(name));
  await refused('\\\\.\\NUL');
  for (const name of ['NUL', 'nul.log', 'Com1.txt', 'con.', 'aux .x', 'victim:x', 'new.log:x', 'new.log::$DATA', 'CON\\new.log'])
    await refused(at(name));
  assert.equal(readFileSync(at('victim'), 'utf8'), 'mine');
  assert.ok(!existsSync(at('ran')));
  await t.test('symbolic links', notInWine('Wine follows the links of the system below'), async (t) => {
    try {
      symlinkSync(at('victim'), at('symlink'));
      symlinkSync(at('nowhere'), at('dangling'));
    } catch (error) {
      t.skip(`SYMBOLIC LINKS CANNOT BE MADE HERE: ${error.message}`);
      return;
    }
    for (const name of ['symlink', 'dangling']) await refused(at(name));
    assert.equal(readFileSync(at('victim'), 'utf8'), 'mine');
    assert.ok(!existsSync(at('ran')) && !existsSync(at('nowhere')));
  });
});

test(
  'a log that is deleted while it is written is lost and reported, and the command continues',
  notInWine('Wine does not say that an open file was deleted'),
  async (t) => {
    const go = path.join(scratch(t), 'go');
    const logDir = path.join(scratch(t), 'logs');
    const { engine, events } = recordedEngine(t, { logDir });
    const id = await engine.execute(
      nodeRuns(
        `console.log('ready'); setInterval(() => { if (require('fs').existsSync(${JSON.stringify(go)})) { console.log('12345'); process.exit(); } }, 20)`,
      ),
    );
    await events.line('ready', id);
    rmSync(path.join(logDir, `${id}.log`));
    writeFileSync(go, '');
    const { status, stdout, logLostBytes } = await engine.waitForCompletion(id);
    assert.deepEqual([status, stdout, logLostBytes], ['completed', 'ready\n12345\n', 12]);
    assert.match((await events.first((event) => event.type === 'degraded')).message, /deleted/);
  },
);

test('an overflow file holds the whole stream, and goes with its record', async (t) => {
  const config = spilling(t);
  const engine = newEngine(t, config);
  const { id, status, stdout, stdoutBytes, stdoutOverflowFile, stderrOverflowFile, overflowLostBytes } = await engine.run(nodeRuns(COUNT));
  assert.deepEqual([status, stdoutBytes, overflowLostBytes], ['completed', COUNTED.length, 0]);
  assert.match(stdout, /output truncated/);
  assert.ok(readFileSync(stdoutOverflowFile, 'utf8') === COUNTED, 'the file is complete');
  assert.equal(stderrOverflowFile, undefined);
  engine.removeExecution(id);
  assert.ok(!existsSync(stdoutOverflowFile));
});

test('without overflowDir it is in a folder of this user under the temp folder', async (t) => {
  const { overflowDir: _, ...config } = spilling(t);
  const { stdoutOverflowFile } = await newEngine(t, config).run(nodeRuns(COUNT));
  assert.ok(readFileSync(stdoutOverflowFile, 'utf8') === COUNTED);
});

test('the disk keeps what minFreeDiskBytes asks for', async (t) => {
  const { status, stdoutBytes, overflowLostBytes } = await newEngine(t, spilling(t, { minFreeDiskBytes: Number.MAX_SAFE_INTEGER })).run(
    nodeRuns(COUNT),
  );
  assert.deepEqual([status, overflowLostBytes], ['completed', stdoutBytes]);
});

test('what a dead host has left is removed at the next start, what a living one has is not', async (t) => {
  const config = spilling(t);
  const { stdoutOverflowFile } = await newEngine(t, config).run(nodeRuns(COUNT));
  const dead = path.join(config.overflowDir, 'host-00000000-0000-4000-8000-000000000000');
  mkdirSync(dead);
  writeFileSync(path.join(dead, 'lock'), 'escher-execution-engine overflow 00000000-0000-4000-8000-000000000000\n');
  writeFileSync(path.join(dead, '00000000-0000-4000-8000-000000000001-0.stdout'), 'left');
  newEngine(t, config);
  await until(() => !existsSync(dead), 'the folder of the dead host is removed');
  assert.ok(existsSync(stdoutOverflowFile));
});

test('secrets are masked in events, results, logs and overflow files', async (t) => {
  const secret = 'tr0ub4dor&3\\"x';
  const { engine, events } = recordedEngine(t, spilling(t, { logDir: scratch(t), maxOutputSizeBytes: 50, secrets: [secret] }));
  const code =
    "for (const byte of Buffer.from(`a ${process.argv[1]} b\\n${'x'.repeat(60)}${process.argv[1]}\\n`)) require('fs').writeSync(1, Buffer.from([byte]));";
  const { id, stdout, stdoutOverflowFile, logPath } = await engine.run(nodeRuns(code, secret));
  const clean = `a *** b\n${'x'.repeat(60)}***\n`;
  assert.equal(readFileSync(stdoutOverflowFile, 'utf8'), clean);
  assert.equal(readFileSync(logPath, 'utf8'), clean);
  assert.deepEqual(events.lines(id), clean.trimEnd().split('\n'));
  const seen = [stdout, JSON.stringify(events.of(id)), JSON.stringify(engine.listExecutions())].join('\n');
  assert.ok(!seen.includes('tr0ub') && !seen.includes('dor&3'), seen);
});
