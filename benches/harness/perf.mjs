// Measures which threads use processor time, and for what: runs `perf` and names its samples.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { HANGS_AFTER_MS } from './runner.mjs';

const SAMPLES_PER_SECOND = 5000;

/** Returns `null`, or why there is no `perf` that works here. */
export function whyNoPerf() {
  const { status, error } = spawnSync('perf', ['record', '-q', '-e', 'cpu-clock', '-g', '-o', '/dev/null', '--', 'true'], {
    stdio: 'ignore',
  });
  if (error) return 'perf is not installed';
  return status === 0 ? null : 'the kernel does not permit perf (kernel.perf_event_paranoid)';
}

/**
 * Runs a script of Node.js, which gets the path of a pipe as its first argument. Between the lines `enable` and `disable` that it
 * writes into it, every sample of the script and its children is kept: `[{ comm, pid, tid, frames: [{ name, file, isKernel }] }]`, the
 * innermost frame first. The script prints its process id first.
 */
export function sample(script, args) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'escher-perf-'));
  try {
    const [control, data] = [path.join(folder, 'control'), path.join(folder, 'data')];
    done('mkfifo', [control]);
    const record = [
      'record',
      '-q',
      '-D',
      '-1',
      `--control=fifo:${control}`,
      '-e',
      'cpu-clock',
      '-F',
      String(SAMPLES_PER_SECOND),
      '-g',
      '-o',
      data,
    ];
    const host = Number(done('perf', [...record, '--', process.execPath, script, control, ...args.map(String)]));
    const text = done('perf', ['script', '-i', data, '-F', 'comm,pid,tid,ip,sym,dso']);
    return { host, micros: 1e6 / SAMPLES_PER_SECOND, samples: readSamples(text) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function done(program, args) {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
    timeout: HANGS_AFTER_MS,
    killSignal: 'SIGKILL',
  });
  if (error || status !== 0) throw new Error(`${program} ${args[0]} failed: ${error?.message ?? stderr}`);
  return stdout;
}

/** Parses the output of `perf script`: a head and its frames, then an empty line. */
export function readSamples(text) {
  return text.split('\n\n').flatMap((block) => {
    const [head, ...lines] = block.trim().split('\n');
    const found = /^(.+?)\s+(\d+)\/(\d+)\s*$/.exec(head);
    if (!found) return [];
    const frames = lines.flatMap((line) => {
      const frame = /^\s*([0-9a-f]+) (.*) \((.*)\)$/.exec(line);
      return frame ? [{ name: frame[2], file: path.basename(frame[3]), isKernel: /^ffff/.test(frame[1]) }] : [];
    });
    return [{ comm: found[1], pid: Number(found[2]), tid: Number(found[3]), frames }];
  });
}

const CALLS = [
  ['starting processes: `clone`, and its wait for `execve`', /^(clone|clone3|vfork)$/],
  [
    'waking, waiting, switching: `futex`, `epoll_wait`, `write` to an eventfd',
    /^(futex|epoll_pwait2?|epoll_wait|write|ppoll|clock_nanosleep|sched_yield|restart_syscall)$/,
  ],
  ['`epoll_ctl`', /^epoll_ctl$/],
  ['pipes: `pipe2`, `fcntl`, `read`, `close`', /^(pipe2|fcntl|read|close)$/],
  ['`pidfd_open`, `wait4`', /^(pidfd_open|wait4|waitid)$/],
  ['the environment: `process_vm_readv`', /^process_vm_readv$/],
  ['executing the program: `execve`', /^execve$/],
  ['exit: `exit_group`', /^exit(_group)?$/],
  ['memory: `mmap`, `mprotect`, `munmap`', /^(mmap|mprotect|munmap|brk|madvise)$/],
];

const FILES = [
  ['the addon', /\.node$/],
  ['V8 and Node.js', /^(node|perf-\d+\.map|libnode.*|\[JIT\].*)$/],
  ["the C library's loader", /^ld-(linux|musl)/],
  ['the C library', /^(libc|libm|libgcc_s|libstdc\+\+|libpthread)\b|^\[vdso\]$/],
];

/** Reads the features of the processor; in a virtual machine the hypervisor handles this instruction. */
const CPUID = /cpu_features|cpuid|handle_amd|handle_intel|intel_check_word|get_common|update_active|cacheinfo/;

/** Returns the name of the work that a sample belongs to. */
export function whatOf(frames) {
  const [inner] = frames;
  if (!inner) return 'unknown';
  if (!inner.isKernel) {
    const named = FILES.find(([, file]) => file.test(inner.file))?.[0] ?? 'the program itself';
    return named.endsWith('loader') && CPUID.test(inner.name) ? '`cpuid` in the loader of the C library' : named;
  }
  const call = callOf(frames.filter(({ isKernel }) => isKernel).map(({ name }) => name));
  if (call !== null) return CALLS.find(([, name]) => name.test(call))?.[0] ?? 'other system calls';
  return frames.some(({ name }) => /page_fault/.test(name)) ? 'page faults' : 'interrupts';
}

/** Returns the system call that the kernel executes, by its stack; null if it executes none. */
function callOf(names) {
  const entry = names.findLastIndex((name) => /^(do_syscall_64|invoke_syscall|do_el0_svc)$/.test(name));
  if (entry < 0) return null;
  // The outermost first: a call may contain others, and the compiler may have inlined a function.
  for (const name of names.slice(0, entry).reverse()) {
    const call = /^(?:__(?:x64|arm64|se|do)_sys|ksys)_(\w+?)(?:_pgoff)?(?:\.\w+)*$/.exec(name)?.[1];
    if (call) return call;
    const part = PARTS.find(([function_]) => function_.test(name));
    if (part) return part[1];
  }
  return 'unknown';
}

/** Functions of the kernel that identify a call whose own function was inlined. */
const PARTS = [
  [/^vm_mmap_pgoff/, 'mmap'],
  // At the end of a call the scheduler may switch to another process.
  [/^exit_to_user_mode/, 'sched_yield'],
  [/^futex_wait/, 'futex'],
];
