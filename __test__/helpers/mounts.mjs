// Disks that are full, frozen or do not answer, each in a mount namespace of its own.
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';

const INDEX = JSON.stringify(path.resolve('index.js'));
const has = (program, ...args) => spawnSync(program, args, { timeout: 30_000 }).status === 0;
const linux = process.platform === 'linux' ? false : 'needs Linux';

/** The reason why there can be no small disk; `false` when there can be one. */
export const noSmallDisk = linux || (has('unshare', '-rm', 'true') ? false : 'SKIPPED: `unshare -rm` does not work here');

/** A disk that can be frozen: a file system in a file. */
const FREEZABLE = 'dd if=/dev/zero of="$1.img" bs=1M count=16 status=none && mkfs.ext4 -q "$1.img" && mount -o loop "$1.img" "$1"';
const freezes = () =>
  has(
    'unshare',
    '-m',
    'sh',
    '-c',
    `d=$(mktemp -d) && set -- "$d/x" && mkdir "$1" && ${FREEZABLE} && fsfreeze -f "$1" && fsfreeze -u "$1" && umount "$1" && rm -r "$d"`,
  );
export const noFreezableDisk = linux || (freezes() ? false : 'SKIPPED: loop mounts and `fsfreeze` do not work here');

/** Mounts a file system whose server never answers, as a network disk whose server is gone, and runs a program beside it. */
const DEAD_SERVER = `
import ctypes, os, subprocess, sys
fd = os.open('/dev/fuse', os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = f'fd={fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}'
if libc.mount(b'dead', sys.argv[1].encode(), b'fuse', 0, options.encode()) != 0:
    sys.exit('mount: ' + os.strerror(ctypes.get_errno()))
sys.exit(subprocess.run(sys.argv[2:], timeout=100).returncode)
`;
const mountsDeadServer = () =>
  has('unshare', '-m', 'sh', '-c', 'd=$(mktemp -d) && python3 -c "$1" "$d" true && umount -l "$d" && rmdir "$d"', 'sh', DEAD_SERVER);
export const noDeadServer = linux || (mountsDeadServer() ? false : 'SKIPPED: FUSE mounts do not work here');

const PRELUDE = `
  const fs = require('node:fs'); const path = require('node:path');
  const { setTimeout: sleep } = require('node:timers/promises');
  const { execFileSync, spawn } = require('node:child_process');
  const { ExecutionEngine } = require(${INDEX});
  const [dir, healthy] = process.argv.slice(1);
  const shell = (command, more) => ({ command: { type: 'shell', command }, ...more });
  const say = (value) => fs.writeSync(1, JSON.stringify(value));
  const until = async (condition) => { while (!(await condition())) await sleep(5); };
  // The longest time for which the event loop did not turn.
  let [turned, longest] = [performance.now(), 0];
  setInterval(() => { const now = performance.now(); longest = Math.max(longest, now - turned); turned = now; }, 10).unref();
`;

/** Runs a host's program and returns what it says, as JSON. */
async function host(words) {
  const child = spawn(words[0], words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], timeout: 110_000, killSignal: 'SIGKILL' });
  let [said, wrong] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (wrong += text));
  const [code, signal] = await new Promise((resolve) => child.on('close', (...end) => resolve(end)));
  if (code !== 0) throw new Error(`the host ended with ${code ?? signal}: ${said}${wrong}`);
  return JSON.parse(said);
}

const node = (source, dir, healthy) => [process.execPath, '-e', `${PRELUDE}(async () => {${source}\n})();`, dir, healthy];

/** Returns a program with a disk of so many bytes at `dir`. */
export const withSmallDisk = (dir, size, source) =>
  host([
    'unshare',
    '-rm',
    'sh',
    '-c',
    'mount -t tmpfs -o size="$2" none "$1" && shift 2 && exec "$@"',
    'sh',
    dir,
    String(size),
    ...node(source, dir, dir),
  ]);

/** Returns a program with a disk at `dir` that it freezes by `freeze()`; `thaw()` ends that, and so does the end of the test. */
export function withFreezableDisk(dir, healthy, source) {
  const more = `const freeze = () => execFileSync('fsfreeze', ['-f', dir]); const thaw = () => execFileSync('fsfreeze', ['-u', dir]);`;
  // Threads that wait for a frozen disk cannot be killed: whatever happens, it is thawed.
  const script = `${FREEZABLE} || exit 1; dir=$1; shift; timeout -k 1 90 "$@" & node=$!; (sleep 80; fsfreeze -u "$dir") 2>/dev/null >&2 & guard=$!; wait $node; rc=$?; kill $guard; fsfreeze -u "$dir" 2>/dev/null; umount "$dir"; rm -f "$dir.img"; exit $rc`;
  return host(['unshare', '-m', 'sh', '-c', script, 'sh', dir, ...node(more + source, dir, healthy)]);
}

/** Returns a program with a disk at `dir` that never answers. */
export const withDeadServer = (dir, healthy, source) =>
  host(['unshare', '-m', 'python3', '-c', DEAD_SERVER, dir, ...node(source, dir, healthy)]);
