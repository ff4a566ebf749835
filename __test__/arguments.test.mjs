// Arguments, variables and input arrive exactly as they were given.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { recordedEngine } from './helpers/engine.mjs';
import { exec, folder } from './helpers/programs.mjs';

/** Returns a source of random numbers that are the same in every run. */
function randomizer(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const SPECIAL = [
  '$(touch pwn)',
  '`touch pwn`',
  '; touch pwn',
  '&& touch pwn',
  '| touch pwn',
  '> pwn',
  '"',
  "'",
  '\\',
  '*',
  '?',
  '~',
  '$HOME',
  '%PATH%',
  '!',
  '\n',
  '\r\n',
  '\t',
  ' ',
  '-',
  '--',
  '-n',
  '{a,b}',
  '[a-z]',
  '#',
  '\u0007',
  '\u001b[31m',
  '\u0080',
  '\uFFFD',
  '\uFEFF',
  '\u2028',
  'é',
  '日本',
  '😀',
  '\u{10FFFF}',
];

function randomText(random) {
  let text = '';
  for (let parts = random(6); parts > 0; parts -= 1) {
    const kind = random(4);
    if (kind === 0) text += SPECIAL[random(SPECIAL.length)];
    else if (kind === 1) text += String.fromCharCode(1 + random(0x7f));
    else if (kind === 2) text += String.fromCharCode(0x80 + random(0xd800 - 0x80));
    else text += String.fromCodePoint(0x10000 + random(0x100000));
  }
  return text;
}

test('ten thousand random arguments come back as they were', async (t) => {
  const { engine } = recordedEngine(t, { maxConcurrentExecutions: 4, streamOutput: false });
  const random = randomizer(20_240_601);
  const dir = folder(t);
  const batch = async () => {
    const args = Array.from({ length: 100 }, () => randomText(random));
    const { stdout } = await engine.run({ ...exec('/usr/bin/printf', '%s\\0', ...args), workingDir: dir });
    assert.deepEqual(stdout.split('\0').slice(0, -1), args);
  };
  await Promise.all(Array.from({ length: 100 }, batch));
  assert.ok(!existsSync(path.join(dir, 'pwn')), 'no shell saw them');
});

test('random variables come back as they were', async (t) => {
  const { engine } = recordedEngine(t, { streamOutput: false });
  const random = randomizer(7);
  const env = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`ENGINE_${index}`, randomText(random)]));
  const { stdout } = await engine.run(
    { ...exec(process.execPath, '-e', 'console.log(JSON.stringify(process.env))'), env },
    { inheritEnv: 'core' },
  );
  const seen = JSON.parse(stdout);
  for (const [name, value] of Object.entries(env)) assert.equal(seen[name], value, name);
});

test('random input and random metadata come back as they were', async (t) => {
  const { engine } = recordedEngine(t);
  const random = randomizer(99);
  const text = Array.from({ length: 2_000 }, () => randomText(random)).join('\0');
  const metadata = {
    label: randomText(random),
    tags: Array.from({ length: 50 }, () => randomText(random)),
    own: { [randomText(random)]: [randomText(random), 1.5, -0.25, 1e300, 2 ** 53, null, true] },
  };
  const result = await engine.run({ ...exec('cat'), metadata }, { stdin: text });
  assert.ok(result.stdout === text);
  assert.deepEqual(result.metadata, metadata);
});
