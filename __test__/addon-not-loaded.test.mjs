// An addon that is not loaded: the error names the first cause, what to do, and what this system needs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, test } from 'node:test';

import { inspect } from '../scripts/addon.mjs';
import { ADDON, PLATFORM_PACKAGE, TARGET, VERSION, failedHere, install, load } from './helpers/installations.mjs';
import { folder } from './helpers/programs.mjs';

const { flaw } = createRequire(import.meta.url)('../lib/addon-file.js');
const onLinux = { skip: process.platform !== 'linux' && 'it reads ELF files' };
const [major, minor] = process.versions.node.split('.').map(Number);

test('an installation as npm makes it loads', (t) => {
  assert.deepEqual(install(t).load(), { loaded: VERSION });
});

test('a package that is a link loads, also with --preserve-symlinks', {
  skip: process.platform === 'win32' && 'links need rights there',
}, (t) => {
  const { at } = install(t);
  const app = folder(t);
  mkdirSync(path.join(app, 'node_modules', '@escher'), { recursive: true });
  symlinkSync(at('execution-engine'), path.join(app, 'node_modules', '@escher', 'execution-engine'));
  for (const flags of [[], ['--preserve-symlinks'], ['--preserve-symlinks', '--preserve-symlinks-main']])
    assert.deepEqual(load(app, { flags }), { loaded: VERSION }, flags.join(' '));
});

describe('a package that is missing', () => {
  test('was left out', (t) => {
    failedHere(
      install(t, { targets: [] }).load(),
      new RegExp(`^the package ${PLATFORM_PACKAGE} is not installed`),
      /--omit=optional.*npm install @escher/,
    );
  });

  const locks = {
    'package-lock.json': (names) =>
      JSON.stringify({
        packages: Object.fromEntries(
          names.map((name) => [`node_modules/${name}`, { optionalDependencies: { [PLATFORM_PACKAGE]: VERSION } }]),
        ),
      }),
    'yarn.lock': (names) =>
      names.map((name) => `"${name}@${VERSION}":\n  optionalDependencies:\n    "${PLATFORM_PACKAGE}" "${VERSION}"\n`).join('\n'),
    'pnpm-lock.yaml': (names) =>
      names.map((name) => `  '${name}@${VERSION}':\n    optionalDependencies:\n      '${PLATFORM_PACKAGE}': ${VERSION}\n`).join('\n'),
    'bun.lock': (names) =>
      names
        .map((name) => `"${name}": ["${name}@${VERSION}", "", { "optionalDependencies": { "${PLATFORM_PACKAGE}": "${VERSION}" } }]`)
        .join('\n'),
  };
  for (const [lock, text] of Object.entries(locks)) {
    test(`is not in ${lock}`, (t) => {
      const { app, load } = install(t, { targets: [] });
      const names = ['@escher/execution-engine', '@escher/execution-engine-aix-ppc64'];
      writeFileSync(path.join(app, lock), text(names));
      failedHere(load(), new RegExp(`^the package ${PLATFORM_PACKAGE} is not in the lock file .*${lock}`), /another system.*install again/);
      writeFileSync(path.join(app, lock), text([...names, PLATFORM_PACKAGE]));
      failedHere(load(), /^the package .* is not installed/, /--omit=optional/);
    });
  }

  test('while that of another system is there', (t) => {
    const other = TARGET.startsWith('darwin') ? 'linux-x64-gnu' : 'darwin-arm64';
    failedHere(
      install(t, { targets: [other] }).load(),
      new RegExp(`^the package ${PLATFORM_PACKAGE} is not installed, but that of ${other} is`),
      /installed on another system.*delete node_modules/,
    );
  });

  test('has no addon in it', (t) => {
    const { addon, load } = install(t);
    rmSync(addon);
    failedHere(load(), new RegExp(`^the package ${PLATFORM_PACKAGE} has no addon in it`), /install again/);
  });

  const manifests = {
    'is missing': { put: rmSync, problem: /package\.json is missing: delete node_modules/ },
    'is cut short': { put: (file) => truncateSync(file, 10), problem: /package\.json is damaged: delete node_modules/ },
    'has no object': { put: (file) => writeFileSync(file, 'null'), problem: /package\.json is damaged: delete node_modules/ },
  };
  for (const [how, { put, problem }] of Object.entries(manifests)) {
    test(`has a package.json that ${how}`, (t) => {
      const { at, load } = install(t);
      put(at(`execution-engine-${TARGET}`, 'package.json'));
      failedHere(load(), new RegExp(`^the package ${PLATFORM_PACKAGE} is damaged: `), problem);
    });
  }

  test('is a link that leads nowhere', { skip: process.platform === 'win32' && 'links need rights there' }, (t) => {
    const { at, load } = install(t, { targets: [] });
    symlinkSync('/nowhere/at/all', at(`execution-engine-${TARGET}`));
    failedHere(load(), new RegExp(`^the package ${PLATFORM_PACKAGE} is damaged: `), /delete node_modules/);
  });

  test('may not be read', { skip: (process.platform === 'win32' || process.getuid() === 0) && 'root may read everything' }, (t) => {
    const { at, load } = install(t);
    chmodSync(at(`execution-engine-${TARGET}`), 0);
    const outcome = load();
    chmodSync(at(`execution-engine-${TARGET}`), 0o700);
    failedHere(outcome, new RegExp(`^the package ${PLATFORM_PACKAGE} may not be read`), /permission/);
  });

  test('in a folder of sources', (t) => {
    const { at, load } = install(t, { targets: [] });
    writeFileSync(at('execution-engine', 'Cargo.toml'), '');
    failedHere(load(), /^the addon was not built/, /npm run build/);
  });

  test('in a bundle', (t) => {
    const app = folder(t);
    copyFileSync(new URL('../dist/engine.js', import.meta.url), path.join(app, 'bundle.cjs'));
    failedHere(
      load(app, { specifier: './bundle.cjs' }),
      /^@escher\/execution-engine was bundled without its addon/,
      /external.*beside the bundle/,
    );
    copyFileSync(ADDON, path.join(app, path.basename(ADDON)));
    assert.deepEqual(load(app, { specifier: './bundle.cjs' }), { loaded: VERSION });
  });
});

test('a single executable', { skip: major === 20 && minor < 12 && 'this Node.js makes none that can be asked' }, (t) => {
  const app = folder(t);
  copyFileSync(new URL('../dist/engine.js', import.meta.url), path.join(app, 'bundle.cjs'));
  const before = "require('node:sea').isSea = () => true;";
  failedHere(
    load(app, { specifier: './bundle.cjs', before }),
    /^a single executable application contains no addon/,
    /beside the executable/,
  );
});

describe('a file', () => {
  const contents = {
    'that is empty': () => Buffer.alloc(0),
    'of text': () => Buffer.from('<html>404 Not Found</html>'.repeat(10)),
    'of a pointer': () => Buffer.from('version https://git-lfs.github.com/spec/v1\n'),
    'that is cut short by a byte': (whole) => whole.subarray(0, -1),
    'that is cut short by half': (whole) => whole.subarray(0, whole.length / 2),
    'that is cut short to its header': (whole) => whole.subarray(0, 64),
  };
  for (const [name, content] of Object.entries(contents)) {
    test(name, onLinux, (t) => {
      const { addon, load } = install(t);
      writeFileSync(addon, content(readFileSync(addon)));
      failedHere(load(), /^the addon .*\.node is damaged: it /, /delete node_modules and install again/);
    });
  }

  test('whose end was never written', onLinux, (t) => {
    for (const bytes of [64, 4096, 2 ** 20]) {
      const { addon, load } = install(t);
      const whole = readFileSync(addon);
      writeFileSync(addon, whole.fill(0, whole.length - bytes));
      failedHere(load(), /^the addon .*\.node is damaged: the table at its end is missing/, /delete node_modules and install again/);
    }
  });

  test('that is a pipe', { skip: process.platform === 'win32' && 'a pipe is no file there' }, (t) => {
    const { addon, load } = install(t);
    rmSync(addon);
    assert.equal(spawnSync('mkfifo', [addon]).status, 0);
    failedHere(load(), /^the addon .*\.node is damaged: it is not a regular file/, /install again/);
  });

  for (const [system, whole] of Object.entries({ darwin: machO, win32: pe })) {
    test(`for ${system}, by its header`, (t) => {
      const file = path.join(folder(t), 'x.node');
      const found = (bytes) => {
        writeFileSync(file, bytes);
        return flaw(file, system);
      };
      const bytes = whole(process.arch);
      assert.equal(found(bytes), undefined);
      assert.deepEqual(found(bytes.subarray(0, -1)), { kind: 'damaged', how: `it has ${bytes.length - 1} of ${bytes.length} bytes` });
      const other = process.arch === 'x64' ? 'arm64' : 'x64';
      assert.deepEqual(found(whole(other)), { kind: 'machine', machine: other });
      for (const junk of [Buffer.from('<html>404</html>'), bytes.subarray(0, 20), Buffer.alloc(500)])
        assert.match(found(junk).how, /it is not a .* library/);
      assert.equal(found(Buffer.alloc(0)).how, 'it is empty');
    });
  }

  test('of another processor', onLinux, (t) => {
    const { addon, load } = install(t);
    const bytes = readFileSync(addon);
    bytes.writeUInt16LE(process.arch === 'arm64' ? 62 : 183, 18);
    writeFileSync(addon, bytes);
    failedHere(load(), /^the addon .*\.node is for (arm64|x64), and this Node\.js is for/, /install again/);
  });

  const needed = process.platform === 'linux' ? inspect(ADDON).glibc : undefined;
  test('that needs a newer C library', { skip: !needed && 'the addon needs no glibc' }, (t) => {
    const { addon, load } = install(t);
    const version = needed.replace(/^2/, '9');
    const [name, newer] = [needed, version].map((it) => `\0GLIBC_${it}\0`);
    writeFileSync(addon, readFileSync(addon).toString('latin1').replaceAll(name, newer), 'latin1');
    failedHere(
      load(),
      /^the C library of this system is too old for the addon/,
      new RegExp(`: use a system with glibc ${version} or newer`),
    );
  });

  test('that is a library, and no addon', onLinux, (t) => {
    const { addon, load } = install(t);
    const bytes = readFileSync(addon);
    // The dynamic section names no C library that exists.
    const names = ['libc.so.6', 'libc.so', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'].map((name) => Buffer.from(`\0${name}\0`));
    for (const name of names)
      for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1)) bytes.write('X', at + '\0lib'.length, 'latin1');
    writeFileSync(addon, bytes);
    failedHere(load(), /^the system refused to load the addon \(.*\.node\)/, /it said: .*libX\./);
  });

  test('that may not be read', { skip: (process.platform === 'win32' || process.getuid() === 0) && 'root may read everything' }, (t) => {
    const { addon, load } = install(t);
    chmodSync(addon, 0);
    failedHere(load(), /^the addon may not be read/, /permission/);
  });
});

test('a Node.js that is too old', (t) => {
  const before = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.8' } });`;
  failedHere(install(t).load({ before }), /^Node\.js 18\.20\.8 is too old/, /20 or newer/);
  // These are the functions that Node.js 14 lacks beyond that.
  failedHere(install(t).load({ before: `delete Object.hasOwn; ${before}` }), /^Node\.js 18\.20\.8 is too old/, /20 or newer/);
  assert.doesNotMatch(readFileSync(new URL('../dist/engine.js', import.meta.url), 'utf8'), /(\?\?|\|\||&&)= /, 'it cannot parse these');
});

describe('a system', () => {
  const pretend = (system) =>
    Object.entries(system)
      .map(([name, value]) => `Object.defineProperty(process, '${name}', { value: ${JSON.stringify(value)} });`)
      .join('\n');

  test('that there is no addon for', (t) => {
    for (const system of [{ platform: 'freebsd' }, { platform: 'linux', arch: 'ia32' }, { platform: 'win32', arch: 'ia32' }]) {
      const outcome = install(t).load({ before: pretend(system) });
      assert.match(
        outcome.message,
        new RegExp(
          `^there is no addon for ${system.platform} ${system.arch ?? process.arch}: use one of darwin-arm64, .*\\(this is ${system.platform}`,
        ),
      );
    }
  });

  test('whose package is not that of the installation', (t) => {
    const systems = {
      'darwin-arm64': { platform: 'darwin', arch: 'arm64' },
      'darwin-x64': { platform: 'darwin', arch: 'x64' },
      'win32-x64-msvc': { platform: 'win32', arch: 'x64' },
      'win32-arm64-msvc': { platform: 'win32', arch: 'arm64' },
    };
    const { load } = install(t, { targets: ['linux-x64-gnu', 'linux-arm64-musl'] });
    for (const [target, system] of Object.entries(systems)) {
      const { message } = load({ before: pretend(system) });
      assert.match(
        message,
        new RegExp(`^the package @escher/execution-engine-${target} is not installed, but that of linux-arm64-musl and linux-x64-gnu is`),
      );
      assert.ok(
        message.endsWith(`(this is ${system.platform} ${system.arch}; the addon for it is @escher/execution-engine-${target}@${VERSION})`),
        message,
      );
    }
  });

  test('with another C library', onLinux, (t) => {
    const { app, load } = install(t, { targets: [`linux-${process.arch}-gnu`] });
    const musl = path.join(app, 'node');
    writeFileSync(musl, elf(`/lib/ld-musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`));
    for (const execPath of [musl, '/opt/lib/ld-musl-x86_64.so.1']) {
      const { message } = load({ before: pretend({ execPath }) });
      assert.match(
        message,
        new RegExp(
          `^the package @escher/execution-engine-linux-${process.arch}-musl is not installed, but that of linux-${process.arch}-gnu is: .*another C library`,
        ),
      );
      assert.match(message, /\(this is linux \w+ musl; the addon for it is @escher\/execution-engine-linux-\w+-musl@/);
    }
  });

  test('whose C library is found without a program, and without reading the own one', onLinux, (t) => {
    const { load } = install(t);
    const before = `for (const name of ['spawn', 'spawnSync', 'execSync', 'execFileSync']) require('node:child_process')[name] = () => { throw new Error('it ran a program'); };`;
    assert.deepEqual(load({ before, env: { PATH: '' } }), { loaded: VERSION });
    assert.deepEqual(load({ before: before + pretend({ execPath: '/nowhere/node' }), env: { PATH: '' } }), { loaded: VERSION });
  });

  test('whose settings of reports stay as they are', onLinux, (t) => {
    const { app, load } = install(t);
    load({ before: pretend({ execPath: '/nowhere/node' }) });
    const source = `require('./main.cjs'); console.log(process.report.excludeNetwork);`;
    const { stdout } = spawnSync(process.execPath, ['-e', source], { cwd: app, encoding: 'utf8' });
    assert.equal(stdout, `{"loaded":"${VERSION}"}${process.report.excludeNetwork}\n`);
  });
});

describe('another version', () => {
  test('of the package of the platform', (t) => {
    failedHere(
      install(t, { version: '0.0.3' }).load(),
      new RegExp(
        `^the addon .*\\.node is of version 0\\.0\\.3, and @escher/execution-engine is of version ${VERSION.replaceAll('.', '\\.')}`,
      ),
      /same version/,
    );
  });

  test('of the addon itself', (t) => {
    const { at, load } = install(t);
    const facade = at('execution-engine', 'dist', 'engine.js');
    writeFileSync(facade, readFileSync(facade, 'utf8').replaceAll(`"${VERSION}"`, '"9.9.9"'));
    writeFileSync(
      at(`execution-engine-${TARGET}`, 'package.json'),
      JSON.stringify({ name: PLATFORM_PACKAGE, version: '9.9.9', main: path.basename(ADDON) }),
    );
    const { message } = load();
    assert.match(
      message,
      new RegExp(
        `^the addon .*\\.node is of version ${VERSION.replaceAll('.', '\\.')}, and @escher/execution-engine is of version 9\\.9\\.9`,
      ),
    );
  });

  test('of an addon that names none', (t) => {
    const { at, load } = install(t);
    writeFileSync(at(`execution-engine-${TARGET}`, 'package.json'), JSON.stringify({ name: PLATFORM_PACKAGE, main: 'other.js' }));
    writeFileSync(at(`execution-engine-${TARGET}`, 'other.js'), `module.exports = { NativeEngine: class {} };${' '.repeat(64)}`);
    const outcome = load();
    assert.equal(outcome.code, 'ADDON_NOT_LOADED');
  });
});

describe('NAPI_RS_NATIVE_LIBRARY_PATH', () => {
  test('names an addon in place of the installed one', (t) => {
    const { load } = install(t, { targets: [] });
    assert.deepEqual(load({ env: { NAPI_RS_NATIVE_LIBRARY_PATH: ADDON } }), { loaded: VERSION });
  });

  test('names a file by a path from the current directory', (t) => {
    const { app, load } = install(t, { targets: [] });
    copyFileSync(ADDON, path.join(app, 'own.node'));
    for (const name of ['own.node', './own.node'])
      assert.deepEqual(load({ env: { NAPI_RS_NATIVE_LIBRARY_PATH: name } }), { loaded: VERSION });
  });

  test('names a folder', (t) => {
    const { app, load } = install(t);
    mkdirSync(path.join(app, 'x.node'));
    failedHere(
      load({ env: { NAPI_RS_NATIVE_LIBRARY_PATH: 'x.node' } }),
      /^the addon .*x\.node is damaged: it is not a regular file/,
      /correct/,
    );
  });

  test('names an addon with another ending', (t) => {
    const { app, load } = install(t);
    copyFileSync(ADDON, path.join(app, 'own.so'));
    failedHere(
      load({ env: { NAPI_RS_NATIVE_LIBRARY_PATH: 'own.so' } }),
      /^NAPI_RS_NATIVE_LIBRARY_PATH names .*own\.so, whose name does not end in \.node/,
      /rename/,
    );
  });

  test('names nothing', (t) => {
    failedHere(
      install(t).load({ env: { NAPI_RS_NATIVE_LIBRARY_PATH: '/nowhere/x.node' } }),
      /^NAPI_RS_NATIVE_LIBRARY_PATH names \/nowhere\/x\.node, which does not exist/,
      /remove it/,
    );
  });

  test('names a file that is cut short', onLinux, (t) => {
    const file = path.join(folder(t), 'x.node');
    copyFileSync(ADDON, file);
    truncateSync(file, 100_000);
    failedHere(
      install(t).load({ env: { NAPI_RS_NATIVE_LIBRARY_PATH: file } }),
      /^the addon .*x\.node is damaged/,
      /correct NAPI_RS_NATIVE_LIBRARY_PATH/,
    );
  });
});

/** Returns the beginning of a 64-bit program that names a loader. */
function elf(loader) {
  const bytes = Buffer.alloc(64 + 56 + loader.length + 1);
  bytes.writeUInt32BE(0x7f454c46, 0);
  bytes[4] = 2;
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(3, 64);
  bytes.writeBigUInt64LE(120n, 64 + 8);
  bytes.writeBigUInt64LE(BigInt(loader.length + 1), 64 + 32);
  bytes.write(loader, 120, 'latin1');
  return bytes;
}

/** Returns the beginning of a library of macOS with one segment that is 8 KiB long, and the rest of it. */
function machO(arch) {
  const bytes = Buffer.alloc(8192);
  bytes.writeUInt32LE(0xfeedfacf, 0);
  bytes.writeUInt32LE({ x64: 0x01000007, arm64: 0x0100000c }[arch], 4);
  bytes.writeUInt32LE(2, 16);
  // A command of another kind comes first.
  bytes.writeUInt32LE(0x1b, 32);
  bytes.writeUInt32LE(24, 36);
  bytes.writeUInt32LE(0x19, 56);
  bytes.writeUInt32LE(72, 60);
  bytes.writeBigUInt64LE(4096n, 56 + 40);
  bytes.writeBigUInt64LE(4096n, 56 + 48);
  return bytes;
}

/** Returns the beginning of a library of Windows with one section, and the rest of it. */
function pe(arch) {
  const bytes = Buffer.alloc(8192);
  bytes.write('MZ', 0);
  bytes.writeUInt32LE(128, 60);
  bytes.write('PE', 128);
  bytes.writeUInt16LE({ x64: 0x8664, arm64: 0xaa64 }[arch], 132);
  bytes.writeUInt16LE(1, 134);
  bytes.writeUInt16LE(240, 148);
  bytes.writeUInt32LE(4096, 152 + 240 + 16);
  bytes.writeUInt32LE(4096, 152 + 240 + 20);
  return bytes;
}
