// A script that gets a wrong argument names it and the right ones in one line, does nothing, and ends with exit code 2.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { root } from './helpers/snippets.mjs';

/** The scripts that people start, by their names, with wrong arguments and what is said of these. @type {Record<string, [string[], RegExp][]>} */
const WRONG = {
  addon: [
    [[], /no FILE of an addon was given/],
    [['--glib', '2.17'], /no option --glib.*--glibc VERSION/],
    [['no-such.node'], /no file no-such\.node/],
  ],
  advisories: [[['--all'], /no option --all; it has no options/]],
  build: [[['--glibc'], /--glibc needs a version such as 2\.17/]],
  consumers: [
    [['--tool', 'webpack'], /no option --tool.*--only TEXT, --record/],
    [['--only'], /--only needs a value/],
    [['--only', '--record'], /--only needs a value/],
    [['--only', 'parcel'], /no row has "parcel".*install with npm.*bundle with webpack 5.*publint/],
    [['--only', 'webpack', '--record'], /--record.*install with, bundle with/],
    [['webpack'], /not clear what webpack means.*--only TEXT/],
  ],
  crate: [
    [[], /no part was given; there are package, semver/],
    [['pack'], /no part "pack"; there are package, semver/],
  ],
  cross: [
    [['linux-x64-glibc'], /no target "linux-x64-glibc".*linux-x64-gnu.*win32-x64-gnu/],
    [['--all'], /no option --all/],
  ],
  'cross-test': [
    [['alpine'], /no system "alpine"; there are musl, arm64, windows/],
    [['--only'], /--only needs a value/],
    [['musl', '--only', 'no-such-test'], /no test file has "no-such-test"/],
    [['--counts'], /--counts is for arm64 alone/],
    [['--build-all'], /no option --build-all.*--built/],
  ],
  decapitate: [
    [['--rounds', 'many'], /--rounds needs a whole number from 1.*"many"/],
    [['--times', '1'], /no option --times; the options are --rounds N, --trees N, --guardian-first\n$/],
  ],
  faults: [[['--only', 'no-such-call'], /no call has no-such-call.*pipe2/]],
  floods: [[['--seconds', '0'], /--seconds needs a whole number from 1/]],
  fuzz: [[['--seconds=1.5'], /--seconds needs a whole number from 1/]],
  guard: [[['--write'], /no option --write; .*--update/]],
  packages: [
    [['check'], /not clear what check means; .*--check/],
    [['--checks'], /no option --checks; .*--check/],
  ],
  platforms: [
    [[], /no part was given; there are lint, windows/],
    [['linux'], /no part "linux"; there are lint, windows/],
    [['lint', 'windows'], /not clear what windows means/],
  ],
  'platforms-page': [[['--check'], /no option --check/]],
  registry: [[['one'], /no folder .* was given/]],
  release: [
    [[], /no action was given; there are check, smoke, version, publish/],
    [['check', 'all'], /not clear what all means/],
    [['pack'], /no action "pack"; there are check, smoke/],
    [['version', 'v1.2.3'], /not clear what v1\.2\.3 means: give one action of check, .*--tag TAG/],
    [['version', '--tag'], /--tag needs a value: --tag TAG/],
    [['publish', '--try'], /no option --try.*--dry-run/],
    [['check', '--all=yes'], /--all has no value/],
  ],
  runtimes: [
    [['--only', 'nodejs'], /no runtime has "nodejs".*Node\.js 20.*Deno 2/],
    [['--only', 'bun', '--only', 'safari'], /no runtime has "safari"/],
    [['--test', 'no-such-test'], /no test file has "no-such-test"/],
    [['--fast'], /no option --fast.*--quick/],
    [['bun'], /not clear what bun means/],
  ],
  soak: [[['--runs', '-5'], /--runs needs a value: --runs N/]],
  stress: [[['quick'], /not clear what quick means.*--quick/]],
  tauri: [[['--record'], /no option --record/]],
  test: [
    [['--only', 'no-such-step'], /no step "no-such-step": give one of/],
    [['--continue'], /no option --continue.*--keep-going/],
  ],
  types: [[['--save'], /no option --save.*--record/]],
  version: [
    [[], /no version such as 1\.2\.3 was given/],
    [['next'], /next is no version/],
    [['v1'], /v1 is no version/],
    [['1.2.3', '1.2.4'], /not clear what 1\.2\.4 means/],
  ],
  watch: [[['no-such-test'], /there is no .*no-such-test/]],
};

describe('a wrong argument of', () => {
  for (const [name, calls] of Object.entries(WRONG)) {
    for (const [args, said] of calls) {
      test(`${name}.mjs ${args.join(' ')}`, () => {
        const { status, stdout, stderr } = spawnSync(process.execPath, [path.join('scripts', `${name}.mjs`), ...args], {
          cwd: root,
          encoding: 'utf8',
          timeout: 60_000,
          // Without programs, a script that understands its arguments can do nothing.
          env: { ...process.env, PATH: '' },
        });
        assert.match(stderr, said);
        assert.deepEqual([status, stdout, stderr.trimEnd().split('\n').length], [2, '', 1], stderr);
      });
    }
  }
});

test('no script reads its arguments in another way', () => {
  // What is built, and the flags of a runtime, are for other programs; these tests call a part of the script.
  const passesOn = ['arguments.mjs', 'build.mjs', 'runtime-smoke.mjs'];
  for (const name of readdirSync(path.join(root, 'scripts')).filter((file) => file.endsWith('.mjs') && !passesOn.includes(file))) {
    const text = readFileSync(path.join(root, 'scripts', name), 'utf8');
    assert.doesNotMatch(text, /parseArgs|argv\.(slice|includes|indexOf)|argv\[[^1]\]/, name);
    if (/readArguments\(/.test(text)) assert.ok(WRONG[name.replace('.mjs', '')], `${name} is not tested above`);
  }
});

test('a module that other scripts import reads no arguments for them', () => {
  const scripts = readdirSync(path.join(root, 'scripts'))
    .filter((file) => file.endsWith('.mjs'))
    .map((name) => ({ name, text: readFileSync(path.join(root, 'scripts', name), 'utf8') }));
  const isImported = ({ name }) => name !== 'arguments.mjs' && scripts.some(({ text }) => text.includes(`from './${name}'`));
  const readers = scripts.filter((script) => isImported(script) && / readArguments\(/.test(script.text));
  assert.ok(readers.length > 3, 'there are some');
  for (const { name, text } of readers) {
    const before = text.slice(0, text.search(/ readArguments\(/)).split('\n');
    const within = before.findLast((line) => /^[a-z]/.test(line) && line.endsWith('{'));
    assert.match(within, /^function (main|run)\(\)|^if \(process\.argv\[1\] === /, `${name} reads them in: ${within}`);
  }
});
