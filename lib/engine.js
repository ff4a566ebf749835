'use strict';

const { AsyncResource } = require('node:async_hooks');

const { asId, pathOf, plainFilter, plainWire, serial } = require('./arguments.js');
const { Board } = require('./in-flight.js');
const channels = require('./diagnostics-channel.js');
const { contain } = require('./caller-code.js');
const { Delivery } = require('./delivery.js');
const { isOwn, snapshot } = require('./environment.js');
const { fresh, fromNative, guard } = require('./errors.js');
const { onHostExit } = require('./host-exit.js');
const { asJson } = require('./encode.js');
const { Listeners } = require('./listeners.js');
const { settled } = require('./pending.js');
const native = require('./native.js');
const { requireChildProcesses, requireRead } = require('./permission.js');
const { ASIDE, numberOf, onlyOption, plain, refusal, show, wellFormed, SUBJECTS } = require('./sanitize.js');
const { Outcome } = require('./result.js');
const { veil } = require('./secrets.js');
const { withinMs } = require('./keep-alive.js');
const { Abort, AbortReasons, signalOf } = require('./abort-signal.js');

/** What only some hosts use is loaded when it is used: every file costs each host a part of a millisecond. */
const later = {
  get feedback() {
    return require('./feedback.js');
  },
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
/** @typedef {import('./pending.js').Live} Live */
/** @typedef {import('../index.js').EngineConfig} EngineConfig */
/** @typedef {import('../index.js').ExecutionConfig} ExecutionConfig */
/** @typedef {import('../index.js').ExecutionOptions} ExecutionOptions */
/** @typedef {import('../index.js').ExecutionRequest} ExecutionRequest */
/** @typedef {import('../index.js').ExecutionPlan} ExecutionPlan */
/** @typedef {import('../index.js').PlanOptions} PlanOptions */
/** @typedef {InstanceType<typeof import('./plan.js').LivePlan>} Plan */

/** A grace period that is not given: the execution's own counts. */
const NO_GRACE = -1;
const MANUAL = { requireManualDestroy: true };
/** How an execution is submitted; the numbers are `submit()`'s. */
const PULLS = 1;
const ABORTED = 2;
const FEEDS = 4;
const AS_TEXT = 8;

/**
 * Stops what may be over, its record gone, while its end is still on the way to this thread.
 *
 * @param {object | undefined} live
 * @param {() => void} stop
 */
function unlessOver(live, stop) {
  try {
    stop();
  } catch (error) {
    if (!live || /** @type {{ code?: string }} */ (error).code !== 'NOT_FOUND') throw error;
  }
}

/** A name of its own inside, which the one file that is made of this folder keeps. */
const Engine = class ExecutionEngine extends Listeners {
  /** @type {ExecutionEngine | undefined} */ static #global;

  /** @type {import('../binding.js').NativeEngine} */ #native;
  #board = new Board(this);
  /** @type {InstanceType<typeof Delivery>} */ #delivery;
  /** @type {import('../index.js').ResolvedConfig | undefined} */ #config;
  /** @type {readonly string[]} */ #secrets;
  #reasons = new AbortReasons();

  /** @param {EngineConfig | null} [config] */
  constructor(config) {
    super();
    const wake = ExecutionEngine.#wakeOf(new WeakRef(this));
    /** @type {EngineConfig['feedback']} */
    let feedback;
    const takeFeedback = (/** @type {string} */ key, /** @type {unknown} */ value) => {
      if (key !== 'feedback') return value;
      feedback = later.feedback.feedbackOf(value);
      return ASIDE;
    };
    const given = guard(ExecutionEngine, () => plain('config', config, undefined, takeFeedback));
    onHostExit(native.NativeEngine.endUnguarded);
    this.#native = guard(ExecutionEngine, () => new native.NativeEngine(given, wake));
    this.#secrets = veil(given?.secrets ?? []);
    this._watchListeners((interest) => this.#native.listen(interest));
    this.#delivery = new Delivery(this.#native, this.#board, this, this.#reasons, feedback ?? undefined);
  }

  /**
   * What the addon calls. It is made where no engine is in scope: what the addon holds must not keep an unused one.
   *
   * @param {WeakRef<ExecutionEngine>} self
   */
  static #wakeOf(self) {
    return () => {
      const engine = self.deref();
      if (engine) engine.#delivery.drain();
    };
  }

  /** @param {EngineConfig | null} [config] */
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
    return /** @type {ExecutionConfig} */ (
      guard(ExecutionEngine.configFromEnv, () => native.NativeEngine.configFromEnv(plain('env', env)))
    );
  }

  /** @param {string | URL} path */
  static configFromFile(path) {
    const method = ExecutionEngine.configFromFile;
    return /** @type {ExecutionConfig} */ (
      guard(method, () => {
        const file = pathOf(path);
        if (typeof file === 'string') requireRead(method, file);
        return native.NativeEngine.configFromFile(file);
      })
    );
  }

  /** @param {string | object} wire */
  static parseRequest(wire) {
    return /** @type {ExecutionRequest} */ (
      guard(ExecutionEngine.parseRequest, () => JSON.parse(native.NativeEngine.parseRequest(plainWire(wire))))
    );
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
    return (outcome ?? this.#outcomeOf(this.waitForCompletion, id)).unwrap();
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
    const live = this.#board.find(id);
    unlessOver(live, () => guard(this.cancel, () => this.#native.stop(asId(id), false, graceMs)));
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
    outcome.reasons = this.#reasons;
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
    return new later.stream.ExecutionStream(
      Promise.resolve(live.id),
      settled(live).then((outcome) => outcome.result),
      live.queue,
      undefined,
    );
  }

  /** @param {string} id */
  async cancelPlan(id) {
    const live = this.#board.findPlan(id);
    unlessOver(live, () => guard(this.cancelPlan, () => this.#native.stopPlan(asId(id), false)));
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
      wellFormed(value, 'value', SUBJECTS.call);
      this.#native.addSecret(value, asId(executionId));
    });
  }

  /** @param {string} id */
  getStatus(id) {
    return /** @type {import('../index.js').ExecutionStatus} */ (guard(this.getStatus, () => this.#native.status(asId(id))));
  }

  /** @param {string} id */
  getResult(id) {
    return this.#outcomeOf(this.getResult, id).result;
  }

  /**
   * The outcome of an execution that is over.
   *
   * @param {Function} method
   * @param {string} id
   */
  #outcomeOf(method, id) {
    const outcome = new Outcome(guard(method, () => this.#native.result(asId(id))));
    outcome.aborted = this.#reasons.of(id);
    return outcome;
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
    const rows = JSON.parse(guard(this.listExecutions, () => this.#native.list(plainFilter(filter))));
    for (const row of rows) {
      row.createdAt = new Date(row.createdAt);
      if (Object.hasOwn(row, 'completedAt')) row.completedAt = new Date(row.completedAt);
    }
    return rows;
  }

  /** @param {string} id */
  removeExecution(id) {
    guard(this.removeExecution, () => this.#native.remove(asId(id)));
    this.#reasons.forget(id);
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
    if (graceMs > 0 && !this.#board.isEmpty()) await withinMs(all, graceMs, () => native.NativeEngine.clockMs());
    this.#native.stopAll(true, NO_GRACE);
    await all;
    this.#native.detach();
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
    requireChildProcesses(method);
    const handle = this.#board.handles(1);
    const { id, metadata, abort, isKnown, source } = guard(method, () => {
      const aborting = signalOf(options);
      const abort = aborting.signal && new Abort(aborting);
      try {
        /** @type {object | undefined} */
        let source;
        const takeSource = (/** @type {string} */ key, /** @type {unknown} */ value) => {
          if (key !== 'stdin' || typeof value !== 'object' || value === null || !later.input.isSource(value)) return value;
          source = value;
          return ASIDE;
        };
        const what = plain('request', request);
        const how = plain('options', options, (at) => at === 'options.signal', takeSource);
        const text = asJson(what, how);
        const ways = (pull ? PULLS : 0) | (source ? FEEDS : 0) | (text === undefined ? 0 : AS_TEXT);
        let isKnown = false;
        const submit = (/** @type {string | null} */ env) => {
          // Looked at last: code of the caller's ran until here, and may have fired it.
          isKnown = abort?.look() ?? false;
          return this.#native.submit(text ?? what, how, env, handle, isKnown ? ways | ABORTED : ways);
        };
        const id = /** @type {string} */ ((isOwn() ? submit(null) : null) ?? submit(snapshot()));
        return { id, metadata: what?.metadata, abort, isKnown, source };
      } catch (error) {
        abort?.forget();
        throw error;
      }
    });
    // It is accepted, so nothing below may throw: it would have no owner.
    const context = new AsyncResource('Execution', MANUAL);
    /** @type {Live} */
    const live = { id, handle, waiters: new Set(), queue: undefined, input: undefined, abort, trace: undefined, context };
    this.#board.add(live);
    if (pull) {
      live.queue = new later.stream.EventQueue({
        release: (groups) => this.#native.release(handle, groups),
        cancel: () => this.cancel(id),
      });
    }
    if (source) live.input = this.#inputOf(handle, source);
    abort?.accepted(isKnown, () => this.#board.has(handle) && this.#native.stop(id, true, NO_GRACE));
    if (channels.isWatched()) {
      live.trace = contain(() => channels.begin(id, this.#native.command(id) ?? '', structuredClone(metadata ?? {})));
    }
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
    requireChildProcesses(method);
    const live = new later.plan.LivePlan(this.#native, method, plan, options, pull, (count) => this.#board.handles(count));
    if (pull) {
      const release = (/** @type {number} */ groups, /** @type {number} */ handle) => this.#native.release(handle, groups);
      live.queue = new later.stream.EventQueue({ release, cancel: () => this.cancelPlan(live.id) });
    }
    this.#board.addPlan(live);
    return live;
  }

  /**
   * @param {number} handle
   * @param {object} source
   */
  #inputOf(handle, source) {
    // Weak: a source that never gives anything must not keep an unused engine.
    const native = new WeakRef(this.#native);
    return new later.input.Input(source, {
      feed: (bytes) => native.deref()?.feed(handle, bytes),
      end: (failure) => native.deref()?.endInput(handle, failure),
    });
  }
};

module.exports = { ExecutionEngine: Engine };
