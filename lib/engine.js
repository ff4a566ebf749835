'use strict';

const { asId, pathOf, plainFilter, serial } = require('./arguments.js');
const { Board } = require('./board.js');
const channels = require('./channels.js');
const { isOwn, snapshot } = require('./environment.js');
const { fresh, fromNative, guard } = require('./errors.js');
const { readBatch } = require('./events.js');
const { asJson } = require('./json.js');
const { Listeners } = require('./listeners.js');
const { mark, settled } = require('./live.js');
const native = require('./native.js');
const { numberOf, onlyOption, plain, refusal, show, SUBJECTS } = require('./plain.js');
const { Outcome } = require('./result.js');
const { veil } = require('./secrets.js');
const { withinMs } = require('./shutdown.js');
const { onAbort, signalOf } = require('./signals.js');

/** What only some hosts use is loaded when it is used: every file costs each host a part of a millisecond. */
const later = {
  get input() {
    return require('./input.js');
  },
  get plan() {
    return require('./plan.js');
  },
  get stream() {
    return require('./stream.js');
  },
};

/** @typedef {InstanceType<typeof import('./result.js').Outcome>} ResultOutcome */
/** @typedef {import('./live.js').Live} Live */
/** @typedef {import('../index.js').ExecutionConfig} ExecutionConfig */
/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {import('../index.js').ExecutionOptions} ExecutionOptions */
/** @typedef {import('../index.js').ExecutionRequest} ExecutionRequest */
/** @typedef {import('../index.js').ExecutionPlan} ExecutionPlan */
/** @typedef {import('../index.js').OutputEvent<'stdout' | 'stderr', string | Buffer>} OutputEvent */
/** @typedef {import('../index.js').PlanOptions} PlanOptions */
/** @typedef {InstanceType<typeof import('./plan.js').LivePlan>} Plan */

/** JavaScript works through batches for so long before other work of the event loop has its turn, in ms. */
const TURN_MS = 4;
const ALL = 2 ** 32 - 1;
/** A grace period that is not given: the execution's own counts. */
const NO_GRACE = -1;
/** A batch with fewer numbers than this needs no array of its own. */
const SHORT_BATCH = 512;
/** How an execution is submitted; the numbers are `submit()`'s. */
const PULLS = 1;
const ABORTED = 2;
const FEEDS = 4;
const AS_TEXT = 8;

/** A name of its own inside, which the one file that is made of this folder keeps. */
const Engine = class ExecutionEngine extends Listeners {
  /** @type {ExecutionEngine | undefined} */ static #global;

  /** @type {import('../binding.js').NativeEngine} */ #native;
  #board = new Board(this);
  /** Those of the batch that was taken last, if it was short. */
  #numbers = new Float64Array(SHORT_BATCH);
  /**
   * When lines began to come in this turn of the event loop; 0 when it has gone on. The addon may call several times in one turn: a
   * reader that makes room for more is called back for it at once, and other work would wait until all has been read.
   */
  #turn = 0;
  #goOn = () => {
    this.#turn = 0;
  };
  /** @type {import('../index.js').ResolvedConfig | undefined} */ #config;
  /** @type {readonly string[]} */ #secrets;
  /** @type {import('./events.js').Consumer<Live | Plan>} */ #consumer;

  /** @param {ExecutionConfig | null} [config] */
  constructor(config) {
    super();
    const wake = ExecutionEngine.#wakeOf(new WeakRef(this));
    const given = guard(ExecutionEngine, () => plain('config', config));
    this.#native = guard(ExecutionEngine, () => new native.NativeEngine(given, wake));
    this.#secrets = veil(given?.secrets ?? []);
    this._watchListeners((interest) => this.#native.listen(interest));
    this.#consumer = {
      find: (handle) => this.#board.at(handle),
      id: (live) => live.id,
      event: (live, event) => {
        mark(/** @type {Live} */ (live), event);
        this._tell(event.type, [event]);
        live.queue?.push([event]);
      },
      lines: (live, events) => this.#lines(/** @type {Live} */ (live), events),
      input: (live, isWanted) => /** @type {Live} */ (live).input?.[isWanted ? 'wanted' : 'close'](),
      end: (type, live, event, outcome) => this.#end(type, /** @type {Live} */ (live), event, outcome),
      outcome: (position) => /** @type {object} */ (this.#native.outcome(position)),
      progress: (plan, event, outcome) => this.#progress(/** @type {Plan} */ (plan), event, outcome),
      planOutcome: (position) => /** @type {object} */ (this.#native.planOutcome(position)),
    };
  }

  /**
   * What the addon calls. It is made where no engine is in scope: what the addon holds must not keep one that nobody uses.
   *
   * @param {WeakRef<ExecutionEngine>} self
   */
  static #wakeOf(self) {
    return () => {
      const engine = self.deref();
      if (engine) engine.#drain();
    };
  }

  /** @param {ExecutionConfig | null} [config] */
  static initGlobal(config) {
    if (ExecutionEngine.#global) {
      const message = 'the global engine exists already: use ExecutionEngine.global(), or make an engine of your own';
      throw fresh(ExecutionEngine.initGlobal, 'ALREADY_INITIALIZED', message);
    }
    ExecutionEngine.#global = guard(ExecutionEngine.initGlobal, () => new ExecutionEngine(serial(config)));
    return ExecutionEngine.#global;
  }

  static global() {
    if (ExecutionEngine.#global) return ExecutionEngine.#global;
    const message = 'there is no global engine: call ExecutionEngine.initGlobal() first';
    throw fresh(ExecutionEngine.global, 'NOT_INITIALIZED', message);
  }

  /** @param {Readonly<Record<string, string | undefined>>} [env] */
  static configFromEnv(env = process.env) {
    return /** @type {ExecutionConfig} */ (guard(ExecutionEngine.configFromEnv, () => native.NativeEngine.configFromEnv(plain('env', env))));
  }

  /** @param {string | URL} path */
  static configFromFile(path) {
    return /** @type {ExecutionConfig} */ (guard(ExecutionEngine.configFromFile, () => native.NativeEngine.configFromFile(pathOf(path))));
  }

  /** @param {string | object} wire */
  static parseRequest(wire) {
    return /** @type {ExecutionRequest} */ (guard(ExecutionEngine.parseRequest, () => JSON.parse(native.NativeEngine.parseRequest(plain('wire', wire)))));
  }

  /**
   * @param {ExecutionRequest} request
   * @param {ExecutionOptions | null} [options]
   */
  async execute(request, options) {
    return this.#submit(this.execute, request, options, false).id;
  }

  /** @param {string} id */
  async waitForCompletion(id) {
    const live = this.#board.find(id);
    const outcome = live && (await settled(live));
    return (outcome ?? new Outcome(guard(this.waitForCompletion, () => this.#native.result(asId(id))))).unwrap();
  }

  /**
   * @param {ExecutionRequest} request
   * @param {ExecutionOptions | null} [options]
   */
  async run(request, options) {
    const outcome = await settled(this.#submit(this.run, request, options, false));
    return /** @type {ResultOutcome} */ (outcome).unwrap();
  }

  /**
   * @param {ExecutionRequest} request
   * @param {ExecutionOptions | null} [options]
   */
  stream(request, options) {
    /** @type {Live} */
    let live;
    try {
      live = this.#submit(this.stream, request, options, true);
    } catch (refusal) {
      return later.stream.ExecutionStream.refused(refusal);
    }
    const result = settled(live).then((outcome) => /** @type {ResultOutcome} */ (outcome).unwrap());
    return new later.stream.ExecutionStream(Promise.resolve(live.id), result, live.queue, undefined);
  }

  /**
   * @param {string} id
   * @param {{ graceMs?: number | null } | null} [options]
   */
  async cancel(id, options) {
    const graceMs = numberOf(this.cancel, 'graceMs', 'milliseconds', options) ?? NO_GRACE;
    guard(this.cancel, () => this.#native.stop(asId(id), false, graceMs));
    const live = this.#board.find(id);
    if (live) await settled(live);
  }

  /** @param {{ graceMs?: number | null } | null} [options] */
  async cancelAll(options) {
    const graceMs = numberOf(this.cancelAll, 'graceMs', 'milliseconds', options) ?? NO_GRACE;
    const all = this.#board.allSettled();
    // The addon counts: JavaScript may not have taken the end of some of them yet.
    const count = this.#native.stopAll(false, graceMs);
    await all;
    return count;
  }

  /**
   * @param {string} id
   * @param {string} name
   */
  async signal(id, name) {
    return guard(this.signal, () => this.#native.signal(asId(id), name));
  }

  /**
   * @param {ExecutionPlan} plan
   * @param {PlanOptions | null} [options]
   */
  async executePlan(plan, options) {
    return this.#submitPlan(this.executePlan, plan, options, false).id;
  }

  /** @param {string} id */
  async waitForPlan(id) {
    const live = this.#board.findPlan(id);
    const outcome = live
      ? await settled(live)
      : new later.plan.PlanOutcome(/** @type {object} */ (guard(this.waitForPlan, () => this.#native.planResult(asId(id)))));
    return outcome.result;
  }

  /**
   * @param {ExecutionPlan} plan
   * @param {PlanOptions | null} [options]
   */
  async runPlan(plan, options) {
    const outcome = await settled(this.#submitPlan(this.runPlan, plan, options, false));
    return outcome.result;
  }

  /**
   * @param {ExecutionPlan} plan
   * @param {PlanOptions | null} [options]
   */
  streamPlan(plan, options) {
    /** @type {Plan} */
    let live;
    try {
      live = this.#submitPlan(this.streamPlan, plan, options, true);
    } catch (refusal) {
      return later.stream.ExecutionStream.refused(refusal);
    }
    return new later.stream.ExecutionStream(Promise.resolve(live.id), settled(live).then((outcome) => outcome.result), live.queue, undefined);
  }

  /** @param {string} id */
  async cancelPlan(id) {
    guard(this.cancelPlan, () => this.#native.stopPlan(asId(id), false));
    const live = this.#board.findPlan(id);
    if (live) await settled(live);
  }

  /**
   * @param {string} value
   * @param {{ executionId?: string | null } | null} [options]
   */
  addSecret(value, options) {
    guard(this.addSecret, () => {
      const executionId = onlyOption('executionId', options);
      if (typeof value !== 'string') throw refusal(SUBJECTS.call, 'value', `it is ${show(value)}: give a string`);
      this.#native.addSecret(value, asId(executionId));
    });
  }

  /** @param {string} id */
  getStatus(id) {
    return /** @type {import('../index.js').ExecutionStatus} */ (guard(this.getStatus, () => this.#native.status(asId(id))));
  }

  /** @param {string} id */
  getResult(id) {
    return new Outcome(guard(this.getResult, () => this.#native.result(asId(id)))).result;
  }

  /** @param {string} id */
  getLogPath(id) {
    return guard(this.getLogPath, () => this.#native.logPath(asId(id)));
  }

  /**
   * @param {string} id
   * @param {{ tailBytes?: number | null } | null} [options]
   */
  async readLogs(id, options) {
    const tailBytes = numberOf(this.readLogs, 'tailBytes', 'bytes', options) ?? -1;
    const { text, code, message } = await guard(this.readLogs, () => this.#native.readLog(asId(id), tailBytes));
    if (text === undefined || text === null) throw fromNative({ code, message });
    return text;
  }

  /** @param {import('../index.js').ExecutionFilter | null} [filter] */
  listExecutions(filter) {
    /** @type {any[]} */
    const rows = guard(this.listExecutions, () => this.#native.list(plainFilter(filter)));
    for (const row of rows) {
      row.createdAt = new Date(row.createdAt);
      if (row.completedAt !== undefined) row.completedAt = new Date(row.completedAt);
    }
    return rows;
  }

  /** @param {string} id */
  removeExecution(id) {
    guard(this.removeExecution, () => this.#native.remove(asId(id)));
  }

  cleanup() {
    return this.#native.cleanup();
  }

  getStats() {
    return /** @type {import('../index.js').ExecutionStats} */ (this.#native.stats());
  }

  metricsText() {
    return this.#native.metricsText();
  }

  getConcurrencyMetrics() {
    return /** @type {import('../index.js').ConcurrencyMetrics} */ (this.#native.concurrency());
  }

  /** @returns {import('../index.js').ResolvedConfig} */
  get config() {
    return (this.#config ??= /** @type {any} */ (Object.freeze({ ...this.#native.config(), secrets: this.#secrets })));
  }

  /** @param {{ graceMs?: number | null } | null} [options] */
  async shutdown(options) {
    const graceMs = numberOf(this.shutdown, 'graceMs', 'milliseconds', options) ?? 0;
    this.#native.close();
    const all = this.#board.allSettled();
    if (graceMs > 0 && !this.#board.isEmpty()) await withinMs(all, graceMs);
    this.#native.stopAll(true, NO_GRACE);
    await all;
  }

  async [Symbol.asyncDispose]() {
    await this.shutdown();
  }

  ref() {
    this.#board.keepAlive(true);
    return this;
  }

  unref() {
    this.#board.keepAlive(false);
    return this;
  }

  /**
   * @param {Function} method
   * @param {ExecutionRequest} request
   * @param {ExecutionOptions | null | undefined} options
   * @param {boolean} pull
   * @returns {Live}
   */
  #submit(method, request, options, pull) {
    const handle = this.#board.handles(1);
    const { id, metadata, signal, aborted, source } = guard(method, () => {
      const { signal, aborted } = signalOf(options);
      /** @type {AsyncIterable<unknown> | undefined} */
      let source;
      const takeSource = (/** @type {string} */ key, /** @type {unknown} */ value) => {
        if (key !== 'stdin' || !later.input.isSource(value)) return false;
        source = value;
        return true;
      };
      const [what, how] = [plain('request', request), plain('options', options, (at) => at === 'options.signal', takeSource)];
      const text = asJson(what, how);
      const ways = (pull ? PULLS : 0) | (aborted ? ABORTED : 0) | (source ? FEEDS : 0) | (text === undefined ? 0 : AS_TEXT);
      const submit = (/** @type {string | null} */ env) => this.#native.submit(text ?? what, how, env, handle, ways);
      const id = /** @type {string} */ ((isOwn() ? submit(null) : null) ?? submit(snapshot()));
      return { id, metadata: what?.metadata, signal, aborted, source };
    });
    /** @type {Live} */
    const live = { id, handle, waiters: [], queue: undefined, input: undefined, forgetSignal: undefined };
    if (source) live.input = this.#inputOf(handle, source);
    if (pull) {
      live.queue = new later.stream.EventQueue({
        release: (groups) => this.#native.release(handle, groups),
        cancel: () => this.cancel(id),
      });
    }
    if (signal && !aborted) {
      live.forgetSignal = onAbort(signal, () => this.#board.has(handle) && this.#native.stop(id, true, NO_GRACE));
    }
    this.#board.add(live);
    if (channels.isWatched()) live.trace = channels.begin(id, this.#native.command(id) ?? '', structuredClone(metadata ?? {}));
    return live;
  }

  /**
   * @param {Function} method
   * @param {ExecutionPlan} plan
   * @param {PlanOptions | null | undefined} options
   * @param {boolean} pull
   * @returns {Plan}
   */
  #submitPlan(method, plan, options, pull) {
    const live = new later.plan.LivePlan(this.#native, method, plan, options, pull, (count) => this.#board.handles(count));
    if (pull) {
      const release = (/** @type {number} */ groups, /** @type {ExecutionEvent} */ event) => this.#native.release(live.handleOf(event), groups);
      live.queue = new later.stream.EventQueue({ release, cancel: () => this.cancelPlan(live.id) });
    }
    this.#board.addPlan(live);
    return live;
  }

  /** @type {import('./events.js').Consumer<Plan>['progress']} */
  #progress(plan, event, outcome) {
    if (outcome) {
      plan.forgetSignals();
      this.#board.removePlan(plan);
    }
    if (plan.queue || this._hasListeners('progress')) this._tell('progress', [event]);
    plan.queue?.push([event]);
    if (!outcome) return;
    plan.queue?.end();
    for (const waiter of plan.waiters) waiter(outcome());
  }

  /**
   * @param {number} handle
   * @param {AsyncIterable<unknown>} source
   */
  #inputOf(handle, source) {
    // Weak: a source that never gives anything must not keep an engine that nobody uses.
    const native = new WeakRef(this.#native);
    return new later.input.Input(source, {
      feed: (bytes) => native.deref()?.feed(handle, bytes),
      end: (failure) => native.deref()?.endInput(handle, failure),
    });
  }

  /** Takes batch after batch. Nothing is thrown out of it: it is called by the addon. */
  #drain() {
    const started = this.#turn || performance.now();
    while (performance.now() - started <= TURN_MS) {
      const batch = this.#native.take(this.#numbers);
      if (batch === null) return;
      const isLast = typeof batch === 'string' && /** @type {number} */ (this.#numbers[0]) < 0;
      readBatch(batch, this.#numbers, this.#consumer);
      if (isLast) return;
    }
    setImmediate(() => this.#drain());
  }

  /**
   * @param {Live} live
   * @param {OutputEvent[]} events
   */
  #lines(live, events) {
    if (this.#turn === 0) {
      this.#turn = performance.now();
      setImmediate(this.#goOn);
    }
    const type = /** @type {OutputEvent} */ (events[0]).type;
    if (live.planId !== undefined) for (const event of events) mark(live, event);
    this._tell(type, events);
    live.queue?.push(/** @type {ExecutionEvent[]} */ (events));
  }

  /** @type {import('./events.js').Consumer<Live>['end']} */
  #end(type, live, makeEvent, outcome) {
    this.#board.remove(live);
    live.forgetSignal?.();
    live.input?.close();
    const event = live.queue || this._hasListeners(type) ? /** @type {ExecutionEvent} */ (makeEvent()) : undefined;
    if (event) {
      mark(live, event);
      this._tell(type, [event]);
    }
    if (event && live.queue) {
      live.queue.push([event]);
      if (live.planId === undefined) live.queue.end();
      // The child is gone: nothing is held up by lines that were not read yet.
      this.#native.release(live.handle, ALL);
    }
    if (live.trace) channels.finish(live.trace, type, outcome());
    if (live.waiters.length > 0) {
      const ended = outcome();
      ended.cause = live.input?.failure;
      for (const waiter of live.waiters) waiter(ended);
    }
  }
};

module.exports = { ExecutionEngine: Engine };
