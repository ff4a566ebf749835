// A request that is not right is refused before it is accepted, with the field, the kind of value and the remedy.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { failure, refusal } from './helpers/outcomes.mjs';
import { exec, nothing, shell } from './helpers/programs.mjs';
import { nameOf, notObject, notText, notTexts, notWhole } from './helpers/values.mjs';

const CODE = 'INVALID_REQUEST';
const withCommand = (command) => ({ command });

/** Checks that each value at its place is refused by execute, run and stream alike, and that nothing is accepted. */
async function refused(t, field, values, request) {
  const engine = newEngine(t);
  for (const value of values) {
    await t.test(nameOf(value), async () => {
      const wrong = request(value);
      await refusal(() => engine.execute(wrong), CODE, field, value);
      const error = await failure(() => engine.run(wrong), CODE);
      assert.equal(error.field, field);
    });
  }
  assert.equal(engine.getStats().total, 0, 'nothing was accepted');
  assert.deepEqual(engine.listExecutions(), []);
}

test('the request itself', (t) => refused(t, 'request', [...notObject, null, undefined], (value) => value));
test('command', (t) => refused(t, 'command', [...notObject, null, undefined], (command) => ({ command })));
test('command.type', (t) =>
  refused(t, 'command.type', [...notText, null, undefined, '', 'Exec', 'aws-cli', '__proto__', 'constructor'], (type) =>
    withCommand({ type, program: 'true' }),
  ));
test('timeoutMs', (t) =>
  refused(t, 'timeoutMs', [...notWhole, 0, -0, 3_600_001, 2 ** 31, 2 ** 32], (timeoutMs) => ({ ...nothing, timeoutMs })));
test('workingDir', (t) =>
  refused(t, 'workingDir', [...notText, '', 'a\0b', new URL('https://host/tmp')], (workingDir) => ({ ...nothing, workingDir })));
test('outputLogPath', (t) => refused(t, 'outputLogPath', notText, (outputLogPath) => ({ ...nothing, outputLogPath })));
test('id', (t) =>
  refused(
    t,
    'id',
    [
      ...notText,
      '',
      'x',
      '../../x',
      '6f9619ff8b864011b42d00c04fc964ff',
      '{6f9619ff-8b86-4011-b42d-00c04fc964ff}',
      '6f9619ff-8b86-4011-b42d-00c04fc964f',
      '6f9619ff-8b86-4011-b42d-00c04fc964fg',
      '6f9619ff-8b86-4011-b42d-00c04fc964ff ',
    ],
    (id) => ({ ...nothing, id }),
  ));
test('env', (t) => refused(t, 'env', notObject, (env) => ({ ...nothing, env })));
test('env.NAME', (t) => refused(t, 'env.NAME', [...notText, 'a\0b'], (NAME) => ({ ...nothing, env: { NAME } })));
test('metadata', (t) => refused(t, 'metadata', notObject, (metadata) => ({ ...nothing, metadata })));
test('metadata.label', (t) => refused(t, 'metadata.label', notText, (label) => ({ ...nothing, metadata: { label } })));
test('metadata.source', (t) => refused(t, 'metadata.source', notText, (source) => ({ ...nothing, metadata: { source } })));
test('metadata.conversationId', (t) =>
  refused(t, 'metadata.conversationId', notText, (conversationId) => ({ ...nothing, metadata: { conversationId } })));
test('metadata.tags', (t) => refused(t, 'metadata.tags', notTexts, (tags) => ({ ...nothing, metadata: { tags } })));
test('metadata.tags[1]', (t) => refused(t, 'metadata.tags[1]', notText, (tag) => ({ ...nothing, metadata: { tags: ['a', tag] } })));
test('metadata.own[0].deep', (t) =>
  refused(t, 'metadata.own[0].deep', [NaN, Infinity, -Infinity, 1n, () => {}, Symbol('s')], (deep) => ({
    ...nothing,
    metadata: { own: [{ deep }] },
  })));

const REQUIRED = [...notText, null, undefined, '', ' ', 'a\0b'];
const OPTIONAL = [...notText, 'a\0b'];
test('command.command of a shell', (t) => refused(t, 'command.command', REQUIRED, (command) => shell(command)));
test('command.shell', (t) => refused(t, 'command.shell', OPTIONAL, (name) => withCommand({ type: 'shell', command: 'true', shell: name })));
test('command.program', (t) => refused(t, 'command.program', REQUIRED, (program) => exec(program)));
test('command.path', (t) => refused(t, 'command.path', REQUIRED, (path) => withCommand({ type: 'script', path })));
test('command.interpreter', (t) =>
  refused(t, 'command.interpreter', [...OPTIONAL, ''], (interpreter) => withCommand({ type: 'script', path: 'a.sh', interpreter })));
test('command.service', (t) =>
  refused(t, 'command.service', [...REQUIRED, '--debug'], (service) => withCommand({ type: 'aws_cli', service, command: 'ls' })));
test('command.command of the AWS CLI', (t) =>
  refused(t, 'command.command', [...REQUIRED, '-x'], (command) => withCommand({ type: 'aws_cli', service: 's3', command })));
test('command.profile', (t) =>
  refused(t, 'command.profile', [...OPTIONAL, '', '--x'], (profile) =>
    withCommand({ type: 'aws_cli', service: 's3', command: 'ls', profile }),
  ));
test('command.region', (t) =>
  refused(t, 'command.region', [...OPTIONAL, '', '--x'], (region) =>
    withCommand({ type: 'aws_cli', service: 's3', command: 'ls', region }),
  ));
for (const command of [
  { type: 'exec', program: 'a' },
  { type: 'script', path: 'a' },
  { type: 'aws_cli', service: 'a', command: 'b' },
]) {
  test(`command.args of ${command.type}`, (t) => refused(t, 'command.args', notTexts, (args) => withCommand({ ...command, args })));
  test(`command.args[2] of ${command.type}`, (t) =>
    refused(t, 'command.args[2]', [...notText, null, undefined, 'a\0b'], (arg) => withCommand({ ...command, args: ['a', '', arg, 'b'] })));
}

test('outputLogPath is an absolute path', async (t) => {
  for (const outputLogPath of ['engine.log', './x', '', 'a\0b', 5]) {
    const error = await failure(() => newEngine(t).run({ ...nothing, outputLogPath }), CODE);
    assert.equal(error.field, 'outputLogPath');
  }
});

test('names that no environment can hold', async (t) => {
  const engine = newEngine(t);
  for (const [name, field] of [
    ['', 'env[""]'],
    ['A=B', 'env["A"]'],
    ['=', 'env[""]'],
  ]) {
    const error = await failure(() => engine.run({ ...nothing, env: { [name]: 'x' } }), CODE);
    assert.equal(error.field, field);
  }
  assert.match((await failure(() => engine.run({ ...nothing, env: { 'A\0B': 'x' } }), CODE)).field, /^env\[/);
  assert.equal((await failure(() => engine.run({ ...nothing, env: { ESCHER_EXECUTION_ID: 'x' } }), CODE)).field, 'env.ESCHER_EXECUTION_ID');
});

test('names are those of the caller, whatever they look like', async (t) => {
  const engine = newEngine(t);
  const cases = [
    [{ env: { my_own_name: 5 } }, 'env.my_own_name'],
    [{ env: { 'my_name with spaces': 5 } }, 'env["my_name with spaces"]'],
    [{ metadata: { my_own_name: 5n } }, 'metadata.my_own_name'],
    [{ metadata: { 'env.my_name': { a_b: 5n } } }, 'metadata["env.my_name"].a_b'],
    [{ working_dir: '/' }, 'working_dir'],
    [{ some_other_field: '/' }, 'some_other_field'],
  ];
  for (const [more, field] of cases) {
    await t.test(field, async () => {
      const error = await failure(() => engine.run({ ...nothing, ...more }), CODE);
      assert.equal(error.field, field, error.message);
    });
  }
});

test('an unknown field is refused, with the nearest known name', async (t) => {
  const engine = newEngine(t);
  const cases = [
    [{ ...nothing, workingdir: '/' }, 'workingdir', 'workingDir'],
    [{ ...nothing, working_dir: '/' }, 'working_dir', 'workingDir'],
    [{ ...nothing, timeout_ms: 5 }, 'timeout_ms', 'timeoutMs'],
    [{ ...nothing, timoutMs: undefined }, 'timoutMs', 'timeoutMs'],
    [{ ...nothing, Env: {} }, 'Env', 'env'],
    [{ ...nothing, metaData: {} }, 'metaData', 'metadata'],
    [{ comand: nothing.command }, 'comand', 'command'],
    [withCommand({ type: 'exec', program: 'a', arg: [] }), 'command.arg', 'args'],
    [withCommand({ type: 'shell', command: 'a', shel: 'b' }), 'command.shel', 'shell'],
    [withCommand({ type: 'script', path: 'a', interpeter: 'b' }), 'command.interpeter', 'interpreter'],
    [withCommand({ type: 'aws_cli', service: 'a', command: 'b', regoin: 'c' }), 'command.regoin', 'region'],
  ];
  for (const [request, field, meant] of cases) {
    await t.test(field, async () => {
      const error = await failure(() => engine.run(request), CODE);
      assert.equal(error.field, field, error.message);
      assert.ok(error.message.includes(`did you mean \`${meant}\``), error.message);
    });
  }
  const far = await failure(() => engine.run({ ...nothing, cwdForTheCommand: '/' }), CODE);
  assert.match(far.message, /cwdForTheCommand.*workingDir/s, 'what is not near gets a list of what there is');
});

test('a field of another command is an unknown field', async (t) => {
  const engine = newEngine(t);
  assert.equal((await failure(() => engine.run(withCommand({ type: 'shell', command: 'ls', args: ['-l'] })), CODE)).field, 'command.args');
  assert.equal((await failure(() => engine.run(withCommand({ type: 'exec', program: 'ls', shell: 'sh' })), CODE)).field, 'command.shell');
});

test('null and undefined mean absent', async (t) => {
  const engine = newEngine(t);
  for (const absent of [null, undefined]) {
    const request = {
      id: absent,
      env: absent,
      workingDir: absent,
      timeoutMs: absent,
      outputLogPath: absent,
      metadata: absent,
      command: { type: 'exec', program: 'true', args: absent },
    };
    assert.equal((await engine.run(request, absent)).status, 'completed');
    assert.equal((await engine.run(withCommand({ type: 'shell', command: 'true', shell: absent }))).status, 'completed');
    assert.deepEqual(
      (await engine.run({ ...nothing, metadata: { label: absent, source: absent, conversationId: absent, tags: absent } })).metadata,
      {},
    );
    const options = {
      signal: absent,
      stdin: absent,
      idleTimeoutMs: absent,
      killGraceMs: absent,
      mergeOutput: absent,
      inheritEnv: absent,
      envAllow: absent,
      envDeny: absent,
      priority: absent,
      groups: absent,
      encoding: absent,
    };
    assert.equal((await engine.run(nothing, options)).status, 'completed');
    assert.equal(await engine.shutdown.call(newEngine(t), absent), undefined);
  }
});

test('null in metadata is a value; undefined is none', async (t) => {
  const engine = newEngine(t);
  const { metadata } = await engine.run({ ...nothing, metadata: { a: null, b: undefined, c: { d: null } } });
  assert.deepEqual(metadata, { a: null, c: { d: null } });
});

test('the limits themselves are right', async (t) => {
  const engine = newEngine(t);
  for (const timeoutMs of [1_000, 3_600_000]) assert.equal((await engine.run({ ...nothing, timeoutMs })).status, 'completed');
  assert.equal((await engine.run({ ...shell('exec sleep 100'), timeoutMs: 1 })).status, 'timeout');
});
