// The version of a release, which several files name.
//
//   node scripts/version.mjs 1.2.3      writes it into each of them, dates the changelog, and writes the packages of the platforms anew
//
// `node scripts/release.mjs version` shows whether the files agree.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments, refuse } from './arguments.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const CHANGELOG = 'CHANGELOG.md';
/** The heading of what the next release will have. */
const NEXT = '## [Unreleased]';
const VERSION = /^\d+\.\d+\.\d+(-[\w.-]+)?$/;
const CRATE = /(?<=^name = "escher-execution-engine"\nversion = ").*(?="$)/m;

/** Where each file has the version. `package.json` is the first: the others are compared with it. @type {Record<string, RegExp[]>} */
export const PLACES = {
  'package.json': [/(?<=^ {2}"version": ").*(?=",?$)/m],
  'package-lock.json': [/(?<=^ {2}"version": ").*(?=",?$)/m, /(?<=^ {4}"": \{\n(?: {6}.*\n)*? {6}"version": ").*(?=",?$)/m],
  'Cargo.toml': [/(?<=^\[package\]\n(?:[^[].*\n)*?version = ").*(?="$)/m],
  'Cargo.lock': [CRATE],
  'benches/core/Cargo.lock': [CRATE],
  'examples/tauri/Cargo.lock': [CRATE],
  'fuzz/Cargo.lock': [CRATE],
  'tests/consumer/Cargo.lock': [CRATE],
  'docs/cargo.md': [/(?<=^escher-execution-engine = .*tag = "v)[^"]*/m],
};

/**
 * Returns what differs from the version of `package.json`.
 *
 * @param {(name: string) => string} read Gives a file of the project.
 * @param {string} [tag] Of a release, which also needs an entry in the changelog.
 * @returns {string[]}
 */
export function versionProblems(read, tag) {
  const { version } = JSON.parse(read('package.json'));
  const found = Object.entries(PLACES).flatMap(([file, places]) => {
    const text = read(file);
    const other = places.map((place) => place.exec(text)?.[0] ?? 'none').find((one) => one !== version);
    return other === undefined ? [] : [`${file} has version ${other}, and package.json has ${version}`];
  });
  if (tag === undefined) return found;
  if (tag !== `v${version}`) found.push(`the tag is ${tag}, and the version is ${version}: the tag must be v${version}`);
  const changelog = read(CHANGELOG);
  const entry = changelog.match(/^## \[.*$/gm) ?? [];
  if (!entry.some((line) => line.startsWith(`## [${version}] - `) && /\d{4}-\d\d-\d\d$/.test(line)))
    found.push(`CHANGELOG.md has no entry "## [${version}] - " with a date`);
  // What the tag has is released by it.
  const unreleased = changelog.split(/^## \[/m).find((part) => part.startsWith('Unreleased]'));
  if (/^\s*[-*]\s/m.test(unreleased ?? '')) found.push(`CHANGELOG.md has entries under "${NEXT}": move them to ${version}`);
  return found;
}

/** @param {string} word */
const noVersion = (word) => `${word || 'nothing'} is no version: give one such as 1.2.3 or 1.2.3-rc.1`;

/**
 * Returns the texts of the files with a version, by their names.
 *
 * @param {(name: string) => string} read
 * @param {string} version
 * @param {string} date
 */
export function withVersion(read, version, date) {
  if (!VERSION.test(version)) throw new Error(noVersion(version));
  const texts = Object.entries(PLACES).map(([file, places]) => {
    const text = places.reduce((changed, place) => changed.replace(place, version), read(file));
    return [file, text];
  });
  const changelog = read(CHANGELOG);
  if (!changelog.includes(`${NEXT}\n`)) throw new Error(`${CHANGELOG} has no heading "${NEXT}"`);
  if (changelog.includes(`\n## [${version}]`)) throw new Error(`${CHANGELOG} has an entry for ${version} already`);
  return new Map([...texts, [CHANGELOG, changelog.replace(`${NEXT}\n`, `${NEXT}\n\n## [${version}] - ${date}\n`)]]);
}

function main() {
  const { positionals } = readArguments({ words: { name: 'version such as 1.2.3', least: 1, most: 1 } });
  const [version = ''] = positionals;
  if (!VERSION.test(version)) refuse(noVersion(version));
  const read = (/** @type {string} */ name) => readFileSync(path.join(root, name), 'utf8');
  for (const [file, text] of withVersion(read, version, new Date().toISOString().slice(0, 10))) writeFileSync(path.join(root, file), text);
  const found = versionProblems(read, `v${version}`);
  if (found.length > 0) throw new Error(found.join('\n'));
  const { status } = spawnSync(process.execPath, ['scripts/packages.mjs'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('the packages of the platforms were not written: node scripts/packages.mjs');
  console.log(`version ${version}: build the addon anew (npm run build), commit, and push the tag v${version}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
