// A request in wire form becomes a request for `run`, or is refused.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failureNow } from './helpers/outcomes.mjs';

const parse = (wire) => ExecutionEngine.parseRequest(wire);

test('every field, from text and from an object', () => {
  const id = randomUUID();
  const wire = {
    id,
    command: { type: 'exec', program: 'ls', args: ['-l', 'ä'] },
    env: { my_var: 'a', Other: '' },
    working_dir: '/tmp',
    timeout_ms: 5_000,
    metadata: { source: 's', conversation_id: 'c', label: 'l', tags: ['t'], own_field: { deep_field: [1, null, 'x'] } },
  };
  const wanted = {
    id,
    command: { type: 'exec', program: 'ls', args: ['-l', 'ä'] },
    env: { my_var: 'a', Other: '' },
    workingDir: '/tmp',
    timeoutMs: 5_000,
    metadata: { source: 's', conversationId: 'c', label: 'l', tags: ['t'], own_field: { deep_field: [1, null, 'x'] } },
  };
  assert.deepEqual(parse(JSON.stringify(wire)), wanted);
  assert.deepEqual(parse(wire), wanted);
});

test('each command', () => {
  for (const command of [
    { type: 'shell', command: 'ls | wc', shell: '/bin/sh' },
    { type: 'script', path: 'a.sh', interpreter: 'bash', args: ['x'] },
    { type: 'aws_cli', service: 's3', command: 'ls', args: ['s3://b'], profile: 'p', region: 'r' },
  ]) {
    assert.deepEqual(parse({ command }).command, command);
    assert.deepEqual(parse(JSON.stringify({ command })).command, command);
  }
});

test('what the wire does not have is absent, and null is absent', () => {
  const { command, ...rest } = parse(
    '{"id": null, "command": {"type": "exec", "program": "ls"}, "env": null, "working_dir": null, "timeout_ms": null, "output_log_path": null, "metadata": null}',
  );
  assert.equal(command.program, 'ls');
  for (const name of ['id', 'workingDir', 'timeoutMs', 'outputLogPath']) assert.equal(rest[name] ?? null, null, name);
});

test('the result is a request: run takes it', async (t) => {
  const engine = newEngine(t);
  const id = randomUUID();
  const result = await engine.run(
    parse(
      JSON.stringify({
        id,
        command: { type: 'shell', command: 'echo "$A in $PWD"' },
        env: { A: 'x' },
        working_dir: '/',
        timeout_ms: 10_000,
        metadata: { conversation_id: 'c', own: [1] },
      }),
    ),
  );
  assert.equal(result.stdout, 'x in /\n');
  assert.equal(result.id, id);
  assert.deepEqual(result.metadata, { conversationId: 'c', own: [1] });
  for (const wire of ['{"command": {"type": "exec", "program": "true"}}', { command: { type: 'exec', program: 'true' } }]) {
    assert.equal((await engine.run(parse(wire))).status, 'completed');
    assert.equal((await engine.run({ ...parse(wire), timeoutMs: 9_000 })).status, 'completed');
  }
});

test('one parsed request without an id runs many times', async (t) => {
  const engine = newEngine(t);
  const request = parse('{"command": {"type": "exec", "program": "true"}}');
  const results = await Promise.all([engine.run(request), engine.run(request)]);
  assert.equal(new Set(results.map((result) => result.id)).size, 2);
});

test('unknown names are refused, those of JavaScript too', () => {
  const cases = [
    [{ workingDir: '/' }, 'workingDir', 'working_dir'],
    [{ timeoutMs: 5 }, 'timeoutMs', 'timeout_ms'],
    [{ timeout: 5 }, 'timeout', undefined],
    [{ signal: null }, 'signal', undefined],
    [{ stdin: 'x' }, 'stdin', undefined],
    [{ priority: 1 }, 'priority', undefined],
    [{ inherit_env: 'all' }, 'inherit_env', undefined],
    [{ secrets: [] }, 'secrets', undefined],
  ];
  for (const [more, field, meant] of cases) {
    const wire = { command: { type: 'exec', program: 'ls' }, ...more };
    for (const form of [wire, JSON.stringify(wire)]) {
      const error = failureNow(() => parse(form), 'INVALID_REQUEST');
      assert.equal(error.field, field, error.message);
      if (meant) assert.ok(error.message.includes(`did you mean \`${meant}\``), error.message);
    }
  }
});

test('what is wrong is named as on the wire', () => {
  const base = { command: { type: 'exec', program: 'ls' } };
  const cases = [
    [{ ...base, timeout_ms: -1 }, 'timeout_ms'],
    [{ ...base, timeout_ms: 1.5 }, 'timeout_ms'],
    [{ ...base, timeout_ms: '5' }, 'timeout_ms'],
    [{ ...base, timeout_ms: 0 }, 'timeout_ms'],
    [{ ...base, working_dir: 5 }, 'working_dir'],
    [{ ...base, id: 'x' }, 'id'],
    [{ ...base, env: { my_var: 1 } }, 'env.my_var'],
    [{ ...base, metadata: { conversation_id: 1 } }, 'metadata.conversation_id'],
    [{ ...base, metadata: { tags: ['a', 1] } }, 'metadata.tags[1]'],
    [{ command: { type: 'exec', program: 'ls', args: ['a', 1] } }, 'command.args[1]'],
    [{ command: { type: 'exec', program: '' } }, 'command.program'],
    [{ command: { type: 'exec', program: 'a\0b' } }, 'command.program'],
    [{ command: { type: 'exec' } }, 'command.program'],
    [{ command: { type: 'ssh' } }, 'command.type'],
    [{}, 'command'],
  ];
  for (const [wire, field] of cases) {
    for (const form of [wire, JSON.stringify(wire)]) {
      const error = failureNow(() => parse(form), 'INVALID_REQUEST');
      assert.equal(error.field, field, error.message);
      assert.ok(error.message.includes(field), error.message);
    }
  }
});

test('what is no request at all', () => {
  for (const wire of [
    '',
    ' ',
    '{',
    'null',
    '5',
    '[]',
    '"text"',
    '{"command": {}} trailing',
    '{"command": NaN}',
    undefined,
    null,
    5,
    true,
    1n,
    [],
    () => {},
    Symbol('s'),
    Buffer.from('{}'),
  ]) {
    const error = failureNow(() => parse(wire), 'INVALID_REQUEST');
    assert.ok(error.field, error.message);
  }
});

test('numbers beyond what JSON keeps are refused', () => {
  for (const number of ['9007199254740993', '1e400', '-1e400', '1e20']) {
    failureNow(() => parse(`{"command": {"type": "exec", "program": "ls"}, "timeout_ms": ${number}}`), 'INVALID_REQUEST');
  }
});

test('text that is nested without end is refused, not followed', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  failureNow(() => parse(`{"command": {"type": "exec", "program": "ls"}, "metadata": {"deep": ${deep}}}`), 'INVALID_REQUEST');
});

test('a wire form that throws is a refusal', () => {
  failureNow(
    () =>
      parse({
        get command() {
          throw new Error('boom');
        },
      }),
    'INVALID_REQUEST',
  );
  failureNow(
    () =>
      parse(
        new Proxy(
          {},
          {
            ownKeys() {
              throw new Error('boom');
            },
          },
        ),
      ),
    'INVALID_REQUEST',
  );
});
