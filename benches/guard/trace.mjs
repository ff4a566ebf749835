// Reads what `strace -f -y` writes: which system calls a host makes itself, apart from the programs that it runs.

/** The calls by which threads wait for each other: their number depends on timing, so these are counted apart. */
const WAITING = /^(futex|epoll_p?wait2?|poll|ppoll|sched_yield|restart_syscall|rt_sigreturn|clock_nanosleep|nanosleep)$/;
const WAKING = /^(read|write)$/;
/** Calls of the allocators and the garbage collector, whose number varies; `getpid` is called by V8, never by the engine. */
const MEMORY = /^(mmap|munmap|mprotect|mremap|madvise|brk|getpid)$/;

/**
 * Counts by kind: the `calls` of the host's threads; their `waits` and wake-ups; what they do about `memory`; and those of
 * a `child` between its birth and its own program.
 *
 * @param {string} trace
 */
export function countCalls(trace) {
  const lines = trace.split('\n');
  const births = readBirths(lines);
  const counts = { calls: 0, waits: 0, memory: 0, child: 0 };
  /** The threads whose program is another one by now. */
  const gone = new Set();
  /** For each thread, the count to which its last call was added. @type {Map<string, keyof typeof counts>} */
  const last = new Map();
  let host;
  for (const line of lines) {
    const [, pid, resumed, name, rest] = /^(\d+) +(<\.\.\. )?(\w+)(.*)$/.exec(line) ?? [];
    if (!pid || !name || (!resumed && !rest.startsWith('('))) continue;
    host ??= pid;
    const isChild = !isOfHost(pid, host, births);
    // Calls of the programs that are started do not count for the host, not even before they have a program of their own.
    if (gone.has(pid) || (isChild && !isOfHost(births.get(pid)?.parent ?? '', host, births))) continue;
    if (!resumed) {
      const kind = isChild ? 'child' : kindOf(name, rest);
      counts[kind]++;
      last.set(pid, kind);
    }
    // A look at what has nothing yet: the wait begins with it.
    if (/ = -1 EAGAIN /.test(line) && last.get(pid) === 'calls') {
      counts.calls--;
      counts.waits++;
    }
    if (isChild && name.startsWith('execve') && / = 0$/.test(line)) gone.add(pid);
  }
  return counts;
}

/**
 * Counts how often a file of one of these processes was opened in /proc.
 *
 * @param {string} trace @param {number[]} pids
 */
export function countReads(trace, pids) {
  const own = new Set(pids.map(String));
  const opened = trace.matchAll(/openat\([^,]*, "\/proc\/(\d+)\//g);
  return [...opened].filter(([, pid]) => own.has(pid)).length;
}

/** @param {string} name @param {string} rest */
function kindOf(name, rest) {
  if (WAITING.test(name) || (WAKING.test(name) && rest.includes('<anon_inode:[eventfd'))) return 'waits';
  return MEMORY.test(name) ? 'memory' : 'calls';
}

/**
 * Returns the parent of each process or thread. The line that reports a creation may come after the first lines of the new one.
 *
 * @param {string[]} lines
 */
function readBirths(lines) {
  /** @type {Map<string, { parent: string, isThread: boolean }>} */
  const births = new Map();
  /** @type {Map<string, boolean>} */
  const underWay = new Map();
  for (const line of lines) {
    const [, parent, resumed] = /^(\d+) +(<\.\.\. )?(?:clone3?|v?fork)\b/.exec(line) ?? [];
    if (!parent) continue;
    const isThread = resumed ? underWay.get(parent) === true : line.includes('CLONE_THREAD');
    const [, born] = / = (\d+)(?:<.*>)?$/.exec(line) ?? [];
    if (born) births.set(born, { parent, isThread });
    else underWay.set(parent, isThread);
  }
  return births;
}

/** @param {string} pid @param {string} host @param {ReturnType<typeof readBirths>} births */
function isOfHost(pid, host, births) {
  let at = pid;
  while (at !== host) {
    const birth = births.get(at);
    if (!birth?.isThread) return false;
    at = birth.parent;
  }
  return true;
}
