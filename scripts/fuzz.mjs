// Fuzzes what output goes through: the splitter, the redactor, the cap.
//
//   node scripts/fuzz.mjs [--seconds 60]
//
// It is what `cargo fuzz run` does with each target, with a stable compiler and without a sanitizer: safe code has nothing for one to find.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments } from './arguments.mjs';

const { values } = readArguments({ options: { seconds: { type: 'number', default: 60 } } });
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = path.join(root, 'fuzz');

if (spawnSync('c++', ['--version']).status !== 0) {
  console.log('SKIPPED: libFuzzer is C++, and there is no `c++` here');
  process.exit(0);
}

// The flags that libFuzzer needs to see where an input leads.
const coverage = ['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares'].map((name) => `-Cllvm-args=-sanitizer-coverage-${name}`);
const flags = ['--cfg', 'fuzzing', '-Cpasses=sancov-module', ...coverage, '-Ccodegen-units=1'];
const host = /host: (\S+)/.exec(spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout)[1];
const target = path.join(root, 'target', 'fuzz');
// If a target is named, build scripts and macros are compiled without the flags.
const build = ['build', '--release', '--target', host, '--target-dir', target];
const env = { ...process.env, CARGO_ENCODED_RUSTFLAGS: flags.join('\x1f') };
let { status } = spawnSync('cargo', build, { cwd: folder, stdio: 'inherit', env });
const targets = ['output', 'redact'];
for (const name of targets) {
  if (status !== 0) break;
  const found = mkdtempSync(path.join(tmpdir(), 'fuzz-'));
  cpSync(path.join(folder, 'corpus', name), found, { recursive: true });
  const seconds = Math.ceil(values.seconds / targets.length);
  const args = [
    found,
    `-max_total_time=${seconds}`,
    '-max_len=600',
    '-timeout=10',
    '-print_final_stats=1',
    '-verbosity=0',
    `-artifact_prefix=${found}/`,
  ];
  const fuzzed = spawnSync(path.join(target, host, 'release', name), args, { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 28 });
  ({ status } = fuzzed);
  process.stderr.write(withoutDictionary(`${fuzzed.stdout}${fuzzed.stderr}`));
  if (status === 0) rmSync(found, { recursive: true });
  else console.error(`the input that failed is in ${found}: mend what it found and add it to fuzz/corpus/${name}`);
}
process.exitCode = status ?? 1;

/** Removes the dictionary that libFuzzer prints at its end, hundreds of words that no flag turns off: they would hide what failed. */
function withoutDictionary(text) {
  return text.replace(/^###### (?:End of r|R)ecommended dictionary\. ######\n|^"(?:[^"\\]|\\.)*" # Uses: \d+\n/gm, '');
}
