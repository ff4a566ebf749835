// Checks for known vulnerabilities in what the lock files name: of crates by cargo-deny, of npm packages by `npm audit`.
//
//   npm run test:advisories
//
// Both fetch their lists from outside. Where a list cannot be had, its check is skipped with the reason; where `CI` is set, that fails.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments } from './arguments.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** The messages of the tools when they got no list. */
const UNREACHABLE = /failed to fetch advisory database|failed to acquire|audit endpoint returned an error|EAI_AGAIN|ENOTFOUND/;

/** @typedef {{ status: number | null, stdout: string, stderr: string, error?: Error }} Ran */

/**
 * Returns the meaning of a run of a tool.
 *
 * @param {Ran} ran
 * @param {{ isCI: boolean }} options
 * @returns {{ result: 'ok' | 'skipped' | 'FAILED', detail: string }}
 */
export function verdict({ status, stdout, stderr, error }, { isCI }) {
  const said = `${stdout}${stderr}`.trim();
  if (status === 0) return { result: 'ok', detail: '' };
  const reason = error ? `it did not run: ${error.message}` : UNREACHABLE.test(said) && 'its list of vulnerabilities cannot be had';
  if (reason && !isCI) return { result: 'skipped', detail: reason };
  return { result: 'FAILED', detail: reason ? `${reason}\n${said}` : said };
}

/** Returns the checks: one for each lock file in the repository. */
export function checks(lockFiles) {
  return lockFiles.map((file) => {
    const folder = path.dirname(file);
    return path.basename(file) === 'Cargo.lock'
      ? {
          file,
          program: 'cargo-deny',
          args: ['--manifest-path', path.join(folder, 'Cargo.toml'), '--locked', '--config', 'deny.toml', 'check', 'advisories'],
        }
      : { file, program: 'npm', args: ['audit', '--audit-level=moderate', '--prefix', folder] };
  });
}

function main() {
  readArguments({});
  const listed = spawnSync('git', ['ls-files', '*Cargo.lock', '*package-lock.json'], { cwd: root, encoding: 'utf8' });
  const lockFiles = listed.stdout.split('\n').filter(Boolean);
  if (lockFiles.length === 0) throw new Error(`git names no lock file: ${listed.stderr}`);
  const rows = checks(lockFiles).map(({ file, program, args }) => {
    const ran = spawnSync(program, args, { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' });
    const { result, detail } = verdict(ran, { isCI: Boolean(process.env.CI) });
    if (detail) console.error(`${result === 'skipped' ? 'SKIPPED: ' : ''}${program}, ${file}: ${detail}`);
    return { 'lock file': file, tool: program, result };
  });
  console.table(rows);
  process.exitCode = rows.some(({ result }) => result === 'FAILED') ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
