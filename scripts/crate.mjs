// Checks the Rust crate as others get it.
//   package   the package has the files that it should have and no others, and its doc tests pass where it is unpacked
//   semver    the public API has no change that its version does not allow, compared with the last release (tag v<version>)
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments } from './arguments.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Folders that are packed as they are, and single files. */
const FOLDERS = ['src', 'docs'];
const FILES = ['CHANGELOG.md', 'LICENSE', 'README.md', 'build.rs', 'examples/standalone.rs', 'tests/settings/service.toml'];
/** The files that Cargo adds. */
const MADE = ['.cargo_vcs_info.json', 'Cargo.lock', 'Cargo.toml', 'Cargo.toml.orig'];

const parts = { package: checkPackage, semver: checkVersion };
const { positionals } = readArguments({ words: { name: 'part', of: Object.keys(parts), least: 1, most: 1 } });
process.exitCode = parts[positionals[0]]() ? 0 : 1;

function checkPackage() {
  const listed = output('cargo', ['package', '--list', '--allow-dirty', '--locked']);
  if (listed === undefined || !hasTheRightFiles(listed.split('\n').filter(Boolean))) return false;
  if (!run('cargo', ['package', '--no-verify', '--allow-dirty', '--locked'])) return false;
  const [, name] = /^name = "(.+)"$/m.exec(readFileSync(path.join(root, 'Cargo.toml'), 'utf8'));
  const packed = `${name}-${version()}`;
  // Away from the project, so that nothing of it is found by chance.
  const folder = mkdtempSync(path.join(os.tmpdir(), 'packed-crate-'));
  try {
    const cwd = path.join(folder, packed);
    const file = path.join(targetFolder(), 'package', `${packed}.crate`);
    return run('tar', ['-xf', file, '-C', folder]) && run('cargo', ['test', '--doc', '--locked', '--target-dir', targetFolder()], cwd);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function hasTheRightFiles(listed) {
  const inFolder = (folder) => {
    const names = readdirSync(path.join(root, folder), { recursive: true });
    return names.map((name) => path.join(folder, name)).filter((file) => statSync(path.join(root, file)).isFile());
  };
  const wanted = new Set([...FILES, ...FOLDERS.flatMap(inFolder).map((file) => file.replaceAll(path.sep, '/'))]);
  const missing = [...wanted].filter((file) => !listed.includes(file));
  const tooMany = listed.filter((file) => !wanted.has(file) && !MADE.includes(file));
  for (const file of missing) console.error(`not in the package: ${file}`);
  for (const file of tooMany) console.error(`in the package, and not wanted there: ${file}`);
  if (missing.length + tooMany.length > 0) console.error('see `include` in Cargo.toml and the lists in scripts/crate.mjs');
  return missing.length + tooMany.length === 0;
}

function checkVersion() {
  // Where nothing differs from a release, such as in its own workflow, that is compared with the one before.
  const isCommitted = output('git', ['status', '--porcelain'], { quiet: true }) === '';
  const since = ['describe', '--tags', '--abbrev=0', '--match', 'v[0-9]*', isCommitted ? 'HEAD^' : 'HEAD'];
  const tag = output('git', since, { quiet: true })?.trim();
  if (!tag) return skip('no release is tagged yet (v<version>), so there is no API to compare with', true);
  if (output('cargo', ['semver-checks', '--version'], { quiet: true }) === undefined) {
    return skip(
      'there is no cargo-semver-checks here. Install it: cargo install --locked cargo-semver-checks',
      !(process.env.CI && process.platform === 'linux'),
    );
  }
  console.log(`compared with ${tag}`);
  return run('cargo', ['semver-checks', '--baseline-rev', tag, '--only-explicit-features', '--features', 'schema,server-feedback']);
}

/** Reports a skipped check with a clear message, so that it is not taken for a check that passed. */
function skip(why, passes) {
  const line = '!'.repeat(100);
  console.log(`${line}\n!! ${passes ? 'SKIPPED' : 'MISSING'}: ${why}\n${line}`);
  return passes;
}

function version() {
  return /^version = "(.+)"$/m.exec(readFileSync(path.join(root, 'Cargo.toml'), 'utf8'))[1];
}

function targetFolder() {
  return process.env.CARGO_TARGET_DIR ?? path.join(root, 'target');
}

function run(program, args, cwd = root) {
  console.log(`$ ${program} ${args.join(' ')}`);
  const { status, error } = spawnSync(program, args, { cwd, stdio: 'inherit' });
  if (error) console.error(`${program} did not run: ${error.message}`);
  return status === 0;
}

function output(program, args, { quiet = false } = {}) {
  const { status, stdout } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', quiet ? 'ignore' : 'inherit'],
  });
  return status === 0 ? stdout : undefined;
}
