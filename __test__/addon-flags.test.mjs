// Flags of Node.js with which the addon is not loaded: the error names the flag, and what to do.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { buildSync } from 'esbuild';

import { ADDON, VERSION, failedHere, install } from './helpers/installations.mjs';
import { folder } from './helpers/programs.mjs';

const [major, minor] = process.versions.node.split('.').map(Number);

test('--no-addons', (t) => {
  failedHere(install(t).load({ flags: ['--no-addons'] }), /^addons are disabled by --no-addons/, /without that flag/);
});

test('--no-addons in NODE_OPTIONS', (t) => {
  failedHere(install(t).load({ env: { NODE_OPTIONS: '--no-addons' } }), /^addons are disabled by --no-addons/, /NODE_OPTIONS/);
});

const permission = major >= 24 ? '--permission' : '--experimental-permission';
const needsPermission = { skip: major === 20 && minor < 12 && 'this Node.js has no --allow-addons' };
test(`${permission} without --allow-addons`, needsPermission, (t) => {
  const { load } = install(t);
  failedHere(
    load({ flags: ['--no-warnings', permission, '--allow-fs-read=*'] }),
    /^the permission model allows no addons/,
    /with --allow-addons/,
  );
  assert.deepEqual(load({ flags: ['--no-warnings', permission, '--allow-fs-read=*', '--allow-addons'] }), { loaded: VERSION });
});

test(`${permission} with --allow-addons, and --no-addons in its other spelling`, needsPermission, (t) => {
  const { load } = install(t);
  for (const flag of ['--no-addons', '--no_addons'])
    failedHere(
      load({ flags: ['--no-warnings', permission, '--allow-fs-read=*', '--allow-addons', flag] }),
      /^addons are disabled by --no-addons/,
      /without that flag/,
    );
});

test(`${permission} that may not read the addon`, { skip: major === 20 && 'Node.js 20 lets every module be loaded' }, (t) => {
  const { app, at, load } = install(t);
  const readable = [path.join(app, 'main.cjs'), path.join(app, 'package.json'), `${at('execution-engine')}${path.sep}`];
  const outcome = load({ flags: ['--no-warnings', permission, ...readable.map((file) => `--allow-fs-read=${file}`), '--allow-addons'] });
  failedHere(
    outcome,
    /^(the permission model does not allow|the package .* was not found, as far as the permission model)/,
    /--allow-fs-read/,
  );
});

// Each of these runs the program while a snapshot is built of it.
const snapshots = {
  '--build-snapshot': ['--snapshot-blob', 'blob', '--build-snapshot', 'bundle.cjs'],
  '--build_snapshot': ['--snapshot-blob', 'blob', '--build_snapshot', 'bundle.cjs'],
  '--build-snapshot-config': ['--snapshot-blob', 'blob', '--build-snapshot-config', 'snapshot.json'],
  'the snapshot of a single executable': ['--experimental-sea-config', 'sea.json'],
};
for (const [name, flags] of Object.entries(snapshots)) {
  test(name, { skip: major === 20 && minor < 12 && 'this Node.js does not know each of these ways' }, (t) => {
    const app = folder(t);
    const contents = `require(${JSON.stringify(fileURLToPath(new URL('../dist/engine.js', import.meta.url)))})`;
    buildSync({
      stdin: { contents, resolveDir: app },
      bundle: true,
      platform: 'node',
      external: ['@escher/*'],
      outfile: path.join(app, 'bundle.cjs'),
    });
    copyFileSync(ADDON, path.join(app, path.basename(ADDON)));
    writeFileSync(path.join(app, 'snapshot.json'), JSON.stringify({ builder: 'bundle.cjs' }));
    writeFileSync(path.join(app, 'sea.json'), JSON.stringify({ main: 'bundle.cjs', output: 'blob', useSnapshot: true }));
    const { status, stderr } = spawnSync(process.execPath, flags, { cwd: app, encoding: 'utf8' });
    assert.notEqual(status, 0);
    assert.match(stderr, /a startup snapshot cannot hold a native addon: .*after the snapshot was deserialized/);
  });
}
