// Output beyond the cap is cut, with a note that says how much; events are not.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { shell } from './helpers/programs.mjs';

const MARK = /\n\[\.\.\. output truncated: (\d+) of (\d+) bytes omitted \.\.\.\]\n/;

for (const [truncateKeep, wanted] of [
  ['head', ['0123456789', '']],
  ['tail', ['', 'qrstuvwxyz']],
  ['both', ['01234', 'vwxyz']],
]) {
  test(`truncateKeep: ${truncateKeep}`, async (t) => {
    const { engine, events } = recordedEngine(t, { maxOutputSizeBytes: 10, truncateKeep });
    const text = '0123456789abcdefghijklmnopqrstuvwxyz';
    const { id, stdout, stderr, stdoutBytes, stdoutTruncated, stderrTruncated } = await engine.run(
      shell(`printf ${text}; printf 0123456789 >&2`),
    );
    assert.deepEqual(stdout.split(MARK), [wanted[0], '26', '36', wanted[1]]);
    assert.deepEqual(
      { stderr, stdoutBytes, stdoutTruncated, stderrTruncated },
      { stderr: '0123456789', stdoutBytes: 36, stdoutTruncated: true, stderrTruncated: false },
    );
    assert.deepEqual(events.lines(id), [text]);
  });
}

test('the cap is exact', async (t) => {
  const { engine } = recordedEngine(t, { maxOutputSizeBytes: 1_000 });
  for (const [length, cut] of [
    [999, false],
    [1_000, false],
    [1_001, true],
  ]) {
    const { stdout, stdoutTruncated, stdoutBytes } = await engine.run(shell(`printf '%0${length}d' 0`));
    assert.deepEqual([stdoutTruncated, stdoutBytes], [cut, length]);
    assert.equal(MARK.test(stdout), cut);
  }
});

test('a character across the cut is left out whole', async (t) => {
  const { engine } = recordedEngine(t, { maxOutputSizeBytes: 10, truncateKeep: 'both' });
  const { stdout } = await engine.run(shell("printf 'abc€€€€€xyz'"));
  const [head, omitted, total, tail] = stdout.split(MARK);
  assert.deepEqual([head, tail], ['abc', 'xyz']);
  assert.equal(Buffer.byteLength(head + tail) + Number(omitted), Number(total));
});

test('a cap of 0 keeps nothing', async (t) => {
  const { engine } = recordedEngine(t, { maxOutputSizeBytes: 0 });
  const { stdoutTruncated, stdoutBytes, stderr } = await engine.run(shell('echo hi'));
  assert.deepEqual([stdoutTruncated, stdoutBytes, stderr], [true, 3, '']);
});
