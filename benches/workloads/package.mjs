// Measures the cost of a package: the time to load it, and its size.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { median } from '../harness/statistics.mjs';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const ENGINE = '@escher/execution-engine';
/** The folder of a contender in node_modules. */
const folderOf = (contender) => (contender === 'execa' ? 'execa-10' : contender);

/** A package with one empty function, without and with `exports`: the time of Node.js itself for the first package. */
const EMPTY = { empty: { main: './index.js' }, 'empty-exports': { exports: { '.': './index.js' } } };

/** The code that loads each package as its users do; the other packages are ES modules only. */
const LOAD = {
  engine: `require('${ENGINE}').ExecutionEngine`,
  'empty package': `require('empty')`,
  'empty package with exports': `require('empty-exports')`,
  child_process: `require('node:child_process').spawn`,
  execa: `(await import('execa-10')).execa`,
  tinyexec: `(await import('tinyexec')).x`,
  'nano-spawn': `(await import('nano-spawn')).default`,
  zx: `(await import('zx')).$`,
};

/** Returns the median time of loading in milliseconds, each in a process that has loaded nothing else. */
export function timeToLoad(contender, times) {
  const script = `
    (async () => {
      const before = process.memoryUsage.rss();
      const start = performance.now();
      const loaded = ${LOAD[contender]};
      const ms = performance.now() - start;
      if (typeof loaded !== 'function') throw new Error('it has not what it is loaded for');
      console.log(JSON.stringify({ ms, mebibytes: (process.memoryUsage.rss() - before) / 1024 / 1024 }));
    })();`;
  const folder = mkdtempSync(path.join(os.tmpdir(), 'escher-load-'));
  try {
    install(folder, contender);
    const seen = Array.from({ length: times }, () => {
      const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: folder, encoding: 'utf8' });
      if (status !== 0) throw new Error(`loading ended with ${status}: ${stderr}`);
      return JSON.parse(stdout);
    });
    return { value: median(seen.map(({ ms }) => ms)), columns: { growthMiB: median(seen.map(({ mebibytes }) => mebibytes)) } };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Puts the packages where those of a host are. */
function install(folder, contender) {
  const modules = path.join(folder, 'node_modules');
  mkdirSync(path.join(modules, path.dirname(ENGINE)), { recursive: true });
  symlinkSync(root, path.join(modules, ENGINE), 'junction');
  for (const [name, about] of Object.entries(EMPTY)) {
    mkdirSync(path.join(modules, name));
    writeFileSync(path.join(modules, name, 'index.js'), 'module.exports = function () {};');
    writeFileSync(path.join(modules, name, 'package.json'), JSON.stringify({ name, ...about }));
  }
  const peer = path.join(root, 'node_modules', folderOf(contender));
  if (existsSync(peer)) symlinkSync(peer, path.join(modules, folderOf(contender)), 'junction');
}

/** Returns the MB on the disk: of the addon, of the whole package as it is published, or of a package with all that it needs. */
export function sizeOf(contender) {
  if (contender === 'engine (addon)') return { value: megabytes(addon()), columns: { packages: 0 } };
  if (contender === 'engine') return { value: megabytes(addon(), ...publishedFiles()), columns: { packages: 0 } };
  const folders = new Set();
  collect(folderOf(contender), root, folders);
  return { value: megabytes(...folders), columns: { packages: folders.size - 1 } };
}

/** Returns the files of the main package, as npm selects them. An addon is in a package of its own. */
function publishedFiles() {
  const { status, stdout, stderr } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm pack ended with ${status}: ${stderr}`);
  const [{ files }] = JSON.parse(stdout);
  return files.filter((file) => !file.path.endsWith('.node')).map((file) => path.join(root, file.path));
}

/** Returns the file that Node.js really loads. */
function addon() {
  const require = createRequire(import.meta.url);
  require(ENGINE);
  const loaded = Object.keys(require.cache).filter((file) => file.endsWith('.node'));
  if (loaded.length !== 1) throw new Error(`${loaded.length} addons are loaded`);
  return loaded[0];
}

/** Collects the folder of a package and those of its dependencies, found as Node.js finds them. */
function collect(name, from, folders) {
  const folder = findPackage(name, from);
  if (folders.has(folder)) return;
  folders.add(folder);
  const { dependencies = {} } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  for (const dependency of Object.keys(dependencies)) collect(dependency, folder, folders);
}

function findPackage(name, from) {
  const folder = path.join(from, 'node_modules', name);
  if (statSync(folder, { throwIfNoEntry: false })) return folder;
  const above = path.dirname(from);
  if (above === from) throw new Error(`${name} is not installed`);
  return findPackage(name, above);
}

function megabytes(...places) {
  return places.reduce((sum, place) => sum + bytesOf(place), 0) / 1e6;
}

/** Returns the bytes of a folder. Packages that a package brings along in a folder of its own are counted by themselves. */
function bytesOf(place) {
  const found = statSync(place);
  if (!found.isDirectory()) return found.size;
  const names = readdirSync(place).filter((name) => name !== 'node_modules');
  return names.reduce((sum, name) => sum + bytesOf(path.join(place, name)), 0);
}
