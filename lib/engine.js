'use strict';

const { snapshot } = require('./environment.js');
const { ExecutionError, guard } = require('./errors.js');
const { readBatch } = require('./events.js');
const { Listeners } = require('./listeners.js');
const native = require('./native.js');
const { Outcome } = require('./result.js');
const { EventQueue, ExecutionStream } = require('./stream.js');

/** @typedef {InstanceType<typeof import('./result.js').Outcome>} ResultOutcome */
/** @typedef {InstanceType<typeof import('./stream.js').EventQueue>} Queue */
/** @typedef {import('../index.js').ExecutionConfig} ExecutionConfig */
/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {import('../index.js').ExecutionFilter} ExecutionFilter */
/** @typedef {import('../index.js').ExecutionOptions} ExecutionOptions */
/** @typedef {import('../index.js').ExecutionRequest} ExecutionRequest */
/** @typedef {import('../index.js').ExecutionResult} ExecutionResult */
/** @typedef {import('../index.js').OutputEvent} OutputEvent */

/**
 * An execution that has not ended, as this thread knows it.
 *
 * @typedef {object} Live
 * @property {string} id
 * @property {number} handle
 * @property {((outcome: ResultOutcome) => void)[]} waiters
 * @property {Queue | undefined} queue
 * @property {(() => void) | undefined} forgetSignal
 */

/** JavaScript works through batches for so long before other work of the event loop has its turn, in ms. */
const TURN_MS = 4;
/** The longest interval of a timer; the one that keeps Node alive needs never fire. */
const NEVER_MS = 2 ** 31 - 1;
const ALL = 2 ** 32 - 1;

class ExecutionEngine extends Listeners {
  /** @type {ExecutionEngine | undefined} */ static #global;

  /** @type {import('../binding.js').NativeEngine} */ #native;
  /** @type {Map<number, Live>} */ #byHandle = new Map();
  /** @type {Map<string, Live>} */ #byId = new Map();
  #lastHandle = 0;
  #keepsAlive = true;
  /** @type {NodeJS.Timeout | undefined} */ #keepAlive;
  /** @type {import('../index.js').ResolvedConfig | undefined} */ #config;
  /** @type {import('./events.js').Consumer<Live>} */ #consumer;

  /** @param {ExecutionConfig | null} [config] */
  constructor(config) {
    super();
    // Weak: what the addon holds must not keep an engine that nobody uses.
    const self = new WeakRef(this);
    const wake = () => {
      const engine = self.deref();
      if (engine) engine.#drain();
    };
    this.#native = guard(ExecutionEngine, () => new native.NativeEngine(config, wake), config);
    this._watchListeners((interest) => this.#native.listen(interest));
    this.#consumer = {
      find: (handle) => this.#byHandle.get(handle),
      id: (live) => live.id,
      event: (live, event) => {
        this._tell(event.type, event);
        live.queue?.push([event]);
      },
      lines: (live, events) => this.#lines(live, events),
      end: (type, live, event, outcome) => this.#end(type, live, event, outcome),
      outcome: (position) => /** @type {object} */ (this.#native.outcome(position)),
    };
  }

  /** @param {ExecutionConfig | null} [config] */
  static initGlobal(config) {
    if (ExecutionEngine.#global) {
      const message = 'the global engine exists already: use ExecutionEngine.global(), or make an engine of your own';
      throw fresh(ExecutionEngine.initGlobal, 'ALREADY_INITIALIZED', message);
    }
    const serial = { maxConcurrentExecutions: 1, concurrencyPolicy: /** @type {const} */ ('queue') };
    for (const [field, value] of Object.entries(serial)) {
      const given = config?.[/** @type {keyof typeof serial} */ (field)];
      if (given !== undefined && given !== null && given !== value) {
        const message = `invalid config: ${field}: it is ${JSON.stringify(given)}, but the global engine runs one command at a time and queues the others: leave it out, or make an engine of your own`;
        throw fresh(ExecutionEngine.initGlobal, 'INVALID_CONFIG', message, { field });
      }
    }
    ExecutionEngine.#global = guard(ExecutionEngine.initGlobal, () => new ExecutionEngine({ ...config, ...serial }), config);
    return ExecutionEngine.#global;
  }

  static global() {
    if (ExecutionEngine.#global) return ExecutionEngine.#global;
    const message = 'there is no global engine: call ExecutionEngine.initGlobal() first';
    throw fresh(ExecutionEngine.global, 'NOT_INITIALIZED', message);
  }

  /** @param {string | object} wire */
  static parseRequest(wire) {
    return /** @type {ExecutionRequest} */ (guard(ExecutionEngine.parseRequest, () => native.NativeEngine.parseRequest(wire), wire));
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
    const live = this.#find(id);
    const outcome = live
      ? await settled(live)
      : new Outcome(guard(this.waitForCompletion, () => this.#native.result(id)));
    return outcome.unwrap();
  }

  /**
   * @param {ExecutionRequest} request
   * @param {ExecutionOptions | null} [options]
   */
  async run(request, options) {
    const outcome = await settled(this.#submit(this.run, request, options, false));
    return outcome.unwrap();
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
      return new ExecutionStream(Promise.reject(refusal), Promise.reject(refusal), undefined, refusal);
    }
    const result = settled(live).then((outcome) => outcome.unwrap());
    return new ExecutionStream(Promise.resolve(live.id), result, live.queue, undefined);
  }

  /** @param {string} id */
  async cancel(id) {
    guard(this.cancel, () => this.#native.stop(id, false));
    const live = this.#find(id);
    if (live) await settled(live);
  }

  async cancelAll() {
    const live = [...this.#byHandle.values()];
    this.#native.stopAll(false);
    await Promise.all(live.map(settled));
    return live.length;
  }

  /** @param {string} id */
  getStatus(id) {
    return /** @type {import('../index.js').ExecutionStatus} */ (guard(this.getStatus, () => this.#native.status(id)));
  }

  /** @param {string} id */
  getResult(id) {
    return new Outcome(guard(this.getResult, () => this.#native.result(id))).result;
  }

  /** @param {ExecutionFilter | null} [filter] */
  listExecutions(filter) {
    /** @type {any[]} */
    const rows = guard(this.listExecutions, () => this.#native.list(filter), filter);
    for (const row of rows) {
      row.createdAt = new Date(row.createdAt);
      if (row.completedAt !== undefined) row.completedAt = new Date(row.completedAt);
    }
    return rows;
  }

  /** @param {string} id */
  removeExecution(id) {
    guard(this.removeExecution, () => this.#native.remove(id));
  }

  cleanup() {
    return this.#native.cleanup();
  }

  getStats() {
    return /** @type {import('../index.js').ExecutionStats} */ (this.#native.stats());
  }

  getConcurrencyMetrics() {
    return /** @type {import('../index.js').ConcurrencyMetrics} */ (this.#native.concurrency());
  }

  /** @returns {import('../index.js').ResolvedConfig} */
  get config() {
    return (this.#config ??= /** @type {any} */ (Object.freeze(this.#native.config())));
  }

  /** @param {{ graceMs?: number | null } | null} [options] */
  async shutdown(options) {
    const graceMs = graceOf(this.shutdown, options);
    this.#native.close();
    const all = Promise.all([...this.#byHandle.values()].map(settled));
    if (graceMs > 0 && this.#byHandle.size > 0) await withinMs(all, graceMs);
    this.#native.stopAll(true);
    await all;
  }

  async [Symbol.asyncDispose]() {
    await this.shutdown();
  }

  ref() {
    this.#keepsAlive = true;
    this.#updateKeepAlive();
    return this;
  }

  unref() {
    this.#keepsAlive = false;
    this.#updateKeepAlive();
    return this;
  }

  /** A timer that never fires, held while there is work: it keeps Node and this engine alive. */
  #updateKeepAlive() {
    const wanted = this.#keepsAlive && this.#byHandle.size > 0;
    if (wanted && !this.#keepAlive) {
      this.#keepAlive = setInterval(() => this.#keepsAlive, NEVER_MS);
    } else if (!wanted && this.#keepAlive) {
      clearInterval(this.#keepAlive);
      this.#keepAlive = undefined;
    }
  }

  /** @param {string} id */
  #find(id) {
    return typeof id === 'string' ? (this.#byId.get(id) ?? this.#byId.get(id.toLowerCase())) : undefined;
  }

  /**
   * @param {Function} method
   * @param {ExecutionRequest} request
   * @param {ExecutionOptions | null | undefined} options
   * @param {boolean} pull
   * @returns {Live}
   */
  #submit(method, request, options, pull) {
    const { signal, rest } = splitSignal(method, options);
    const handle = (this.#lastHandle = (this.#lastHandle + 1) % ALL);
    const aborted = signal?.aborted ?? false;
    const id = guard(method, () => this.#native.submit(request, rest, snapshot(), handle, pull, aborted), {
      ...request,
      options: rest,
    });
    /** @type {Live} */
    const live = { id, handle, waiters: [], queue: undefined, forgetSignal: undefined };
    if (pull) {
      live.queue = new EventQueue({
        release: (groups) => this.#native.release(handle, groups),
        cancel: () => this.cancel(id),
      });
    }
    if (signal && !aborted) {
      const abort = () => this.#byHandle.has(handle) && this.#native.stop(id, true);
      signal.addEventListener('abort', abort, { once: true });
      live.forgetSignal = () => signal.removeEventListener('abort', abort);
    }
    this.#byHandle.set(handle, live);
    this.#byId.set(id, live);
    if (this.#byHandle.size === 1) this.#updateKeepAlive();
    return live;
  }

  /** Takes batch after batch. Nothing is thrown out of it: it is called by the addon. */
  #drain() {
    const started = performance.now();
    for (let batch; (batch = this.#native.take()); ) {
      readBatch(/** @type {import('./events.js').Batch} */ (batch), this.#consumer);
      if (performance.now() - started > TURN_MS) {
        setImmediate(() => this.#drain());
        return;
      }
    }
  }

  /**
   * @param {Live} live
   * @param {OutputEvent[]} events
   */
  #lines(live, events) {
    const type = /** @type {OutputEvent} */ (events[0]).type;
    if (this._hasListeners(type)) {
      for (const event of events) this._tell(type, event);
    }
    live.queue?.push(/** @type {ExecutionEvent[]} */ (events));
  }

  /** @type {import('./events.js').Consumer<Live>['end']} */
  #end(type, live, makeEvent, outcome) {
    this.#byHandle.delete(live.handle);
    this.#byId.delete(live.id);
    live.forgetSignal?.();
    if (this.#byHandle.size === 0) this.#updateKeepAlive();
    const event = live.queue || this._hasListeners(type) ? /** @type {ExecutionEvent} */ (makeEvent()) : undefined;
    if (event) this._tell(type, event);
    if (event && live.queue) {
      live.queue.push([event]);
      live.queue.end();
      // The child is gone: nothing is held up by lines that were not read yet.
      this.#native.release(live.handle, ALL);
    }
    if (live.waiters.length > 0) {
      const ended = outcome();
      for (const waiter of live.waiters) waiter(ended);
    }
  }
}

/**
 * @param {Live} live
 * @returns {Promise<ResultOutcome>}
 */
function settled(live) {
  return new Promise((resolve) => live.waiters.push(resolve));
}

/**
 * @param {Promise<unknown>} work
 * @param {number} ms
 */
async function withinMs(work, ms) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, Math.min(ms, NEVER_MS))));
  await Promise.race([work, limit]);
  clearTimeout(timer);
}

/**
 * An error whose stack starts at the caller of `method`.
 *
 * @param {Function} method
 * @param {import('../index.js').ErrorCode} code
 * @param {string} message
 * @param {import('./errors.js').Details} [details]
 */
function fresh(method, code, message, details) {
  const error = new ExecutionError(code, message, details);
  Error.captureStackTrace(error, method);
  return error;
}

/**
 * The abort signal is this thread's; the rest goes to the addon.
 *
 * @param {Function} method
 * @param {ExecutionOptions | null | undefined} options
 * @returns {{ signal: AbortSignal | undefined, rest: object | null | undefined }}
 */
function splitSignal(method, options) {
  if (typeof options !== 'object' || options === null) return { signal: undefined, rest: options };
  const given = guard(method, () => ({ ...options }), { options });
  const { signal, ...rest } = given;
  if (signal === undefined || signal === null) return { signal: undefined, rest };
  if (!(signal instanceof EventTarget) || typeof signal.aborted !== 'boolean') {
    const message = `invalid request: options.signal: it is ${typeof signal === 'object' ? 'an object' : `a ${typeof signal}`}: give the signal of an AbortController`;
    throw fresh(method, 'INVALID_REQUEST', message, { field: 'options.signal' });
  }
  return { signal, rest };
}

/**
 * @param {Function} method
 * @param {{ graceMs?: number | null } | null | undefined} options
 */
function graceOf(method, options) {
  const ms = options?.graceMs ?? 0;
  if (typeof ms === 'number' && Number.isSafeInteger(ms) && ms >= 0) return ms;
  const message = `invalid request: graceMs: it is ${typeof ms} (${String(ms)}): give milliseconds, 0 or more`;
  throw fresh(method, 'INVALID_REQUEST', message, { field: 'graceMs' });
}

module.exports = { ExecutionEngine };
