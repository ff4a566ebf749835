// scripts/guard.mjs compares counts: it can fail, and it counts what it says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import { compare, isFine, remarks } from '../benches/guard/compare.mjs';
import { countCalls, countReads } from '../benches/guard/trace.mjs';

const COUNTS = [
  { name: 'calls', title: 'system calls' },
  { name: 'waits', title: 'waits', tolerance: 0.5 },
];
const BASELINE = { calls: 30, waits: 20 };

const verdicts = (measured, { counts = COUNTS, baseline = BASELINE, skipped } = {}) =>
  Object.fromEntries(compare(counts, baseline, measured, skipped).map(({ name, verdict }) => [name, verdict]));
const passes = (...args) => isFine(compare(COUNTS, ...args));

describe('a count', () => {
  test('that grew by more than a tenth fails', () => {
    const rows = compare(COUNTS, BASELINE, { calls: 33.1, waits: 20 });
    assert.equal(isFine(rows), false);
    assert.deepEqual(remarks(rows), ['calls: system calls: was 30, is 33.1 (+10.3 %): find out why']);
  });

  test('that grew by a tenth or less passes, and nothing is said', () => {
    for (const calls of [30, 30.5, 33, 27]) {
      const rows = compare(COUNTS, BASELINE, { calls, waits: 20 });
      assert.deepEqual([isFine(rows), remarks(rows)], [true, []], String(calls));
    }
  });

  test('that shrank passes, and is reported', () => {
    const rows = compare(COUNTS, BASELINE, { calls: 20, waits: 20 });
    assert.equal(isFine(rows), true);
    assert.deepEqual(remarks(rows), ['calls: system calls: was 30, is 20 (-33.3 %): keep it by writing the baseline anew']);
  });

  test('may have a tolerance of its own', () => {
    assert.deepEqual(verdicts({ calls: 30, waits: 30 }), { calls: 'same', waits: 'same' });
    assert.deepEqual(verdicts({ calls: 30, waits: 30.1 }), { calls: 'same', waits: 'grew' });
  });

  test('of nothing may not become something', () => {
    const baseline = { calls: 0, waits: 20 };
    assert.equal(passes(baseline, { calls: 0, waits: 20 }), true);
    const rows = compare(COUNTS, baseline, { calls: 0.5, waits: 20 });
    assert.deepEqual([isFine(rows), remarks(rows)], [false, ['calls: system calls: was 0, is 0.5: find out why']]);
  });

  test('of something may not become nothing: then it is no longer counted', () => {
    for (const calls of [0, -1, 0.004]) {
      const rows = compare(COUNTS, BASELINE, { calls, waits: 20 });
      assert.equal(isFine(rows), false, String(calls));
      assert.deepEqual(remarks(rows), [`calls: system calls: was 30, is ${calls}: is it still counted?`]);
    }
    const small = { calls: 0.16, waits: 20 };
    assert.equal(passes(small, { calls: 0, waits: 20 }), true, 'less than one may be none by chance');
  });

  test('that is no number is an error', () => {
    for (const none of [NaN, Infinity, null, '30']) {
      assert.throws(() => compare(COUNTS, BASELINE, { calls: none, waits: 20 }), /calls was not measured/, String(none));
      assert.throws(() => compare(COUNTS, { ...BASELINE, calls: none }, { calls: 30, waits: 20 }), /the baseline of calls is no number/);
    }
  });

  test('that the baseline does not know fails, and so does one that is no longer counted', () => {
    assert.equal(passes({ calls: 30 }, { calls: 30, waits: 20 }), false);
    assert.equal(passes({ ...BASELINE, opens: 3 }, { calls: 30, waits: 20 }), false);
    assert.deepEqual(verdicts({ calls: 30, waits: 20 }, { baseline: { calls: 30, opens: 3 } }), {
      calls: 'same',
      waits: 'new',
      opens: 'gone',
    });
  });

  test('that cannot be measured here is skipped, and one that was forgotten is an error', () => {
    const rows = compare(COUNTS, BASELINE, { calls: 30 }, ['waits']);
    assert.deepEqual([isFine(rows), rows[1].verdict], [true, 'skipped']);
    assert.throws(() => compare(COUNTS, BASELINE, { calls: 30 }), /waits was not measured/);
  });
});

test('of a trace, the host and its threads count, and a child until it is its program', () => {
  const trace = [
    '10 execve("/usr/bin/node", ["node"], 0x7ffc /* 2 vars */) = 0',
    '10 brk(NULL) = 0x1000',
    // A thread; it says something before the line that reports its creation.
    '10 clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0}, 88 <unfinished ...>',
    '11 set_robust_list(0x7f, 24) = 0',
    '10 <... clone3 resumed> => {parent_tid=[11]}, 88) = 11',
    '11 futex(0x1, FUTEX_WAIT_PRIVATE, 2, NULL <unfinished ...>',
    '10 write(12<anon_inode:[eventfd]>, "\\1", 8) = 8',
    '11 <... futex resumed>) = 0',
    // A child of the thread, which waits until the child is its program.
    '11 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD}, 88 <unfinished ...>',
    '12 setsid() = 12',
    '12 execve("/bin/true", ["true"], 0x7ffc /* 2 vars */ <unfinished ...>',
    '11 <... clone3 resumed>) = 12',
    '12 <... execve resumed>) = 0',
    '12 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY) = 3</etc/ld.so.cache>',
    // Calls of the programs that are started do not count for the host.
    '12 clone(child_stack=NULL, flags=SIGCHLD) = 13',
    '13 setsid() = 13',
    '12 +++ exited with 0 +++',
    // A read that finds nothing is one more look.
    '10 read(14<pipe:[5]>,  <unfinished ...>',
    '11 read(14<pipe:[5]>, "", 65536) = 0',
    '10 <... read resumed>0x7f, 65536) = -1 EAGAIN (Resource temporarily unavailable)',
    '10 --- SIGCHLD {si_signo=SIGCHLD} ---',
    '10 exit_group(0) = ?',
  ].join('\n');
  // Calls: execve, two births, set_robust_list, read, exit_group.
  assert.deepEqual(countCalls(trace), { calls: 6, waits: 3, memory: 1, child: 2 });
});

test('what is counted is made of the versions that the product is made of', () => {
  const versions = (lock) => {
    const text = readFileSync(new URL(lock, import.meta.url), 'utf8');
    return [...text.matchAll(/^name = "(.+)"\nversion = "(.+)"$/gm)].map(([, name, version]) => ({ name, version }));
  };
  const [product, counted] = [versions('../Cargo.lock'), versions('../benches/core/Cargo.lock')];
  // The benches have tools of their own, which may bring another version beside the product's.
  const others = product.filter(({ name }) => {
    const of = (all) => all.filter((one) => one.name === name).map((one) => one.version);
    const [wanted, found] = [of(product), of(counted)];
    return found.length > 0 && !wanted.some((version) => found.includes(version));
  });
  assert.deepEqual(others, [], 'copy Cargo.lock into benches/core and run cargo there');
});

test('files in /proc are counted of the processes that are named, and of no others', () => {
  const trace = [
    '7 openat(AT_FDCWD, "/proc/12/stat", O_RDONLY|O_CLOEXEC) = 9',
    '7 openat(AT_FDCWD, "/proc/12/environ", O_RDONLY|O_CLOEXEC <unfinished ...>',
    '7 openat(AT_FDCWD, "/proc/120/stat", O_RDONLY|O_CLOEXEC) = 9',
    '7 openat(AT_FDCWD, "/proc", O_RDONLY|O_CLOEXEC) = 9',
  ].join('\n');
  assert.equal(countReads(trace, [12]), 2);
});
