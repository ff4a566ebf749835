// Makes `dist`, and builds the addon into the project's folder, unless that is newer than everything it is made from.
//   --force    builds it anyway; so does anything else that is given, which goes to `napi build`
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { BUNDLE, bundle } from './bundle.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const given = process.argv.slice(2);
const passedOn = given.filter((word) => word !== '--force');

/** The newest change below a file or folder, in ms. */
function newest(entry) {
  const stat = statSync(entry);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(entry).map((name) => newest(path.join(entry, name))));
}

mkdirSync(path.join(root, path.dirname(BUNDLE)), { recursive: true });
const { code, map } = bundle();
writeFileSync(path.join(root, BUNDLE), code);
writeFileSync(path.join(root, `${BUNDLE}.map`), map);

const inputs = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'package.json', 'scripts/cargo-addon'].map((name) => path.join(root, name));
const built = readdirSync(root).filter((name) => name.startsWith('execution-engine.') && name.endsWith('.node'));
const isFresh = built.some((name) => statSync(path.join(root, name)).mtimeMs > Math.max(...inputs.map(newest)));

if (isFresh && given.length === 0) {
  console.log('the addon is up to date');
} else {
  const cli = path.join(root, 'node_modules', '@napi-rs', 'cli', 'dist', 'cli.js');
  const args = ['build', '--platform', '--release', '--features', 'node', '--no-js', '--dts', 'binding.d.ts', ...passedOn];
  // On Windows nothing but a program can stand for cargo: there the addon is larger.
  const CARGO = process.platform === 'win32' ? undefined : path.join(root, 'scripts', 'cargo-addon');
  const { status, error } = spawnSync(process.execPath, [cli, ...args], { cwd: root, stdio: 'inherit', env: { ...process.env, ...(CARGO && { CARGO, ESCHER_CARGO: process.env.CARGO ?? 'cargo' }) } });
  if (error || status !== 0) {
    console.error('the addon was not built: Rust 1.88 or newer (cargo) and a C linker are needed');
    process.exit(status || 1);
  }
}
