// examples/plan.mjs: in a log each change is a line; on a terminal each step has one line, drawn again and again.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { root } from './helpers/snippets.mjs';
import { folder } from './helpers/programs.mjs';

const example = path.join(root, 'examples', 'plan.mjs');
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;

test('in a log', (t) => {
  const picture = path.join(folder(t), 'plan.svg');
  const { status, stdout, stderr } = spawnSync(process.execPath, [example, picture], { encoding: 'utf8', timeout: 60_000 });
  assert.deepEqual([status, stderr], [0, ''], stdout);
  assert.match(stdout, /✔ release/);
  assert.equal(stdout.match(/↻ upload/g).length, 2);
  assert.match(stdout, /✘ check the links .*exit code 1/);
  assert.match(stdout, /– publish the docs +step 6 did not complete/);
  assert.match(stdout, /failed in .*: 6 completed, 1 failed, 1 skipped, 2 retries/);
  assert.doesNotMatch(stdout, /\x1b/, 'no escape sequence in a log');
  assert.match(readFileSync(picture, 'utf8'), /^<svg [\s\S]*<\/svg>\n$/);
});

test('on a terminal', { skip: !hasScript }, () => {
  const { status, stdout } = spawnSync('script', ['-qec', `'${process.execPath}' '${example}'`, '/dev/null'], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, NO_COLOR: '1' },
  });
  assert.equal(status, 0, stdout);
  const frames = stdout.split('\x1b[8A');
  assert.ok(frames.length > 10, 'it is drawn again and again');
  for (const frame of frames.slice(1, -1)) assert.equal(frame.match(/\x1b\[2K/g).length, 8, 'each frame has a line for each step');
  assert.match(frames.at(-1), /✔ upload[\s\S]*✔ release[\s\S]*✘ check the links[\s\S]*– publish the docs/);
});
