'use strict';

const { existsSync, lstatSync, readFileSync, readdirSync } = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const { ExecutionError } = require('./errors.js');
const { TARGETS, libc, packageOf } = require('./targets.js');

/** @typedef {import('./targets.js').Target} Target */

/**
 * An attempt to load the addon, and what is known of it.
 *
 * @typedef {object} Attempt
 * @property {Target | undefined} target The one of this process, if it has one.
 * @property {string} version That of the package.
 * @property {string | undefined} override An addon that `NAPI_RS_NATIVE_LIBRARY_PATH` names.
 * @property {boolean} tooOld Whether this Node.js is.
 * @property {boolean} isSnapshot Whether a snapshot is being built.
 * @property {string | undefined} file Where the addon is.
 * @property {boolean} isInstalled Whether it is in the package of its platform.
 * @property {import('./addon-file.js').Flaw | undefined} flaw What is wrong with that file.
 * @property {string | undefined} found The version that it has, or its package.
 * @property {unknown} [error] What loading it threw.
 */

/** The description of one cause of a failure, and its remedy. @typedef {[cause: string, remedy: string]} Cause */

const OWN_NAME = '@escher/execution-engine';
const LOCK_FILES = ['package-lock.json', 'npm-shrinkwrap.json', 'yarn.lock', 'pnpm-lock.yaml', 'bun.lock'];

/**
 * Returns the error for an addon that was not loaded. Its message begins with the first cause, and ends with what this process needs.
 *
 * @param {Attempt} attempt
 */
function loadFailure(attempt) {
  const [cause, remedy] = causeOf(attempt);
  const system = [process.platform, process.arch, libc()].filter(Boolean).join(' ');
  const wanted = attempt.target ? `; the addon for it is ${spec(attempt)}` : '';
  const details = attempt.error === undefined ? {} : { cause: attempt.error };
  return new ExecutionError('ADDON_NOT_LOADED', `${cause}: ${remedy} (this is ${system}${wanted})`, details);
}

/** @param {Attempt} attempt @returns {Cause} */
function causeOf(attempt) {
  const { file, found, flaw, error } = attempt;
  if (attempt.tooOld) return [`Node.js ${process.versions.node} is too old`, 'use Node.js 20 or newer'];
  if (attempt.isSnapshot)
    return [
      'a startup snapshot cannot hold a native addon',
      'require this package after the snapshot was deserialized, not while it is built',
    ];
  if (!attempt.target && !attempt.override)
    return [`there is no addon for ${process.platform} ${process.arch}`, `use one of ${TARGETS.join(', ')}`];
  if (found !== undefined && found !== attempt.version) return otherVersion(attempt, found);
  if (flaw?.kind === 'damaged') return [`the addon ${file} is damaged: ${flaw.how}`, repair(attempt)];
  if (flaw?.kind === 'machine')
    return [`the addon ${file} is for ${flaw.machine}, and this Node.js is for ${process.arch}`, reinstall(attempt)];
  return forbidden(attempt) ?? (isMissing(attempt) ? missing(attempt) : refusedBySystem(attempt, messageOf(error)));
}

/** @param {Attempt} attempt @param {string} found @returns {Cause} */
function otherVersion(attempt, found) {
  const cause = `the addon ${attempt.file ?? ''} is of version ${found}, and ${OWN_NAME} is of version ${attempt.version}`.replace(
    '  ',
    ' ',
  );
  if (attempt.override) return [cause, 'correct NAPI_RS_NATIVE_LIBRARY_PATH, or remove it'];
  return [cause, attempt.isInstalled ? 'install both again, so that they have the same version' : 'build the addon again (npm run build)'];
}

/** Describes an addon that the flags of this process do not allow. @param {Attempt} attempt @returns {Cause | undefined} */
function forbidden({ error, file }) {
  /** @type {{ code?: string, name?: string, permission?: string, resource?: string }} */
  const { code, name, permission, resource } = error ?? {};
  const message = messageOf(error);
  if (code === 'ERR_DLOPEN_DISABLED') {
    if (isRestricted() && !hasFlag('--no-addons'))
      return ['the permission model allows no addons', 'start Node.js with --allow-addons too'];
    return ['addons are disabled by --no-addons', 'start Node.js without that flag; NODE_OPTIONS may have it too'];
  }
  if (code === 'ERR_ACCESS_DENIED')
    return [
      `the permission model does not allow ${permission && permission !== 'FileSystemRead' ? permission : 'reading'} ${file ?? (resource || 'the addon')}`,
      'start Node.js with --allow-fs-read for that file, and with --allow-addons',
    ];
  if (process.versions.deno && (name === 'NotCapable' || name === 'PermissionDenied' || /--allow-\w+/.test(message))) {
    const flag = /--allow-\w+/.exec(message)?.[0] ?? '--allow-ffi';
    return [
      `Deno does not allow ${flag.replace('--allow-', '')}`,
      `start Deno with ${flag}; an addon needs --allow-ffi, --allow-read and --allow-env`,
    ];
  }
  return undefined;
}

/** @param {Attempt} attempt */
function isMissing({ file, error, override }) {
  const { code, name } = /** @type {{ code?: string, name?: string }} */ (error ?? {});
  return (
    (override ? !existsSync(override) : file === undefined) &&
    (/MODULE_NOT_FOUND|ERR_UNKNOWN_BUILTIN_MODULE/.test(code ?? '') || name === 'ResolveMessage' || error instanceof Error)
  );
}

/** @param {Attempt} attempt @returns {Cause} */
function missing(attempt) {
  const { override, target } = attempt;
  if (override) return [`NAPI_RS_NATIVE_LIBRARY_PATH names ${override}, which does not exist`, 'correct it, or remove it'];
  const name = packageOf(/** @type {Target} */ (target));
  if (isSingleExecutable())
    return ['a single executable application contains no addon', `put the .node file of ${name} beside the executable`];
  if (denoHides(__dirname))
    return [
      `the package ${name} was not found, as far as Deno lets this process read`,
      'start Deno with --allow-read for node_modules, and with --allow-ffi',
    ];
  const folder = ownFolder();
  if (folder === undefined)
    return [
      `${OWN_NAME} was bundled without its addon`,
      `leave it out of the bundle (external), or put the .node file of ${name} beside the bundle`,
    ];
  if (existsSync(path.join(folder, 'Cargo.toml'))) return ['the addon was not built', 'run npm run build in the folder of the package'];
  if (resolve(`${name}/package.json`)) return [`the package ${name} has no addon in it`, reinstall(attempt)];
  const partial = partly(name, attempt);
  if (partial) return partial;
  const others = TARGETS.filter((other) => resolve(`${packageOf(other)}/package.json`));
  if (others.length > 0)
    return [
      `the package ${name} is not installed, but that of ${others.join(' and ')} is: it was installed on another system, or for another C library`,
      `delete node_modules and install on this system; ${install(attempt)}`,
    ];
  if (isRestricted() && !canReadAll())
    return [
      `the package ${name} was not found, as far as the permission model lets this process read`,
      'start Node.js with --allow-fs-read for node_modules, and with --allow-addons',
    ];
  const lock = lockWithout(name, folder);
  if (lock)
    return [
      `the package ${name} is not in the lock file ${lock}, which was written on another system`,
      `delete it and node_modules, and install again; ${install(attempt)}`,
    ];
  return [
    `the package ${name} is not installed`,
    `install without --omit=optional (--no-optional, --ignore-optional), which leaves it out; ${install(attempt)}`,
  ];
}

/**
 * Describes a package that is installed, but not as npm installs it.
 *
 * @param {string} name @param {Attempt} attempt @returns {Cause | undefined}
 */
function partly(name, attempt) {
  const folder = foldersOf(name).find(isThere);
  if (folder === undefined) return undefined;
  const manifest = path.join(folder, 'package.json');
  try {
    if (JSON.parse(readFileSync(manifest, 'utf8')) instanceof Object) return undefined;
    return [`the package ${name} is damaged: ${manifest} is damaged`, reinstall(attempt)];
  } catch (error) {
    const { code } = /** @type {{ code?: string }} */ (error);
    if (code === 'EACCES' || code === 'EPERM')
      return [`the package ${name} may not be read (${folder})`, 'give this user the permission to read it'];
    const how = code === undefined || code === 'EISDIR' ? 'is damaged' : 'is missing';
    return [`the package ${name} is damaged: ${manifest} ${how}`, reinstall(attempt)];
  }
}

/** @param {string} name */
function foldersOf(name) {
  try {
    return (createRequire(__filename).resolve.paths(name) ?? []).map((folder) => path.join(folder, name));
  } catch {
    return [];
  }
}

/** Whether a folder is there, or a link that should lead to it. @param {string} folder */
function isThere(folder) {
  try {
    lstatSync(folder);
    return true;
  } catch {
    return false;
  }
}

/** The system's texts, for the causes that can be distinguished. A remedy may have what the expression found. @type {[RegExp, string, string][]} */
const SYSTEM_SAYS = [
  [
    /GLIBC_([\d.]+)' not found/,
    'the C library of this system is too old for the addon',
    'use a system with glibc $1 or newer; if the addon was built from source, build it on the oldest system that it is for',
  ],
  [/libc\.musl|ld-musl/, 'the addon is for musl, and this Node.js is for glibc', ''],
  [/libc\.so\.6|ld-linux|libgcc_s|__\w+_chk: symbol not found/, 'the addon is for glibc, and this Node.js is for musl', ''],
  [
    /failed to map segment/,
    'the file system of the addon allows no programs (noexec)',
    'put the addon on another file system, or mount it without noexec',
  ],
  [/permission denied|operation not permitted/i, 'the addon may not be read', 'give this user the permission to read it'],
  [/incompatible architecture|wrong architecture|not a valid win32 application/i, 'the addon is damaged, or for another processor', ''],
  [/mach-o|file too short|invalid elf|truncated|wrong elf class/i, 'the addon is damaged', ''],
];

/** @param {Attempt} attempt @param {string} message @returns {Cause} */
function refusedBySystem(attempt, message) {
  // Without this extension Node.js loads the file as JavaScript.
  if (attempt.override && !attempt.override.endsWith('.node'))
    return [`NAPI_RS_NATIVE_LIBRARY_PATH names ${attempt.override}, whose name does not end in .node`, 'rename the file'];
  const where = attempt.file ? ` (${attempt.file})` : '';
  const known = SYSTEM_SAYS.find(([pattern]) => pattern.test(message));
  if (known) {
    const [pattern, cause, remedy] = known;
    return [
      `${cause}${where}`,
      `${remedy.replace('$1', pattern.exec(message)?.[1] ?? '') || repair(attempt)}; the system said: ${message}`,
    ];
  }
  return [`the system refused to load the addon${where}`, `it said: ${message}; ${repair(attempt)}`];
}

/** @param {Attempt} attempt */
function repair(attempt) {
  if (attempt.override) return 'correct NAPI_RS_NATIVE_LIBRARY_PATH, or remove it';
  return attempt.isInstalled ? reinstall(attempt) : 'build it again (npm run build)';
}

/** @param {Attempt} attempt */
const reinstall = (attempt) => `delete node_modules and install again; ${install(attempt)}`;

/** @param {Attempt} attempt */
const install = (attempt) => `or npm install ${spec(attempt)}`;

/** @param {Attempt} attempt */
const spec = ({ target, version }) => `${packageOf(/** @type {Target} */ (target))}@${version}`;

/** @param {unknown} error */
const messageOf = (error) => (error instanceof Error ? error.message : String(error ?? ''));

/** Whether Node.js was started with a flag, which it knows with underscores too. @param {string} flag */
const hasFlag = (flag) =>
  [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)].some((given) => given.replaceAll('_', '-') === flag);

/** Whether Node.js runs with its permission model. */
const isRestricted = () => /** @type {any} */ (process).permission !== undefined;

const canReadAll = () => /** @type {any} */ (process).permission.has('fs.read');

/** Whether Deno does not let this process read a folder. @param {string} folder */
function denoHides(folder) {
  if (!process.versions.deno) return false;
  try {
    readdirSync(folder);
    return false;
  } catch (error) {
    return /NotCapable|PermissionDenied/.test(/** @type {Error} */ (error).name);
  }
}

function isSingleExecutable() {
  try {
    return /** @type {boolean} */ (require('node:sea').isSea());
  } catch {
    // Node.js before 20.12, or another runtime.
    return false;
  }
}

/** Returns the folder of this package; `undefined` where this is part of another file, such as a bundle. */
function ownFolder() {
  try {
    const folder = path.join(__dirname, '..');
    return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).name === OWN_NAME ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} name */
function resolve(name) {
  try {
    return createRequire(__filename).resolve(name);
  } catch {
    return undefined;
  }
}

/**
 * Returns the nearest lock file, if it has this package and not that of the platform.
 *
 * @param {string} name
 * @param {string} folder
 */
function lockWithout(name, folder) {
  for (let at = folder; path.dirname(at) !== at; at = path.dirname(at)) {
    for (const lock of LOCK_FILES.map((file) => path.join(at, file))) {
      const text = textOf(lock);
      if (text === undefined || !has(text, OWN_NAME)) continue;
      return has(text, name) ? undefined : lock;
    }
  }
  return undefined;
}

/** Whether a lock file has a package itself, and not only a dependency on it. @param {string} text @param {string} name */
const has = (text, name) => text.includes(`${name}@`) || text.includes(`node_modules/${name}"`);

/** @param {string} file */
function textOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

module.exports = { loadFailure };
