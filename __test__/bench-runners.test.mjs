// The contenders of the benchmark do the same work: their children have the same standard input. And sizes are those of what is published.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { placeOf } from '../benches/harness/runtimes.mjs';
import { contenders } from '../benches/workloads/short-commands.mjs';
import { sizeOf } from '../benches/workloads/package.mjs';
import { open } from '../benches/workloads/runners.mjs';
import { folder } from './helpers/programs.mjs';

/** `execFile` has no option for it. The others run in Node.js, and some in a newer one than this. */
const withOption = Object.keys(open).filter((name) => name !== 'execFile' && placeOf(contenders[name]).runtime === 'node');

/** This one finds no shell for its lines where there is no bash. */
const hasBash = spawnSync('bash', ['-c', 'true']).status === 0;

test('no child of a contender that can do without has a pipe for standard input', { skip: process.platform === 'win32' }, async (t) => {
  assert.ok(withOption.length >= 5, withOption.join());
  const program = path.join(folder(t), 'has-no-input');
  writeFileSync(program, '#!/bin/sh\n[ /dev/stdin -ef /dev/null ]\n', { mode: 0o700 });
  for (const name of withOption) {
    if (name === 'zx' && !hasBash) {
      t.diagnostic('SKIPPED zx: bash is not installed');
      continue;
    }
    const { one, close } = await open[name](program, 1);
    // It throws for every exit code but 0.
    await assert.doesNotReject(one(), name);
    await close?.();
  }
});

const noNpm = spawnSync('npm', ['--version']).status !== 0 && 'npm is not installed';

test('the size of a package is that of the files that npm publishes', { skip: noNpm }, () => {
  const [addon, whole] = ['engine (addon)', 'engine'].map((contender) => sizeOf(contender).value);
  assert.ok(addon > 1 && whole > addon + 0.1 && whole < addon + 3, `${addon} and ${whole} MB`);
});
