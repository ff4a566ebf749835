// The declarations, as strict programs see them: with compilers and declarations of Node.js from the oldest to the newest.
//
//   npm run test:types                  fetches them with npm into target/types, and prints a table
//   npm run test:types -- --record      writes what ran into docs/platforms.json, and docs/platforms.md anew
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { readArguments } from './arguments.mjs';
import { record } from './platforms-page.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const place = path.join(root, 'target', 'types');

const COMPILERS = ['5.0', '5.2', '5.4', '5.6', '5.8', '5.9', '6', '7'];
const NODE_TYPES = ['20.11', '20', '22', '24', '25', '26'];
/** Declarations of Node.js that a compiler refuses. */
const NOT_FOR_IT = 'not for this compiler';
/** The files that older compilers cannot parse. */
const NEEDS = { 'using.ts': 5.2 };

/**
 * Compiles the declarations, and programs that use them, with everything checked.
 *
 * @param {string} folder Where the program is put.
 * @param {string} compiler The folder of a TypeScript.
 * @param {string} modules A `node_modules` with `@types/node`.
 * @returns {{ own: string[], theirs: string[] }} What the compiler reports of this project, and of `@types/node`.
 */
export function compile(folder, compiler, modules) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.join(folder, '__test__'), { recursive: true });
  symlinkSync(modules, path.join(folder, 'node_modules'), 'dir');
  const version = parseFloat(versionOf(compiler));
  cpSync(path.join(root, 'index.d.ts'), path.join(folder, 'index.d.ts'));
  cpSync(path.join(root, '__test__', 'types'), path.join(folder, '__test__', 'types'), {
    recursive: true,
    filter: (file) => !(version < NEEDS[path.basename(file)]),
  });
  const compilerOptions = {
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noImplicitOverride: true,
    noPropertyAccessFromIndexSignature: true,
    noEmit: true,
    target: 'es2022',
    lib: version < 5.2 ? ['es2022'] : ['es2022', 'esnext.disposable'],
    module: 'node16',
    moduleResolution: 'node16',
    // No type is named: the declarations themselves say that they need those of Node.js.
    types: [],
  };
  writeFileSync(path.join(folder, 'package.json'), '{}');
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['index.d.ts', '__test__/types/*.ts'] }));
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(compiler, 'bin', 'tsc'), '-p', '.', '--pretty', 'false'], {
    cwd: folder,
    encoding: 'utf8',
  });
  const reports = stdout.split('\n').filter((line) => /error TS\d+/.test(line));
  const isTheirs = (line) => /node_modules/.test(line.split('(')[0]);
  const [own, theirs] = [reports.filter((line) => !isTheirs(line)), reports.filter(isTheirs)];
  if (status !== 0 && reports.length === 0) own.push(stdout + stderr);
  return { own, theirs };
}

function versionOf(folder) {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).version;
}

/** Fetches a package once into a folder of its own. Returns its `node_modules`. */
function fetched(name, version) {
  const folder = path.join(place, `${path.basename(name)}-${version}`);
  const modules = path.join(folder, 'node_modules');
  if (!existsSync(path.join(modules, name, 'package.json'))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), '{}');
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    const { status } = spawnSync(
      npm,
      [
        'install',
        '--no-audit',
        '--no-fund',
        '--no-save',
        '--ignore-scripts',
        '--loglevel=error',
        `${name}@~${version}`.replace(/@~(\d+)$/, '@^$1'),
      ],
      { cwd: folder, stdio: 'inherit', shell: process.platform === 'win32' },
    );
    if (status !== 0) throw new Error(`npm did not install ${name} ${version}`);
  }
  return modules;
}

function main() {
  const { values } = readArguments({ options: { record: { type: 'boolean', default: false } } });
  const rows = [];
  let failures = 0;
  for (const ts of COMPILERS) {
    const compiler = path.join(fetched('typescript', ts), 'typescript');
    const row = { TypeScript: versionOf(compiler) };
    for (const types of NODE_TYPES) {
      const modules = fetched('@types/node', types);
      const { own, theirs } = compile(path.join(place, 'program'), compiler, modules);
      // Declarations that their own compiler refuses say nothing about ours.
      row[`@types/node ${versionOf(path.join(modules, '@types', 'node'))}`] =
        theirs.length > 0 ? NOT_FOR_IT : own.length === 0 ? 'ok' : `${own.length} errors`;
      if (theirs.length > 0 || own.length === 0) continue;
      failures += 1;
      console.error(`TypeScript ${row.TypeScript}, @types/node ${types}:\n${own.slice(0, 20).join('\n')}`);
    }
    rows.push(row);
  }
  console.table(rows);
  const files = readdirSync(path.join(root, '__test__', 'types')).length;
  console.log(failures === 0 ? `index.d.ts and ${files} programs compile` : `${failures} combinations FAILED`);
  if (values.record) record([outcome(rows)]);
  process.exitCode = failures === 0 ? 0 : 1;
}

function outcome(rows) {
  const cells = rows.flatMap(({ TypeScript, ...results }) => Object.values(results));
  const count = (result) => cells.filter((one) => one === result).length;
  const [passed, skipped] = [count('ok'), count(NOT_FOR_IT)];
  const failed = cells.length - passed - skipped;
  const [oldest, newest] = [rows[0], rows.at(-1)].map(({ TypeScript }) => TypeScript);
  const system = `TypeScript ${oldest} to ${newest}, ${Object.keys(rows[0])[1]} to ${Object.keys(rows[0]).at(-1).split(' ').at(-1)}`;
  const result = failed === 0 ? 'passed' : `failed: ${failed} combinations`;
  // The declarations are the same for all targets; this is the one of the machine that compiled them.
  return { target: `${process.platform}-${process.arch}-gnu`, check: 'declarations', system, passed, failed, skipped, result };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
