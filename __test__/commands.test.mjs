// Each type of command starts what it says, where it says.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { exec, file, folder, shell } from './helpers/programs.mjs';

const run = async (t, request, options) => (await recordedEngine(t).engine.run(request, options)).stdout;

test('shell: a line with everything a shell may do', async (t) => {
  assert.equal(await run(t, shell('for i in 1 2 3; do echo $i; done | tail -n 1; echo "$((6 * 7))"')), '3\n42\n');
});

test('shell: by path or by name on the PATH of the child', async (t) => {
  const dir = folder(t);
  file(dir, 'own-shell', '#!/bin/sh\necho "own: $1 $2"\n', 0o755);
  assert.equal(await run(t, { command: { type: 'shell', command: 'echo $0', shell: '/bin/sh' } }), '/bin/sh\n');
  const named = { command: { type: 'shell', command: 'line', shell: 'own-shell' }, env: { PATH: dir } };
  assert.equal(await run(t, named), 'own: -c line\n');
});

test('exec: no shell ever sees the arguments', async (t) => {
  const args = ['%s|', '$HOME', '*', '; exit 1', '"', "'", '', 'a b', '-n'];
  assert.equal(
    await run(t, exec('printf', ...args)),
    args
      .slice(1)
      .map((arg) => `${arg}|`)
      .join(''),
  );
});

test('exec: without arguments', async (t) => {
  assert.match(await run(t, { command: { type: 'exec', program: 'pwd' } }), /^\/.*\n$/);
});

test('exec: a relative path starts at workingDir', async (t) => {
  const dir = folder(t);
  file(dir, 'tool', '#!/bin/sh\necho "tool in $PWD"\n', 0o755);
  assert.equal(await run(t, { ...exec('./tool'), workingDir: dir }), `tool in ${dir}\n`);
});

test('script: its #! line, its extension or a named interpreter', async (t) => {
  const dir = folder(t);
  file(dir, 'by-line', '#!/bin/sh -e\necho "line $-: $*"\n');
  file(dir, 'by-extension.sh', 'echo "extension: $*"\n');
  file(dir, 'by-name', 'console.log("named: " + process.argv.slice(2).join(" "))\n');
  const script = (name, interpreter) => ({ command: { type: 'script', path: name, interpreter, args: ['a b', '$c'] }, workingDir: dir });
  assert.match(await run(t, script('by-line')), /^line .*e.*: a b \$c\n$/);
  assert.equal(await run(t, script(path.join(dir, 'by-extension.sh'))), 'extension: a b $c\n');
  assert.equal(await run(t, script('./by-name', process.execPath)), 'named: a b $c\n');
});

test('aws_cli: the pager is off, options come last', async (t) => {
  const dir = folder(t);
  file(dir, 'aws', '#!/bin/sh\nprintf "%s|" "$@"; echo "pager=[$AWS_PAGER]"\n', 0o755);
  const command = { type: 'aws_cli', service: 's3', command: 'ls', args: ['s3://bucket/a b'], profile: 'dev', region: 'eu-west-1' };
  assert.equal(
    await run(t, { command, env: { PATH: `${dir}:/usr/bin:/bin` } }),
    's3|ls|s3://bucket/a b|--profile|dev|--region|eu-west-1|pager=[]\n',
  );
});

test('a missing working directory is that of the host', async (t) => {
  assert.equal(await run(t, exec('pwd')), `${process.cwd()}\n`);
});

test('the command is shown as a person would type it', async (t) => {
  const { engine, events } = recordedEngine(t);
  const { id } = await engine.run(exec('echo', 'plain', 'two words', "it's", ''));
  const [started] = events.of(id);
  assert.equal(started.type, 'started');
  assert.equal(started.command, `echo plain 'two words' 'it'\\''s' ''`);
  assert.equal(engine.listExecutions()[0].command, started.command);
});
