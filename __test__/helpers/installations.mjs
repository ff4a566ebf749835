// Folders in which the package is installed as npm would install it, and what a program there finds.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { folder } from './programs.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The target of this system, by the addon that was built for it. */
export const TARGET = readdirSync(root)
  .map((name) => /^execution-engine\.(.+)\.node$/.exec(name)?.[1])
  .find((target) => target?.startsWith(`${process.platform}-${process.arch}`));
export const ADDON = path.join(root, `execution-engine.${TARGET}.node`);
export const PLATFORM_PACKAGE = `@escher/execution-engine-${TARGET}`;
export const { version: VERSION } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

/**
 * Makes an installation of the package, and of the packages of platforms that are named, in a folder of its own that is removed with the
 * test.
 *
 * @param {import('node:test').TestContext} t
 */
export function install(t, { targets = [TARGET], version = VERSION } = {}) {
  const app = folder(t);
  const at = (...names) => path.join(app, 'node_modules', '@escher', ...names);
  for (const name of ['package.json', 'dist/engine.js']) cpSync(path.join(root, name), at('execution-engine', name));
  for (const target of targets) {
    const file = `execution-engine.${target}.node`;
    mkdirSync(at(`execution-engine-${target}`), { recursive: true });
    writeFileSync(
      at(`execution-engine-${target}`, 'package.json'),
      JSON.stringify({ name: `@escher/execution-engine-${target}`, version, main: file }),
    );
    cpSync(ADDON, at(`execution-engine-${target}`, file));
  }
  return {
    app,
    at,
    /** The addon of this system. */
    addon: at(`execution-engine-${TARGET}`, path.basename(ADDON)),
    /** Returns what a program there gets by `require`: the error as data, or `loaded`. */
    load: (options) => load(app, options),
  };
}

/** Runs a program that loads the package; `before` is run first, in the same process. */
export function load(app, { flags = [], env = {}, before = '', specifier = '@escher/execution-engine', program = process.execPath } = {}) {
  const file = path.join(app, 'main.cjs');
  writeFileSync(
    file,
    `${before}
    let outcome;
    try { outcome = { loaded: require(${JSON.stringify(specifier)}).version }; }
    catch (error) { outcome = { name: error.name, code: error.code, message: error.message, cause: error.cause?.code }; }
    require('node:fs').writeSync(1, JSON.stringify(outcome));`,
  );
  const { stdout, stderr, signal } = spawnSync(program, [...flags, file], {
    cwd: app,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  });
  if (!stdout.startsWith('{')) throw new Error(`it said nothing, and ended by ${signal}: ${stderr}`);
  return JSON.parse(stdout);
}

/** Checks that an outcome is the error of the package, whose message begins with a cause and ends with what this system needs. */
export function failed(outcome, cause, remedy) {
  assert.equal(outcome.name, 'ExecutionError', JSON.stringify(outcome));
  assert.equal(outcome.code, 'ADDON_NOT_LOADED');
  assert.match(outcome.message, cause);
  assert.equal(outcome.message.search(cause), 0, `it does not begin with its cause: ${outcome.message}`);
  assert.match(outcome.message, remedy);
  assert.ok(outcome.message.includes(`(this is ${process.platform} ${process.arch}`), outcome.message);
}

/** Checks the same for a process that has a target. */
export function failedHere(outcome, cause, remedy) {
  failed(outcome, cause, remedy);
  assert.ok(outcome.message.endsWith(`; the addon for it is ${PLATFORM_PACKAGE}@${VERSION})`), outcome.message);
}
