// docs/platforms.md is made of what ran.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { countsIn, endOf, skipsIn } from '../scripts/counts.mjs';
import { CROSS_TARGETS, command } from '../scripts/cross.mjs';
import { targets } from '../scripts/packages.mjs';
import { PAGE, merged, page, results } from '../scripts/platforms-page.mjs';
import { isPassed, runSuite } from '../scripts/suite.mjs';

test('the page of the platforms is what the recorded results give', () => {
  assert.equal(readFileSync(PAGE, 'utf8'), page(results()), 'write it anew: node scripts/platforms-page.mjs');
});

test('every result names a target that can be built, a date and a version', () => {
  const names = CROSS_TARGETS.map(({ name }) => name);
  assert.ok(results().length > 0);
  for (const { target, date, version, result } of results()) {
    assert.ok(names.includes(target), target);
    assert.match(date, /^\d{4}-\d\d-\d\d$/);
    assert.match(version, /^\d+\.\d+\.\d+/);
    assert.notEqual(result, '');
  }
});

test('a new result takes the place of an old one of the same check, and all tests that of some', () => {
  const row = (target, check, result = 'passed') => ({ target, check, result });
  const old = [
    row('linux-arm64-gnu', 'JavaScript tests'),
    row('linux-x64-gnu', 'JavaScript tests of: a, b, Node.js 22'),
    row('linux-x64-gnu', 'JavaScript tests of: a, Node.js 24'),
    row('linux-x64-gnu', 'JavaScript tests, Node.js 22'),
  ];
  const names = (ran) => merged(old, ran).map(({ target, check, result }) => `${target} ${check}: ${result}`);
  assert.deepEqual(names([row('linux-x64-gnu', 'JavaScript tests, Node.js 22', 'failed: c')]), [
    'linux-arm64-gnu JavaScript tests: passed',
    'linux-x64-gnu JavaScript tests of: a, Node.js 24: passed',
    'linux-x64-gnu JavaScript tests, Node.js 22: failed: c',
  ]);
  const some = names([row('linux-arm64-gnu', 'JavaScript tests of: a')]);
  assert.deepEqual(some.slice(0, 2), ['linux-arm64-gnu JavaScript tests: passed', 'linux-arm64-gnu JavaScript tests of: a: passed']);
});

test('tests are counted as both test runners print them', () => {
  const ofCargo = 'test result: FAILED. 151 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 9.1s';
  assert.deepEqual(countsIn(`running 154 tests\n${ofCargo}\n`), { passed: 151, failed: 2, skipped: 1 });
  assert.deepEqual(countsIn('ℹ tests 3\nℹ pass 1\nℹ fail 0\nℹ skipped 2\n'), { passed: 1, failed: 0, skipped: 2 });
  assert.deepEqual(countsIn('Segmentation fault'), { passed: 0, failed: 0, skipped: 0 });
});

test('what was stopped at its time limit is no test that failed: the result names the limit', () => {
  const ran = (source, timeout) => spawnSync(process.execPath, ['-e', source], { timeout });
  assert.equal(endOf(ran('setInterval(() => {}, 1000)', 300)), 'stopped at its time limit');
  assert.equal(endOf(ran('process.exit(3)', 60_000)), 'exit code 3');
  assert.equal(endOf(ran('process.kill(process.pid, "SIGKILL")', 60_000)), 'SIGKILL');
  assert.equal(endOf(ran('', 60_000)), '');
  const error = Object.assign(new Error('spawnSync node ETIMEDOUT'), { code: 'ETIMEDOUT' });
  const node = () => ({ status: null, signal: 'SIGTERM', error, stdout: '✔ one (1ms)\n', stderr: '' });
  const outcome = runSuite('pretended', node, { timeoutMs: 1_000, only: [], files: ['slow.test.mjs'], again: false });
  assert.deepEqual([outcome.result, outcome.failed], ['failed: slow (stopped at its time limit)', 0]);
  const empty = () => ({ status: 0, signal: null, stdout: '', stderr: '' });
  assert.equal(
    runSuite('pretended', empty, { timeoutMs: 1, only: [], files: ['a.test.mjs'], again: false }).result,
    'failed: a (no test ran)',
  );
});

test('a skipped test is named with its reason', () => {
  assert.deepEqual(skipsIn('  ﹣ runs under bash (0.2ms) # there is no bash\n✔ runs (1ms)\n'), ['runs under bash: there is no bash']);
});

/** Makes a Node.js whose test files pass or fail as they are named: `once` fails once. */
function pretended() {
  const runs = [];
  const node = (words) => {
    const file = words.at(-1).replace(/^.*[\\/]/, '');
    runs.push(file);
    const fails = file.startsWith('never') || (file.startsWith('once') && runs.filter((one) => one === file).length === 1);
    return { status: fails ? 1 : 0, signal: null, stderr: '', stdout: fails ? 'ℹ pass 1\nℹ fail 1\n' : 'ℹ pass 2\nℹ fail 0\n' };
  };
  return { runs, node };
}

test('a file that fails has one more run after the others, and the result names it', () => {
  const { runs, node } = pretended();
  const files = ['once.test.mjs', 'well.test.mjs'];
  const outcome = runSuite('pretended', node, { timeoutMs: 1, only: [], files, again: true });
  assert.deepEqual(runs, ['once.test.mjs', 'well.test.mjs', 'once.test.mjs']);
  assert.deepEqual([outcome.result, outcome.passed, outcome.failed], ['passed; by a second run: once', 4, 0]);
  assert.ok(isPassed(outcome));
});

test('a file that fails twice has failed; in CI one that fails once', () => {
  const files = ['never.test.mjs', 'once.test.mjs'];
  const twice = runSuite('pretended', pretended().node, { timeoutMs: 1, only: [], files, again: true });
  assert.deepEqual([twice.result, twice.passed, twice.failed], ['failed: never; by a second run: once', 3, 1]);
  const once = runSuite('pretended', pretended().node, { timeoutMs: 1, only: [], files, again: false });
  assert.equal(once.result, 'failed: never, once');
  for (const outcome of [twice, once]) assert.ok(!isPassed(outcome));
});

test('the guardian is compiled apart for a target whose library the compiler does not have', () => {
  const target = targets.find(({ libc }) => libc === 'glibc');
  const rust = (...flags) => ({ flags, env: { PATH: '/rust' } });
  const without = command(target, rust('-Zbuild-std=std'), '/zig', () => '/guardian');
  assert.deepEqual([without.env.ESCHER_GUARDIAN_PROGRAM, ...without.args.slice(-2)], ['/guardian', '--', '-Zbuild-std=std']);
  assert.equal(
    command(target, rust('-Zbuild-std=std'), '/zig', () => undefined),
    undefined,
  );
  // With the library, the build script compiles it.
  const { args, env } = command(target, rust(), '/zig', () => assert.fail('it is not compiled apart'));
  assert.equal(env.ESCHER_GUARDIAN_PROGRAM, process.env.ESCHER_GUARDIAN_PROGRAM);
  assert.equal(env.PATH, `/zig${path.delimiter}/rust`);
  assert.deepEqual(args.slice(-3), ['--cross-compile', '--glibc', '2.17']);
});

test('words that no file has in its name run nothing, and are no result', () => {
  const node = () => assert.fail('nothing is run');
  const options = { timeoutMs: 1, only: ['pipes,stdin'], files: ['pipes.test.mjs', 'stdin.test.mjs'] };
  assert.throws(() => runSuite('pretended', node, options), /no test file has "pipes,stdin" in its name/);
});
