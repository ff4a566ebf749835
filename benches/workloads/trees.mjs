// The time to end many trees at once, and the delay of other work meanwhile.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

/** The timeouts, some of which pass while many trees end. */
const TIMEOUTS_MS = [50, 100, 200, 300];
/** Prints when it has had the stop signal, in seconds. */
const notes = { command: { type: 'exec', program: 'bash', args: ['-c', "trap 'echo $EPOCHREALTIME; exit' TERM; sleep 300 & wait"] } };
/** A shell and a child of it; the line says that both run. */
const TREE = 'sleep 300 & echo; wait';
const tree = { command: { type: 'shell', command: TREE } };
const TREE_SIZE = 2;

/**
 * Returns the microseconds for each of so many trees, from the request until the last is gone. The rest is about timeouts of another
 * engine, before it (`alone`) and meanwhile (`late`, `over`).
 */
export async function endTrees(count) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  const [engine, other] = [new ExecutionEngine({ maxConcurrentExecutions: count, maxInMemoryExecutions: count }), new ExecutionEngine()];
  let running = 0;
  const all = new Promise((resolve) => engine.on('stdout', () => (running += 1) === count && resolve()));
  const ids = await Promise.all(Array.from({ length: count }, () => engine.execute(tree)));
  await all;
  const { signalled: alone } = await lateness(other);
  const start = performance.now();
  const meanwhile = lateness(other);
  await engine.cancelAll();
  const value = ((performance.now() - start) * 1_000) / count;
  const { signalled: late, over } = await meanwhile;
  for (const id of ids) {
    const { status, signal, killed } = engine.getResult(id);
    if (status !== 'cancelled' || signal !== 'SIGTERM' || killed.pids.length !== TREE_SIZE || /unreaped/.test(killed.mechanism))
      throw new Error(`a tree has ended otherwise: ${status}, ${killed?.pids.length} processes, ${killed?.mechanism}`);
  }
  await Promise.all([engine.shutdown(), other.shutdown()]);
  return { value, columns: { late, alone, over } };
}

/** Returns by how many ms the latest of an engine's timeouts is late: until the command has its signal, and until its end is known. */
async function lateness(engine) {
  const each = TIMEOUTS_MS.map(async (timeoutMs) => {
    const { status, durationMs, startedAt, stdout } = await engine.run({ ...notes, timeoutMs });
    if (status !== 'timeout') throw new Error(`the timeout has ended as ${status}`);
    return { signalled: Number(stdout) * 1_000 - startedAt.getTime() - timeoutMs, over: durationMs - timeoutMs };
  });
  const all = await Promise.all(each);
  return { signalled: Math.max(...all.map((it) => it.signalled)), over: Math.max(...all.map((it) => it.over)) };
}

/** Does the same by hand: a signal to each process group, without looking at what is left of it. */
export async function endGroups(count) {
  const children = Array.from({ length: count }, () => spawn('sh', ['-c', TREE], { stdio: ['ignore', 'pipe', 'pipe'], detached: true }));
  await Promise.all(children.map((child) => once(child.stdout, 'data')));
  const closed = Promise.all(children.map((child) => once(child, 'close')));
  const start = performance.now();
  for (const child of children) process.kill(-child.pid, 'SIGTERM');
  await closed;
  return { value: ((performance.now() - start) * 1_000) / count, columns: {} };
}
