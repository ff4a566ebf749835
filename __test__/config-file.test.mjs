// Settings from a file: TOML or JSON, with errors that name file, line and key.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { ExecutionEngine } from '../index.js';
import { newEngine } from './helpers/engine.mjs';
import { failureNow } from './helpers/outcomes.mjs';
import { folder } from './helpers/programs.mjs';

const committed = (name) => fileURLToPath(new URL(`../tests/settings/${name}`, import.meta.url));
const read = (file) => ExecutionEngine.configFromFile(file);
const write = (t, name, text) => {
  const file = path.join(folder(t), name);
  writeFileSync(file, text);
  return file;
};

test('a TOML file with a table of its own, and a JSON file without', () => {
  const wanted = {
    defaultTimeoutMs: 300_000,
    maxTimeoutMs: 1_800_000,
    streamOutput: true,
    logDir: '/var/log/cloudops',
    maxConcurrentExecutions: 50,
  };
  for (const name of ['execution.toml', 'execution.json']) {
    assert.deepEqual(read(committed(name)), wanted);
    assert.deepEqual(read(pathToFileURL(committed(name))), wanted);
  }
});

test('explicit before environment before file before default', (t) => {
  const file = write(t, 'a.toml', 'kill_grace_ms = 1\ndrain_timeout_ms = 2\nmax_line_bytes = 128\n');
  const env = { EXEC_KILL_GRACE_MS: '3', EXEC_DRAIN_TIMEOUT_MS: '4' };
  const { config } = newEngine(t, { ...read(file), ...ExecutionEngine.configFromEnv(env), killGraceMs: 5 });
  const { killGraceMs, drainTimeoutMs, maxLineBytes, maxTimeoutMs } = config;
  assert.deepEqual(
    { killGraceMs, drainTimeoutMs, maxLineBytes, maxTimeoutMs },
    { killGraceMs: 5, drainTimeoutMs: 4, maxLineBytes: 128, maxTimeoutMs: 3_600_000 },
  );
});

test('words as older files write them', (t) => {
  assert.deepEqual(read(write(t, 'a.json', '{"oversized_output_strategy": "StreamToFile", "truncate_large_output": true}')), {
    oversizedOutputStrategy: 'streamToFile',
    truncateLargeOutput: true,
  });
  assert.deepEqual(read(write(t, 'a.toml', 'oversized_output_strategy = "fail_execution"\nenv_deny = ["my_var"]\n')), {
    oversizedOutputStrategy: 'failExecution',
    envDeny: ['my_var'],
  });
});

test('what options have where they are absent', async (t) => {
  const toml = `groups = ["all"]
terminal = true
[execution.limits]
open_files = 100
[execution.retry]
attempts = 2
on = ["exit", 7]
on_output = ["text", { regex = "(?i)busy" }]
[execution.host_env]
MY_VAR = "x"
`;
  const wanted = {
    groups: ['all'],
    retry: { attempts: 2, backoffMs: 1_000, maxBackoffMs: 30_000, on: ['exit', 7], onOutput: ['text', { regex: '(?i)busy' }] },
    limits: { openFiles: 100 },
    terminal: { columns: 80, rows: 24 },
    hostEnv: { MY_VAR: 'x' },
  };
  const read1 = read(write(t, 'a.toml', `[execution]\n${toml}`));
  assert.deepEqual(read1, wanted);
  assert.deepEqual(newEngine(t, read1).config.retry, wanted.retry);
  for (const [text, field, line] of [
    ['\n[limits]\nopen_files = 0\n', 'limits.open_files', 2],
    ['retry = { attempts = 2, back = 1 }\n', 'retry.back', 1],
    ['host_env = { A = 1 }\n', 'host_env.A', 1],
    ['terminal = "80x24"\n', 'terminal', 1],
  ]) {
    const error = failureNow(() => read(write(t, 'b.toml', text)), 'INVALID_CONFIG');
    assert.equal(error.field, field);
    assert.ok(error.message.endsWith(`, line ${line})`), error.message);
  }
});

test('how trees are ended', (t) => {
  const wanted = { stopSignal: 'SIGINT', stopOrder: 'leader', hostExitGraceMs: 0, allowDetached: true, controlGroups: false };
  assert.deepEqual(
    read(
      write(
        t,
        'a.toml',
        'stop_signal = "SIGINT"\nstop_order = "leader"\nhost_exit_grace_ms = 0\nallow_detached = true\ncontrol_groups = false\n',
      ),
    ),
    wanted,
  );
  assert.deepEqual(
    read(
      write(
        t,
        'a.json',
        '{"stop_signal": "SIGINT", "stop_order": "leader", "host_exit_grace_ms": 0, "allow_detached": true, "control_groups": false}',
      ),
    ),
    wanted,
  );
});

test('tables of others are theirs', (t) => {
  assert.deepEqual(read(write(t, 'a.toml', 'execution.guardian = false\n[server]\nport = 1\n')), { guardian: false });
  assert.deepEqual(read(write(t, 'a.json', '{"server": {"port": 1}, "execution": {"guardian": false}}')), { guardian: false });
});

const REFUSED = [
  ['a.toml', '\n[execution]\nmax_timout_ms = 1\n', 'max_timout_ms', 3, /did you mean `max_timeout_ms`/],
  ['a.toml', 'default_timeout_ms = 2\nmax_timeout_ms = 1\n', 'default_timeout_ms', 1, /2 is above `max_timeout_ms` \(1\)/],
  [
    'a.toml',
    'truncate_large_output = false\noversized_output_strategy = "truncate_with_warning"\n',
    'truncate_large_output',
    1,
    /contradicts/,
  ],
  ['a.toml', 'a = 1\na = 2\n', 'config', 2, /it is not TOML \(duplicate key/],
  ['a.json', '{\n "kill_grace_ms": "5"\n}', 'kill_grace_ms', 2, /it is a string of length 1: give a whole number/],
  ['a.toml', 'stop_signal = "SIGKILL"\n', 'stop_signal', 1, /give "SIGTERM" or "SIGINT"/],
  ['a.toml', '\nstop_order = "group"\n', 'stop_order', 2, /give "tree" or "leader"/],
  ['a.json', '{\n "guardian": yes\n}', 'config', 2, /it is not a JSON object/],
];
for (const [name, text, field, line, reported] of REFUSED) {
  test(`refused: ${JSON.stringify(text)}`, (t) => {
    const file = write(t, name, text);
    const error = failureNow(() => read(file), 'INVALID_CONFIG');
    assert.equal(error.field, field);
    assert.match(error.message, reported);
    assert.ok(error.message.endsWith(`(in ${file}, line ${line})`), error.message);
  });
}

test('a file that is none', (t) => {
  for (const [file, reported] of [
    ['/no/such/file.toml', /\/no\/such\/file\.toml/],
    ['/dev/null', /no regular file/],
    [write(t, 'a.yaml', ''), /neither \.toml nor \.json/],
    ['', /give the path/],
    [7, /give the path/],
    [undefined, /give the path/],
  ]) {
    const error = failureNow(() => read(file), 'INVALID_CONFIG');
    assert.equal(error.field, 'path');
    assert.match(error.message, reported);
  }
});
