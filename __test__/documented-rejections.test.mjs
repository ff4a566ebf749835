// The table "Resolves or rejects" of docs/error-handling.md, and what waitForCompletion says of itself, agree with the engine.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { failure } from './helpers/outcomes.mjs';
import { exec, nothing } from './helpers/programs.mjs';
import { page, root, table } from './helpers/snippets.mjs';

async function* failingInput() {
  yield 'a part';
  throw new Error('the disk is gone');
}

/** The codes that reject after a request was accepted, and how to get them; `INTERNAL` is a defect. */
const rejections = [
  ['OUTPUT_SIZE_EXCEEDED', (engine) => engine.run(exec('yes'))],
  ['SPAWN_FAILED', (engine) => engine.run(exec('no-such-program'))],
  ['LOG_FAILED', (engine) => engine.run({ ...nothing, outputLogPath: path.join(root, 'no-such-folder', 'log') })],
  ['INVALID_REQUEST', (engine) => engine.run(exec('cat'), { stdin: failingInput() })],
];

const rows = table(page('docs/error-handling.md'), '## Resolves or rejects');
const [, resultColumn] = Object.keys(rows[0]);
const codeOf = (row) => /rejects `(\w+)`/.exec(row[resultColumn])?.[1];
const promised = readFileSync(path.join(root, 'index.d.ts'), 'utf8');

for (const [code, attempt] of rejections) {
  test(`a run that rejects with ${code} has the status and the reason of its row`, async (t) => {
    const engine = newEngine(t, { maxOutputSizeBytes: 10, oversizedOutputStrategy: 'failExecution' });
    const { result } = await failure(() => attempt(engine), code);
    const row = rows.find((one) => codeOf(one) === code);
    assert.ok(row, `no row says that ${code} rejects`);
    assert.equal(`\`${result.status}\``, row['`status`']);
    assert.equal(result.reason === undefined ? 'absent' : `\`${result.reason}\``, row['`reason`']);
  });
}

test('waitForCompletion names each of these codes, in the types and in the reference', () => {
  const declared = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*waitForCompletion</.exec(promised)[1];
  const described = /### waitForCompletion\(id\)([\s\S]*?)\n### /.exec(page('docs/api.md').text)[1];
  const codes = ['NOT_FOUND', 'INTERNAL', ...rejections.map(([code]) => code)];
  for (const code of codes) for (const text of [declared, described]) assert.ok(text.includes(`\`${code}\``), `${code} in ${text}`);
});
