// A message says what is missing, repeats names as they were given, and carries the error of the system.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, file, folder } from './helpers/programs.mjs';

const unix = { skip: process.platform === 'win32' && 'Windows has other files' };
const entry = fileURLToPath(new URL('../index.js', import.meta.url));
const canUnshare = process.platform === 'linux' && spawnSync('unshare', ['-m', 'true']).status === 0;
const namespaces = { skip: !canUnshare && 'it needs a namespace of its own' };
const shell = (name) => ({ command: { type: 'shell', command: 'true', shell: name } });
const script = (name, interpreter) => ({ command: { type: 'script', path: name, interpreter } });

async function notStarted(engine, request, errno, begin) {
  const error = await failure(() => engine.run(request), 'SPAWN_FAILED');
  assert.equal(error.result.error.errno, errno, error.message);
  assert.ok(error.message.startsWith(begin), `${begin}: ${error.message}`);
  return error.message;
}

test('what is missing is called what it is', unix, async (t) => {
  const engine = newEngine(t);
  const dir = folder(t);
  const plain = file(dir, 'plain', 'x');
  const missing = file(dir, 'missing', '#!/no/such/interpreter\n', 0o755);
  const closed = file(dir, 'closed', `#!${plain}\n`, 0o755);
  const nested = file(dir, 'nested', `#!${missing}\n`, 0o755);
  const ofFolder = file(dir, 'of-folder', `#!${dir}\n`, 0o755);
  const any = file(dir, 'any.sh', 'true', 0o755);
  symlinkSync('loop', path.join(dir, 'loop'));

  const lacks = `interpreter "/no/such/interpreter" of script ${missing} does not exist`;
  for (const request of [exec(missing), { ...exec('missing'), env: { PATH: dir } }, shell(missing), script(missing), exec(nested)])
    await notStarted(engine, request, 'ENOENT', lacks);
  for (const request of [exec(closed)])
    await notStarted(engine, request, 'EACCES', `interpreter "${plain}" of script ${closed} may not be executed`);
  await notStarted(engine, exec(ofFolder), 'EACCES', `interpreter "${dir}" of script ${ofFolder} is a directory`);

  await notStarted(engine, shell('/no/such/shell'), 'ENOENT', 'shell /no/such/shell does not exist');
  await notStarted(engine, shell('no_such_shell'), 'ENOENT', 'shell "no_such_shell" was not found');
  await notStarted(engine, shell(dir), 'EACCES', `shell ${dir} is a directory`);
  assert.doesNotMatch(await notStarted(engine, shell(plain), 'EACCES', `shell ${plain} may not be executed`), /as a script/);
  await notStarted(engine, script(any, '/no/such/interpreter'), 'ENOENT', 'interpreter /no/such/interpreter does not exist');
  await notStarted(engine, script(any, plain), 'EACCES', `interpreter ${plain} may not be executed`);

  await notStarted(engine, exec(`${plain}/program`), 'ENOTDIR', `program ${plain}/program does not exist`);
  await notStarted(engine, shell(`${plain}/shell`), 'ENOTDIR', `shell ${plain}/shell does not exist`);
  await notStarted(engine, script(`${plain}/script`), 'ENOTDIR', `script ${plain}/script`);
  await notStarted(engine, { ...exec('true'), workingDir: `${plain}/dir` }, 'ENOTDIR', `working directory ${plain}/dir`);
  await notStarted(engine, exec(path.join(dir, 'loop')), 'ELOOP', `program ${path.join(dir, 'loop')}`);
});

test('text of the caller is repeated as it is', unix, async (t) => {
  const engine = newEngine(t);
  for (const odd of ['/no/`such_name`/x', '/no/`timeout_ms`/x_y', '/no/ü `a_b`/c_d']) {
    for (const request of [exec(odd), { ...exec('true'), workingDir: odd }, script(odd), shell(odd)]) {
      const { message, result } = await failure(() => engine.run(request), 'SPAWN_FAILED');
      assert.ok(message.includes(odd), message);
      assert.equal(result.error.message, message);
    }
    const { message } = await failure(() => engine.run({ ...exec('true'), outputLogPath: odd }), 'LOG_FAILED');
    assert.ok(message.includes(odd), message);
    assert.match(message, /`outputLogPath`/, 'our names are those of JavaScript');
  }
  for (const odd of ['`such_name`', '`kill_grace_ms`', 'a "`timeout_ms`" b_c']) {
    const { message } = await failure(() => engine.run(exec(odd)), 'SPAWN_FAILED');
    assert.ok(message.includes(JSON.stringify(odd)), message);
    const invalid = await failure(() => engine.run({ ...exec('true'), env: { [`${odd}=`]: 'x' } }), 'INVALID_REQUEST');
    assert.equal(invalid.field, `env[${JSON.stringify(odd)}]`);
    assert.ok(invalid.message.includes(invalid.field), invalid.message);
  }
});

test('an empty field says what to write, and no message has a value', async (t) => {
  const engine = newEngine(t);
  for (const [field, remedy] of [
    ['workingDir', /say where to run/],
    ['outputLogPath', /give the path of a file/],
  ]) {
    for (const empty of ['', ' ']) {
      const error = await failure(() => engine.run({ ...exec('true'), [field]: empty }), 'INVALID_REQUEST');
      assert.equal(error.field, field);
      assert.match(error.message, remedy);
      assert.doesNotMatch(error.message, /what to run/);
    }
  }
  const secret = '--hunter2-value';
  for (const field of ['service', 'command', 'profile', 'region']) {
    const error = await failure(
      () => engine.run({ command: { type: 'aws_cli', service: 's3', command: 'ls', [field]: secret } }),
      'INVALID_REQUEST',
    );
    assert.equal(error.field, `command.${field}`);
    assert.ok(!error.message.includes('hunter2'), error.message);
  }
});

/** Returns the output of a host that starts in a mount namespace of its own, after `prepare` has changed it. */
function hostAfter(prepare, source) {
  const code = `const { ExecutionEngine } = require(${JSON.stringify(entry)}); const engine = new ExecutionEngine();
    (async () => { ${source} })().catch((error) => console.log('UNEXPECTED ' + error.message)).finally(() => process.exit());`;
  const done = spawnSync('unshare', ['-m', 'sh', '-c', `${prepare}; exec "$0" -e "$1"`, process.execPath, code], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return done.stdout.trim() + done.stderr.trim();
}

test('without /dev the message names it', namespaces, () => {
  const source = `const request = { command: { type: 'exec', program: '/bin/cat' } };
    const error = await engine.run(request).catch((error) => error);
    console.log([error.code, error.result.error.errno, error.message.includes('/dev/null'), error.message].join('|'));
    console.log((await engine.run(request, { stdin: 'input' })).stdout);`;
  // Node.js itself opens /dev/null at its start where a standard stream is closed.
  const [first, second] = hostAfter('mkdir -p /tmp; exec 2>&1; mount -t tmpfs none /dev', source).split('\n');
  assert.match(first, /^SPAWN_FAILED\|ENOENT\|true\|/);
  assert.match(first, /mount \/dev, or give `stdin`/);
  assert.equal(second, 'input');
});

test('a file system that may only be read is EROFS', namespaces, (t) => {
  const dir = folder(t);
  const source = `const error = await engine.run({ command: { type: 'exec', program: 'true' }, outputLogPath: ${JSON.stringify(path.join(dir, 'x.log'))} }).catch((error) => error);
    console.log([error.code, error.result.error.errno].join());`;
  mkdirSync(path.join(dir, 'unused'));
  assert.equal(hostAfter(`mount -t tmpfs -o ro none ${dir}`, source), 'LOG_FAILED,EROFS');
});

test('a `logDir` that is no directory is called that', unix, async (t) => {
  const logDir = path.join(folder(t), 'a-file');
  writeFileSync(logDir, '');
  for (const where of [logDir, path.join(logDir, 'below')]) {
    const error = await failure(() => newEngine(t, { logDir: where }).run(exec('true')), 'LOG_FAILED');
    assert.equal(error.errno, 'ENOTDIR');
    assert.match(error.message, /Not a directory.*`logDir` needs a directory/);
  }
});
