// The Tauri example: its format, its build, and its commands over the mocked IPC of Tauri. Compiling Tauri takes minutes the
// first time, and its libraries are not on every machine, so this is no part of `npm test`.
//
//   npm run test:tauri
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments } from './arguments.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const manifest = ['--manifest-path', path.join('examples', 'tauri', 'Cargo.toml')];

/** The libraries that Tauri links with on Linux, by the names of pkg-config, and their packages on Debian. */
const LIBRARIES = { 'gtk+-3.0': 'libgtk-3-dev', 'webkit2gtk-4.1': 'libwebkit2gtk-4.1-dev' };

process.exitCode = main();

function main() {
  readArguments({});
  const missing = missingPackages();
  if (missing.length > 0) {
    const line = '!'.repeat(100);
    const what = process.env.CI ? 'MISSING' : 'SKIPPED, nothing was tested';
    console.error(`${line}\n!! ${what}. Not here: ${missing.join(', ')}. Install: apt-get install ${missing.join(' ')}\n${line}`);
    return process.env.CI ? 1 : 0;
  }
  const steps = [
    ['fmt', '--check', ...manifest],
    ['test', '--locked', ...manifest],
  ];
  for (const args of steps) {
    console.log(`\n━━ cargo ${args.join(' ')}`);
    if (spawnSync('cargo', args, { cwd: root, stdio: 'inherit' }).status !== 0) return 1;
  }
  return 0;
}

/** Returns the missing packages; on other systems everything that Tauri needs is part of the system. */
function missingPackages() {
  if (process.platform !== 'linux') return [];
  const has = (args) => spawnSync('pkg-config', args, { stdio: 'ignore' }).status === 0;
  if (!has(['--version'])) return ['pkg-config', ...Object.values(LIBRARIES)];
  return Object.keys(LIBRARIES)
    .filter((library) => !has(['--exists', library]))
    .map((library) => LIBRARIES[library]);
}
