// Known vulnerabilities fail the check; a list that cannot be had is a skip here, and a failure in CI.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { checks, verdict } from '../scripts/advisories.mjs';
import { root } from './helpers/snippets.mjs';

const ran = (status, stderr, rest = {}) => ({ status, stdout: '', stderr, ...rest });
const here = { isCI: false };
const inCI = { isCI: true };

test('a vulnerability fails the check, with what the tool reports', () => {
  const found = ran(1, 'error[vulnerability]: a buffer overflow');
  for (const place of [here, inCI]) assert.deepEqual(verdict(found, place), { result: 'FAILED', detail: found.stderr });
});

test('a list that cannot be had is a skip, and in CI a failure', () => {
  for (const text of ['[ERROR] failed to fetch advisory database https://…', 'npm error audit endpoint returned an error']) {
    assert.equal(verdict(ran(1, text), here).result, 'skipped');
    assert.equal(verdict(ran(1, text), inCI).result, 'FAILED');
  }
  const absent = ran(null, '', { error: new Error('spawnSync cargo-deny ENOENT') });
  assert.deepEqual([verdict(absent, here).result, verdict(absent, inCI).result], ['skipped', 'FAILED']);
});

test('every lock file of the repository is checked by its own tool', (t) => {
  const { status, stdout } = spawnSync('git', ['ls-files', '*.lock', '*-lock.json'], { cwd: root, encoding: 'utf8' });
  if (status !== 0) return t.skip('this is no clone of the repository');
  const named = checks(stdout.split('\n').filter(Boolean)).map(({ file, program }) => `${file}: ${program}`);
  for (const wanted of ['Cargo.lock: cargo-deny', 'examples/tauri/Cargo.lock: cargo-deny', 'package-lock.json: npm'])
    assert.ok(named.includes(wanted), wanted);
});
