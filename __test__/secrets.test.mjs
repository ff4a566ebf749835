// Secrets leave the engine in no event, result, log, file, error, listing or diagnosis.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';

import { ExecutionEngine } from '../index.js';
import { newEngine, recordedEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, folder, nodeProgram, nothing, shell } from './helpers/programs.mjs';

const SECRET = 'tr0ub4dor&3/"x';

test('masked in events, results, logs, overflow files and listings, whatever the pieces', async (t) => {
  const config = {
    logDir: folder(t),
    overflowDir: folder(t),
    oversizedOutputStrategy: 'streamToFile',
    maxOutputSizeBytes: 50,
    minFreeDiskBytes: 0,
    secrets: [SECRET],
  };
  const { engine, events } = recordedEngine(t, config);
  const source = `
    const text = 'a ' + process.argv[1] + ' b\\n' + process.argv[1].repeat(3) + '\\n' + 'x'.repeat(60) + process.argv[1];
    const { writeSync } = require('node:fs');
    for (const byte of Buffer.from(text)) { writeSync(1, Buffer.from([byte])); writeSync(2, Buffer.from([byte])); }
  `;
  const { id, stdout, stdoutOverflowFile, logPath, ...rest } = await engine.run(nodeProgram(source, SECRET));
  const clean = `a *** b\n*********\n${'x'.repeat(60)}***`;
  assert.equal(readFileSync(stdoutOverflowFile, 'utf8'), clean);
  assert.deepEqual(events.lines(id), clean.split('\n'));
  assert.deepEqual(events.lines(id, 'stderr'), clean.split('\n'));
  const seen = [
    stdout,
    rest.stderr,
    readFileSync(logPath, 'utf8'),
    JSON.stringify(events.of(id)),
    JSON.stringify(engine.listExecutions()),
    JSON.stringify(rest),
  ].join('\n');
  assert.ok(!seen.includes('tr0ub') && !seen.includes('dor&3'), seen);
  await engine.run(exec('true', SECRET));
  assert.equal(engine.listExecutions()[0].command, "true '***'");
});

test('masked as Base64, URL and JSON write it', async (t) => {
  const engine = newEngine(t);
  const source = `
    const secret = process.argv[1];
    const base64 = ['', 'a', 'ab'].flatMap((before) => [Buffer.from(before + secret + 'tail').toString('base64'), Buffer.from(before + secret).toString('base64url')]);
    console.log([...base64, encodeURIComponent(secret), new URLSearchParams({ q: secret }), JSON.stringify({ secret })].join('\\n'));
  `;
  const { stdout } = await engine.run(nodeProgram(source, SECRET), { secrets: [SECRET] });
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, 9);
  for (const line of lines) {
    assert.match(line, /\*\*\*/);
    assert.ok(line.length <= 17, `nothing of it is left: ${line}`);
  }
});

test('masked in errors and in the diagnosis of a timeout', async (t) => {
  const { engine, events } = recordedEngine(t, { secrets: [SECRET] });
  const error = await failure(() => engine.run(exec(`/nowhere/${SECRET}`)), 'SPAWN_FAILED');
  assert.ok(!inspect([error, error.result], { showHidden: true, depth: 9 }).includes('tr0ub'));
  assert.match(error.message, /\*\*\*/);
  const hung = await engine.run({ ...nodeProgram('setInterval(() => 0, 1e6)', SECRET), timeoutMs: 300 });
  assert.ok(!JSON.stringify([hung.diagnosis, events.of(hung.id)]).includes('tr0ub'));
  assert.match(JSON.stringify(hung.diagnosis), /\*\*\*/);
});

test('maskEnvSecrets masks the values of variables that look secret', async (t) => {
  const engine = newEngine(t);
  process.env.ENGINE_TEST_TOKEN = 'from-the-host-1';
  t.after(() => delete process.env.ENGINE_TEST_TOKEN);
  const request = shell('echo $ENGINE_TEST_TOKEN $DB_PASSWORD $AWS_ACCESS_KEY_ID $PLAIN $SHORT_SECRET', {
    env: { DB_PASSWORD: 'from-the-request', AWS_ACCESS_KEY_ID: 'AKIA0123456789', PLAIN: 'plain-value', SHORT_SECRET: 'abc' },
  });
  const { stdout } = await engine.run(request, { maskEnvSecrets: true });
  assert.equal(stdout, '*** *** *** plain-value abc\n');
  assert.match((await engine.run(request)).stdout, /from-the-host-1 from-the-request/);
  const always = newEngine(t, { maskEnvSecrets: true, envSecretPatterns: ['PLAIN'] });
  assert.equal((await always.run(request)).stdout, 'from-the-host-1 from-the-request AKIA0123456789 *** abc\n');
  assert.match((await always.run(request, { maskEnvSecrets: false })).stdout, /plain-value/);
});

test('a prompt is not held back, what may become a secret is', async (t) => {
  const { engine, events } = recordedEngine(t);
  const id = await engine.execute(shell('printf "Password: tr0"; read x; echo $x'), { secrets: [SECRET], stdin: 'y\n' });
  await engine.waitForCompletion(id);
  assert.deepEqual(events.lines(id), ['Password: tr0y']);
});

test('secrets that are too short are refused, and not shown', async (t) => {
  const engine = newEngine(t);
  for (const [secrets, index] of [
    [['12345'], 0],
    [['long enough', ''], 1],
  ]) {
    const error = await failure(() => engine.run(nothing, { secrets }), 'INVALID_REQUEST');
    assert.equal(error.field, `options.secrets[${index}]`);
    assert.ok(!error.message.includes('12345'), error.message);
  }
  const error = await failure(async () => new ExecutionEngine({ secrets: ['12345'] }), 'INVALID_CONFIG');
  assert.equal(error.field, 'secrets[0]');
});

test('a configuration can be shown and used again', async (t) => {
  const { config } = newEngine(t, { secrets: [SECRET] });
  assert.ok(!inspect(config).includes('tr0ub') && !JSON.stringify(config).includes('tr0ub'));
  const again = newEngine(t, { ...config });
  assert.equal((await again.run(exec('echo', SECRET))).stdout, '***\n');
});

test('a secret that is never printed costs nothing of the output', async (t) => {
  const engine = newEngine(t, { maxOutputSizeBytes: 64 * 1024 * 1024 });
  const { stdout, stdoutBytes } = await engine.run(shell('seq 1000000'), { secrets: [SECRET, '99999x', '1000001'] });
  assert.equal(stdoutBytes, 6_888_896);
  assert.ok(stdout.endsWith('\n999999\n1000000\n'));
});

test('a log path shows no secret by itself: it is made of the id', async (t) => {
  const logDir = folder(t);
  const { logPath, id } = await newEngine(t, { logDir, secrets: [SECRET] }).run(nothing);
  assert.equal(logPath, path.join(logDir, `${id}.log`));
});
