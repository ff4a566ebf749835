// Which process gets which signal, and when, for every way in which a tree ends: the table of docs/supervision.md.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { newEngine, timeOut } from './helpers/engine.mjs';
import { guarded, guardianOf } from './helpers/guardians.mjs';
import { stop } from './helpers/hosts.mjs';
import { Members } from './helpers/members.mjs';
import { allowed, succeedsOnce } from './helpers/pace.mjs';
import { file, forever, isAlive, runsOnLinux, until } from './helpers/programs.mjs';

const skip = !runsOnLinux('setsid', 'true') && 'needs setsid and the signals of Linux';

/** The grace period: time for the traps of all members, however slow the machine is. */
const GRACE_MS = 1_500;
/** Records the signals that it gets, and continues. */
const RECORDER = `
for signal in TERM INT HUP QUIT USR1 USR2 CONT; do trap "echo $signal >> '$DIR/$1.signals'" $signal; done
echo $$ > "$DIR/$1.pid"
while :; do sleep 0.02; done
`;
/** The command itself, a child in its process group, and a daemon. */
const ALL = ['a', 'b', 'c'];
const STARTS_OTHERS = 'sh "$DIR/recorder.sh" b & (setsid sh "$DIR/recorder.sh" c >/dev/null 2>&1 &);';

/** A tree whose every member records its signals. */
class Tree {
  constructor(t) {
    this.members = new Members(t);
    file(this.members.dir, 'recorder.sh', RECORDER);
  }

  request(more) {
    return this.members.shell(`${STARTS_OTHERS} exec sh "$DIR/recorder.sh" a`, more);
  }

  async pids() {
    return Promise.all(ALL.map((name) => this.members.pid(name)));
  }

  /** Returns the signals that each has recorded, in the order of their names: several at once come in no order. */
  recorded() {
    return ALL.map((name) => this.members.text(`${name}.signals`).split('\n').filter(Boolean).sort().join(' '));
  }

  /** Waits for the end of all; returns when that was, and how long it has taken since the first of them was seen to have a signal. */
  async gone(limitMs) {
    const pids = await this.pids();
    const isGone = () => pids.every((pid) => !isAlive(pid));
    await until(() => isGone() || this.recorded().some(Boolean), 'the ending has begun', 30_000);
    const startedAt = performance.now();
    await until(isGone, 'the tree is gone', limitMs);
    const at = performance.now();
    return { at, took: at - startedAt };
  }
}

const each = (text) => ALL.map(() => text);

/** Ends `tree` in this process; resolves to the id of the execution. */
const HERE = {
  'cancel()': async (engine, tree) => {
    const id = await engine.execute(tree.request());
    await tree.pids();
    await Promise.all([engine.cancel(id), engine.cancel(id)]);
  },
  'cancelAll()': async (engine, tree) => {
    await engine.execute(tree.request());
    await tree.pids();
    await engine.cancelAll();
  },
  'cancelPlan()': async (engine, tree) => {
    const id = await engine.executePlan({ description: 'one step', strategy: { type: 'serial' }, commands: [tree.request()] });
    await tree.pids();
    await engine.cancelPlan(id);
  },
  'an abort signal': async (engine, tree) => {
    const controller = new AbortController();
    const ended = engine.run(tree.request(), { signal: controller.signal });
    await tree.pids();
    controller.abort();
    await ended;
  },
  timeoutMs: async (engine, tree) => {
    const id = await engine.execute(tree.request({ timeoutMs: 600_000 }));
    await tree.pids();
    await timeOut(engine, id);
  },
  idleTimeoutMs: async (engine, tree) => {
    // It is silent when all its members are there.
    const says = 'while :; do if [ ! -s "$DIR/b.pid" ] || [ ! -s "$DIR/c.pid" ]; then echo; fi;';
    file(tree.members.dir, 'recorder.sh', RECORDER.replace('while :; do', says));
    await engine.run(tree.request(), { idleTimeoutMs: 3_000 });
  },
  'leaving the loop of a stream': async (engine, tree) => {
    for await (const event of engine.stream(tree.request())) {
      if (event.type !== 'started') continue;
      await tree.pids();
      break;
    }
  },
  'a stdin that fails': async (engine, tree) => {
    // biome-ignore lint/correctness/useYield: it fails before it has given anything
    const stdin = (async function* breaks() {
      await tree.pids();
      throw new Error('on purpose');
    })();
    await assert.rejects(engine.run(tree.request(), { stdin }));
  },
  'shutdown()': async (engine, tree) => {
    await engine.execute(tree.request());
    await tree.pids();
    await engine.shutdown();
  },
  'shutdown({ graceMs }), when that is up': async (engine, tree) => {
    await engine.execute(tree.request());
    await tree.pids();
    await engine.shutdown({ graceMs: 100 });
  },
};

describe('in a host that keeps running', { concurrency: 4, skip }, () => {
  for (const [way, end] of Object.entries(HERE)) {
    test(`${way}: the stop signal to every member once, SIGKILL after killGraceMs`, async (t) => {
      const tree = new Tree(t);
      const engine = newEngine(t, { killGraceMs: GRACE_MS });
      const gone = tree.gone(30_000);
      const startedAt = performance.now();
      await end(engine, tree);
      assert.deepEqual(tree.recorded(), each('CONT TERM'));
      const { at } = await gone;
      assert.ok(at - startedAt >= GRACE_MS, `killed after ${at - startedAt} ms`);
    });
  }

  test('oversizedOutputStrategy failExecution: the same', async (t) => {
    const tree = new Tree(t);
    const engine = newEngine(t, { killGraceMs: GRACE_MS, oversizedOutputStrategy: 'failExecution', maxOutputSizeBytes: 1_024 });
    file(
      tree.members.dir,
      'recorder.sh',
      RECORDER.replace(
        'while',
        'while [ ! -e "$DIR/c.pid" ] || [ ! -e "$DIR/b.pid" ]; do sleep 0.02; done; [ $1 = a ] && yes 0123456789 | head -n 1000; while',
      ),
    );
    const gone = tree.gone(30_000);
    const startedAt = performance.now();
    await assert.rejects(engine.run(tree.request()), { code: 'OUTPUT_SIZE_EXCEEDED' });
    assert.deepEqual(tree.recorded(), each('CONT TERM'));
    assert.ok((await gone).at - startedAt >= GRACE_MS);
  });

  test('a stopSignal: that one, and not SIGTERM', async (t) => {
    for (const stopSignal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
      const tree = new Tree(t);
      const engine = newEngine(t, { killGraceMs: GRACE_MS, stopSignal });
      await HERE['cancel()'](engine, tree);
      const signals = ['CONT', stopSignal.slice(3)].sort().join(' ');
      // Shells start background jobs so that these ignore what a keyboard sends.
      const others = ['SIGINT', 'SIGQUIT'].includes(stopSignal) ? 'CONT' : signals;
      assert.deepEqual(tree.recorded(), [signals, others, others]);
    }
  });

  for (const [way, config, options] of [
    ['killGraceMs: 0', { killGraceMs: 0 }, undefined],
    ['cancel({ graceMs: 0 })', {}, { graceMs: 0 }],
  ]) {
    test(`${way}: SIGKILL alone`, async (t) => {
      const tree = new Tree(t);
      const engine = newEngine(t, config);
      const id = await engine.execute(tree.request());
      const pids = await tree.pids();
      await engine.cancel(id, options);
      assert.deepEqual([tree.recorded(), pids.filter(isAlive)], [each(''), []]);
    });
  }

  test('signal(): the command alone, once, and no member is ended', async (t) => {
    const tree = new Tree(t);
    const engine = newEngine(t, { killGraceMs: 0 });
    const id = await engine.execute(tree.request());
    const pids = await tree.pids();
    await engine.signal(id, 'SIGUSR1');
    await tree.members.written('a.signals');
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual([tree.recorded(), pids.every(isAlive)], [['USR1', '', ''], true]);
  });

  test('a command that exits: its leftovers get nothing, or with leftovers kill the stop signal', async (t) => {
    for (const [leftovers, signals] of [
      ['leave', ''],
      ['kill', 'CONT TERM'],
    ]) {
      const tree = new Tree(t);
      const engine = newEngine(t, { killGraceMs: GRACE_MS });
      const ends = tree.members.shell(`${STARTS_OTHERS} while [ ! -s "$DIR/b.pid" ] || [ ! -s "$DIR/c.pid" ]; do sleep 0.02; done`);
      const { status } = await engine.run(ends, { leftovers });
      const pids = await Promise.all(['b', 'c'].map((name) => tree.members.pid(name)));
      assert.equal(status, 'completed');
      assert.deepEqual([tree.recorded(), pids.filter(isAlive).length], [['', signals, signals], leftovers === 'leave' ? 2 : 0]);
    }
  });

  test('what waits for its turn gets nothing: it never starts', async (t) => {
    const engine = newEngine(t, { maxConcurrentExecutions: 1, queueTimeoutMs: 50, killGraceMs: GRACE_MS });
    await engine.execute(forever);
    const tree = new Tree(t);
    const { reason, pid } = await engine.run(tree.request());
    assert.deepEqual([reason, pid], ['queue_timeout', null]);
    assert.equal(tree.members.text('a.pid'), '');
  });
});

/** Runs a host with a tree, and with code that ends the tree when it is given a line. */
async function running(t, config, source, flags) {
  const tree = new Tree(t);
  const host = await guarded(t, `${source.replace('TREE', JSON.stringify(tree.request()))}`, {
    config: { killGraceMs: 60_000, ...config },
    flags,
  });
  const pids = await tree.pids();
  return { tree, host, pids };
}

const RUNS = 'engine.execute(TREE);';
const ON_LINE = (code) => `${RUNS} process.stdin.once('data', () => { ${code} });`;

describe('a host that goes', { concurrency: 4, skip }, () => {
  const WAYS = {
    'process.exit()': [ON_LINE('process.exit(0);'), 'line'],
    'an uncaught exception': [ON_LINE('throw new Error("on purpose");'), 'line'],
    "the end of an unref'd program": [ON_LINE('engine.unref(); clearInterval(stays); process.stdin.destroy();'), 'line'],
    SIGTERM: [RUNS, 'SIGTERM'],
    SIGINT: [RUNS, 'SIGINT'],
    SIGHUP: [RUNS, 'SIGHUP'],
    SIGKILL: [RUNS, 'SIGKILL'],
    SIGSEGV: [RUNS, 'SIGSEGV'],
  };
  const end = (host, by) => (by === 'line' ? host.child.stdin.write('go\n') : host.kill(by));

  for (const [way, [source, by]] of Object.entries(WAYS)) {
    test(`${way}: the stop signal to every member once, SIGKILL after hostExitGraceMs`, async (t) => {
      const { tree, host } = await running(t, { hostExitGraceMs: GRACE_MS, stopSignal: 'SIGHUP' }, source);
      const gone = tree.gone(30_000);
      const endedAt = performance.now();
      end(host, by);
      await host.exited;
      const { at, took } = await gone;
      assert.deepEqual(tree.recorded(), each('CONT HUP'));
      // The time does not count from when the signal was seen, which a busy machine shows late.
      assert.ok(at - endedAt >= GRACE_MS, `killed after ${at - endedAt} ms`);
      assert.ok(took < allowed(GRACE_MS + 1_000), `killed after ${took} ms`);
    });
  }

  for (const way of ['process.exit()', "the end of an unref'd program"]) {
    test(`${way}: the grace period is hostExitGraceMs, however short killGraceMs is`, async (t) => {
      const { tree, host } = await running(t, { killGraceMs: 0, hostExitGraceMs: GRACE_MS }, WAYS[way][0]);
      const gone = tree.gone(30_000);
      const endedAt = performance.now();
      end(host, 'line');
      const { at } = await gone;
      assert.deepEqual(tree.recorded(), each('CONT TERM'));
      // With the other grace period there would be none.
      assert.ok(at - endedAt >= GRACE_MS, `killed after ${at - endedAt} ms`);
    });
  }

  test('while a cancel has sent the stop signal: no second one, and SIGKILL when the cancel would have', async (t) => {
    const { tree, host } = await running(
      t,
      { hostExitGraceMs: 60_000 },
      `
      const id = await engine.execute(TREE); process.stdin.once('data', () => engine.cancel(id, { graceMs: ${3 * GRACE_MS} }));`,
    );
    const gone = tree.gone(30_000);
    host.child.stdin.write('go\n');
    await until(() => tree.recorded().every((signals) => signals === 'CONT TERM'), 'the signal came');
    host.kill('SIGKILL');
    await gone;
    assert.deepEqual(tree.recorded(), each('CONT TERM'));
  });

  test('while only the command has had the stop signal: the others get it, and it gets no second one', async (t) => {
    const { tree, host } = await running(
      t,
      { hostExitGraceMs: GRACE_MS, stopOrder: 'leader' },
      `
      const id = await engine.execute(TREE); process.stdin.once('data', () => engine.cancel(id));`,
    );
    const gone = tree.gone(30_000);
    host.child.stdin.write('go\n');
    await until(() => tree.recorded()[0] === 'CONT TERM', 'the signal came');
    host.kill('SIGKILL');
    await gone;
    assert.deepEqual(tree.recorded(), each('CONT TERM'));
  });

  test('after a member that started during the grace period has had the stop signal: no second one', async (t) => {
    const tree = new Tree(t);
    const starts = `(trap : TERM; while [ ! -s "$DIR/a.signals" ]; do sleep 0.02; done; setsid sh "$DIR/recorder.sh" c & wait; wait) &`;
    const request = tree.members.shell(`${starts} sh "$DIR/recorder.sh" b & exec sh "$DIR/recorder.sh" a`);
    const host = await guarded(
      t,
      `const id = await engine.execute(${JSON.stringify(request)}); process.stdin.once('data', () => engine.cancel(id, { graceMs: ${4 * GRACE_MS} }));`,
      { config: { killGraceMs: 60_000, hostExitGraceMs: GRACE_MS } },
    );
    await Promise.all(['a', 'b'].map((name) => tree.members.pid(name)));
    host.child.stdin.write('go\n');
    const pids = await tree.pids();
    await until(() => tree.recorded().every((signals) => signals === 'CONT TERM'), 'the signal came');
    host.kill('SIGKILL');
    await until(() => !pids.some(isAlive), 'the tree is gone', allowed(4 * GRACE_MS));
    assert.deepEqual(tree.recorded(), each('CONT TERM'));
  });

  for (const way of ['process.exit()', 'an uncaught exception', "the end of an unref'd program"]) {
    test(`${way} with guardian false: the stop signal, SIGKILL within the half second that the exit waits`, async (t) => {
      const attempt = async () => {
        const { tree, host, pids } = await running(t, { guardian: false }, WAYS[way][0]);
        const endedAt = performance.now();
        end(host, 'line');
        await host.exited;
        // Processes that were killed at the last moment may still be ending.
        await until(() => !pids.some(isAlive), 'the tree is gone');
        const recorded = tree.recorded();
        for (const signals of recorded) assert.ok(['', 'CONT', 'TERM', 'CONT TERM'].includes(signals), signals);
        assert.ok(performance.now() - endedAt > 200, 'there was a grace period');
        return recorded.every((signals) => signals === 'CONT TERM');
      };
      await assert.doesNotReject(succeedsOnce(attempt), 'some have not had the signal');
    });
  }

  for (const signal of ['SIGTERM', 'SIGKILL']) {
    test(`${signal} with guardian false: nothing`, async (t) => {
      const { tree, host, pids } = await running(t, { guardian: false }, RUNS);
      end(host, signal);
      await host.exited;
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.deepEqual([tree.recorded(), pids.every(isAlive)], [each(''), true]);
    });
  }

  test('SIGKILL to the host and its guardian together: nothing', async (t) => {
    const { tree, host, pids } = await running(t, {}, RUNS);
    const guardian = await guardianOf(host.pid);
    // Stopped, the host starts no other guardian.
    await stop(host);
    process.kill(guardian, 'SIGKILL');
    host.kill('SIGKILL');
    await host.exited;
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual([tree.recorded(), pids.every(isAlive)], [each(''), true]);
  });
});

describe('an engine that goes before its host', { concurrency: 2, skip }, () => {
  const check = async (t, source, flags) => {
    const { tree, host } = await running(t, { hostExitGraceMs: 0 }, source, flags);
    const gone = tree.gone(30_000);
    const endedAt = performance.now();
    host.child.stdin.write('go\n');
    const { at } = await gone;
    assert.deepEqual(tree.recorded(), each('CONT TERM'));
    assert.ok(at - endedAt >= GRACE_MS, `killed after ${at - endedAt} ms`);
    assert.ok(isAlive(host.pid));
  };

  test('a worker that is terminated: the stop signal, SIGKILL after killGraceMs', (t) =>
    check(
      t,
      `
    const worker = new Worker(${JSON.stringify(`
      const { workerData } = require('node:worker_threads');
      const { ExecutionEngine } = require(${JSON.stringify(new URL('../index.js', import.meta.url).pathname)});
      new ExecutionEngine({ killGraceMs: ${GRACE_MS} }).execute(workerData);
    `)}, { eval: true, workerData: TREE, execArgv: [] });
    process.stdin.once('data', () => worker.terminate());`,
    ));

  test('an engine that is collected: the same', (t) =>
    check(
      t,
      `
    const start = () => { new ExecutionEngine({ killGraceMs: ${GRACE_MS} }).unref().execute(TREE); };
    start();
    process.stdin.once('data', () => setInterval(() => globalThis.gc(), 20));`,
      ['--expose-gc'],
    ));
});
