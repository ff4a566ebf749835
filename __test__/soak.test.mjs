// A short soak test: a hundredth of what `npm run test:stress` runs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('2 000 short commands leave nothing behind', { skip: process.platform !== 'linux' && 'it looks into /proc' }, () => {
  const soak = fileURLToPath(new URL('../scripts/soak.mjs', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', soak, '--runs', '2000'], {
    encoding: 'utf8',
    timeout: 200_000,
  });
  assert.equal(status, 0, stdout + stderr);
});
