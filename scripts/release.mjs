// The packages of a release: the main one, and one with an addon for each target.
//
//   npm run release:check                        all but the upload: packs what can be packed here, installs it in an empty folder, runs it
//   node scripts/release.mjs check --all         the same, with the addons of all targets; another system's is packed, and not run
//   node scripts/release.mjs smoke               packs, installs and runs what is for this system, and needs neither Rust nor npm packages
//   node scripts/release.mjs publish             uploads what `check --all` has packed, the packages of the platforms first
//   node scripts/release.mjs version [--tag v…]  fails where the version differs between files, or from the tag, or is not in the changelog
//
//   --addons FOLDER     where the addons are; else the folder of the project
//   --record            with check: writes what ran into docs/platforms.json, and docs/platforms.md anew
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { inspect, problems } from './addon.mjs';
import { readArguments } from './arguments.mjs';
import { FILES, addonName, main, packageName, stale, targets } from './packages.mjs';
import { record } from './platforms-page.mjs';
import { versionProblems } from './version.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const place = path.join(root, 'target', 'release-packages');
const MAIN_FILES = [
  'dist',
  'index.d.ts',
  'schema',
  'docs',
  'examples',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
];
/** An example of the crate, with a build of its own: it stays with the sources. */
const NOT_PACKED = path.join(root, 'examples', 'tauri');
/** The fields that only the folder of the sources uses. */
const OWN_FIELDS = ['scripts', 'devDependencies', 'napi'];
/** The files that must not be in any package. */
const FOREIGN = [/(^|\/)node_modules\//, /\.rs$/, /(^|\/)\.(git|npmrc|env)/, /(^|\/)target\//];

/**
 * Writes the folders from which the packages are made.
 *
 * @param {string} folder
 * @param {{ addons?: string, wanted?: string[] }} [options] `wanted`: the names of the targets.
 * @returns {{ name: string, folder: string, target?: import('./packages.mjs').Target }[]} The packages of the platforms first.
 */
export function stage(folder, { addons = root, wanted = targets.map(({ name }) => name) } = {}) {
  rmSync(folder, { recursive: true, force: true });
  const packages = [];
  for (const target of targets.filter(({ name }) => wanted.includes(name))) {
    const addon = path.join(addons, addonName(target));
    if (!existsSync(addon))
      throw new Error(`there is no addon for ${target.name}: ${addon} does not exist; build it (npm run build) or fetch it`);
    const { system, cpu, libc } = inspect(addon);
    if (system !== target.os || cpu !== target.cpu || libc !== target.libc)
      throw new Error(`${addon} is for ${[system, cpu, libc].filter(Boolean).join(' ')}, and not for ${target.name}`);
    const to = path.join(folder, target.name);
    mkdirSync(to, { recursive: true });
    for (const name of FILES) cpSync(path.join(root, 'npm', target.name, name), path.join(to, name));
    writeManifest(to, JSON.parse(readFileSync(path.join(to, 'package.json'), 'utf8')));
    cpSync(addon, path.join(to, addonName(target)));
    packages.push({ name: packageName(target), folder: to, target });
  }
  const to = path.join(folder, 'main');
  for (const name of MAIN_FILES) {
    if (!existsSync(path.join(root, name))) throw new Error(`there is no ${name}${name === 'dist' ? ': npm run build' : ''}`);
    cpSync(path.join(root, name), path.join(to, name), { recursive: true, filter: (source) => source !== NOT_PACKED });
  }
  const optionalDependencies = Object.fromEntries(targets.map((target) => [packageName(target), main.version]));
  writeManifest(to, { ...main, files: MAIN_FILES, optionalDependencies });
  for (const page of pagesIn(to)) writeFileSync(page, withLinks(readFileSync(page, 'utf8'), path.relative(to, page), to));
  packages.push({ name: main.name, folder: to });
  return packages;
}

/** Writes a `package.json` as it is released. */
function writeManifest(folder, fields) {
  const manifest = Object.fromEntries(Object.entries(fields).filter(([field]) => !OWN_FIELDS.includes(field)));
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

function pagesIn(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.join(folder, name));
}

/** Returns a page whose links to files that are not in the package lead to the repository. */
function withLinks(text, page, folder) {
  const repository = main.homepage.replace(/#.*$/, '');
  return text.replace(/\]\(([^)\s#]+)(#[^)\s]*)?\)/g, (link, target, anchor = '') => {
    if (/^[a-z]+:/.test(target)) return link;
    const file = path.posix.join(path.posix.dirname(page.replaceAll(path.sep, '/')), target);
    return existsSync(path.join(folder, file)) ? link : `](${repository}/blob/v${main.version}/${file}${anchor})`;
  });
}

/** Makes the tarballs. @returns {{ name: string, file: string, files: string[], size: number, target?: object }[]} */
export function pack(packages, to) {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  return packages.map(({ name, folder, target }) => {
    const [made] = Object.values(JSON.parse(output(npm, ['pack', '--json', '--ignore-scripts', '--pack-destination', to], folder)));
    return {
      name,
      target,
      file: path.join(to, made.filename.replace(/^@/, '').replace('/', '-')),
      files: made.files.map((file) => file.path),
      size: made.size,
    };
  });
}

/** Returns what is wrong with tarballs. */
export function defects(tarballs) {
  const found = [];
  for (const { name, target, files } of tarballs) {
    const wanted = target
      ? [addonName(target), ...FILES]
      : ['dist/engine.js', 'dist/engine.js.map', 'index.d.ts', 'LICENSE', 'README.md', 'CHANGELOG.md'];
    for (const file of wanted) if (!files.includes(file)) found.push(`${name} has no ${file}`);
    for (const file of files)
      if (FOREIGN.some((pattern) => pattern.test(file)) && !file.startsWith('examples/')) found.push(`${name} has ${file}`);
    if (!target && files.some((file) => file.endsWith('.node'))) found.push(`${name} has an addon in it`);
  }
  return found;
}

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

function output(program, args, cwd, env = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    shell: process.platform === 'win32' && program === npm,
  });
  if (error || status !== 0) throw new Error(`${path.basename(program)} ${args.join(' ')} failed: ${error?.message ?? stderr}${stdout}`);
  return stdout;
}

const SMOKE = `
  import assert from 'node:assert/strict';
  import { createRequire } from 'node:module';
  import { ExecutionEngine, ExecutionError, version } from '@escher/execution-engine';
  const required = createRequire(import.meta.url)('@escher/execution-engine');
  assert.equal(required.ExecutionEngine, ExecutionEngine);
  const engine = new ExecutionEngine();
  const lines = [];
  engine.on('stdout', ({ line }) => lines.push(line));
  const node = (code) => ({ command: { type: 'exec', program: process.execPath, args: ['-e', code] } });
  const { status, stdout } = await engine.run(node("console.log('one'); console.log('two')"));
  assert.deepEqual([status, stdout.split(/\\r?\\n/), lines], ['completed', ['one', 'two', ''], ['one', 'two']]);
  const late = await engine.run({ ...node('setInterval(() => {}, 1000)'), timeoutMs: 500 });
  assert.equal(late.status, 'timeout');
  await assert.rejects(engine.run({ command: { type: 'exec', program: '/no/such/program' } }), ExecutionError);
  await engine.shutdown();
  console.log(version);`;

/** Installs tarballs in an empty folder, as a user would, and runs a program there. */
export function smoke(tarballs) {
  const app = mkdtempSync(path.join(os.tmpdir(), 'release-check-'));
  try {
    // The packages of other systems are not published yet. They are optional, so npm continues without them.
    writeFileSync(path.join(app, 'package.json'), JSON.stringify({ name: 'smoke', private: true, type: 'module' }));
    writeFileSync(path.join(app, 'smoke.mjs'), SMOKE);
    output(
      npm,
      [
        'install',
        '--no-audit',
        '--no-fund',
        '--ignore-scripts',
        '--offline',
        '--no-save',
        '--legacy-peer-deps',
        ...tarballs.map(({ file }) => file),
      ],
      app,
    );
    const said = output(process.execPath, ['smoke.mjs'], app, { NODE_OPTIONS: '' }).trim();
    if (said !== main.version) throw new Error(`the smoke test printed ${said}`);
  } finally {
    rmSync(app, { recursive: true, force: true });
  }
}

/** Returns the outcome of a check that went well, for the page of the platforms. */
function outcome(tarballs, here) {
  const addons = tarballs.filter(({ target }) => target).map(({ target }) => target.name);
  const system = `Node.js ${process.versions.node}; the packages of ${addons.join(', ')}`;
  return { target: here, check: 'packages, packed, installed and run', system, result: 'passed' };
}

function check({ all, addons, record: toRecord }) {
  const differing = stale();
  if (differing.length > 0)
    throw new Error(`${differing.join(', ')}: not what package.json and Cargo.lock give; run: node scripts/packages.mjs`);
  checkVersion({});
  const here = nameHere();
  const wanted = all ? targets.map(({ name }) => name) : [here];
  const tarballs = pack(stage(path.join(place, 'staged'), { addons, wanted }), path.join(place, 'tarballs'));
  const found = defects(tarballs);
  const rows = tarballs.map(({ name, target, size, files }) => {
    const addon = target && inspect(path.join(place, 'staged', target.name, addonName(target)));
    // An addon that is built here for oneself needs the C library of this system. A released one is linked against the oldest.
    for (const problem of addon ? problems(addon, all ? undefined : '999') : []) found.push(`${name}: ${problem}`);
    return { package: name, files: files.length, 'packed bytes': size, 'addon bytes': addon?.bytes ?? '', glibc: addon?.glibc ?? '' };
  });
  console.table(rows);
  if (found.length > 0) throw new Error(found.join('\n'));
  const runnable = tarballs.filter(({ target }) => !target || target.name === here);
  smoke(runnable);
  if (toRecord) record([outcome(tarballs, here)]);
  console.log(`version ${main.version}: ${tarballs.length} packages packed, installed and run on ${here}`);
  const missing = targets.filter(({ name }) => !wanted.includes(name)).map(({ name }) => name);
  if (missing.length > 0) console.log(`not checked, for want of their addons: ${missing.join(', ')} (check --all asks for them)`);
}

function smokeHere({ addons }) {
  const here = nameHere();
  smoke(pack(stage(path.join(place, 'staged'), { addons, wanted: [here] }), path.join(place, 'tarballs')));
  console.log(`version ${main.version} installed and run on ${here} with ${process.release.name} ${process.version}`);
}

function nameHere() {
  const { targetHere } = createRequire(import.meta.url)('../lib/targets.js');
  return targetHere();
}

function checkVersion({ tag }) {
  const found = versionProblems((name) => readFileSync(path.join(root, name), 'utf8'), tag);
  if (found.length > 0) throw new Error(found.join('\n'));
  console.log(`version ${main.version}`);
}

/** Returns the file of a package of this version, as npm names it. @param {string} name */
const tarballOf = (name) => `${name.replace('@', '').replace('/', '-')}-${main.version}.tgz`;

/**
 * Returns the packages of a release with their files, in the order of their publication: without the packages of the platforms, the main one
 * cannot be installed. Fails unless the files are those of a release.
 *
 * @param {string[]} files The names of the files that there are.
 */
export function published(files) {
  const packages = [...targets.map(packageName), main.name].map((name) => ({ name, file: tarballOf(name) }));
  const lacking = packages.filter(({ file }) => !files.includes(file)).map(({ file }) => file);
  if (lacking.length > 0) throw new Error(`the release lacks ${lacking.join(', ')}: run check --all`);
  const foreign = files.filter((name) => !packages.some(({ file }) => file === name));
  if (foreign.length > 0) throw new Error(`the release has ${foreign.join(', ')}, which is no package of ${main.version}: run check --all`);
  return packages;
}

function publish({ dryRun }) {
  const tarballs = path.join(place, 'tarballs');
  const files = existsSync(tarballs) ? readdirSync(tarballs).filter((name) => name.endsWith('.tgz')) : [];
  // The registry attests the origin of public packages only; the workflow attests the files of others itself.
  const flags = [
    ...(main.publishConfig.access === 'public' ? ['--provenance'] : []),
    '--access',
    main.publishConfig.access,
    ...(main.version.includes('-') ? ['--tag', 'next'] : []),
    ...(dryRun ? ['--dry-run'] : []),
  ];
  for (const { name, file } of published(files)) {
    if (isPublished(name)) {
      console.log(`${file} is published already`);
      continue;
    }
    console.log(`$ npm publish ${file} ${flags.join(' ')}`);
    output(npm, ['publish', path.join(tarballs, file), '--ignore-scripts', ...flags], root);
  }
}

/** Whether a package is published already: an upload that broke off is continued. @param {string} name */
function isPublished(name) {
  return (
    spawnSync(npm, ['view', `${name}@${main.version}`, 'version'], {
      encoding: 'utf8',
      shell: process.platform === 'win32',
    }).stdout?.trim() === main.version
  );
}

function refuseSources() {
  throw new Error(
    'this is the folder of the sources, whose package lacks the addons: releases are made by .github/workflows/release.yml, and tried with npm run release:check',
  );
}

function run() {
  const actions = { check, smoke: smokeHere, version: checkVersion, publish, refuse: refuseSources };
  const { values, positionals } = readArguments({
    options: {
      all: { type: 'boolean', default: false },
      addons: { type: 'string', default: root, value: 'FOLDER' },
      'dry-run': { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      tag: { type: 'string', value: 'TAG' },
    },
    words: { name: 'action', of: Object.keys(actions), least: 1, most: 1 },
  });
  const { all, record: toRecord, tag } = values;
  const options = { all, addons: path.resolve(values.addons), dryRun: values['dry-run'], record: toRecord, tag };
  actions[positionals[0]](options);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    run();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
