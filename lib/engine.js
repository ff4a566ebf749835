'use strict';

const { fileURLToPath } = require('node:url');

const channels = require('./channels.js');
const { snapshot } = require('./environment.js');
const { ExecutionError, fromNative, guard } = require('./errors.js');
const { readBatch } = require('./events.js');
const { Input, isSource } = require('./input.js');
const { Listeners } = require('./listeners.js');
const native = require('./native.js');
const { plain, refusal, threw, SUBJECTS } = require('./plain.js');
const { Outcome } = require('./result.js');
const { veil } = require('./secrets.js');
const { EventQueue, ExecutionStream } = require('./stream.js');

/** @typedef {InstanceType<typeof import('./result.js').Outcome>} ResultOutcome */
/** @typedef {InstanceType<typeof import('./stream.js').EventQueue>} Queue */
/** @typedef {import('../index.js').ExecutionConfig} ExecutionConfig */
/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {import('../index.js').ExecutionFilter} ExecutionFilter */
/** @typedef {import('../index.js').ExecutionOptions} ExecutionOptions */
/** @typedef {import('../index.js').ExecutionRequest} ExecutionRequest */
/** @typedef {import('../index.js').ExecutionResult} ExecutionResult */
/** @typedef {import('../index.js').OutputEvent<'stdout' | 'stderr', string | Buffer>} OutputEvent */

/**
 * An execution that has not ended, as this thread knows it.
 *
 * @typedef {object} Live
 * @property {string} id
 * @property {number} handle
 * @property {((outcome: ResultOutcome) => void)[]} waiters
 * @property {Queue | undefined} queue
 * @property {InstanceType<typeof import('./input.js').Input> | undefined} input
 * @property {(() => void) | undefined} forgetSignal
 * @property {import('../index.js').ExecutionTrace | undefined} trace
 */

/** JavaScript works through batches for so long before other work of the event loop has its turn, in ms. */
const TURN_MS = 4;
/** The longest interval of a timer; the one that keeps Node alive needs never fire. */
const NEVER_MS = 2 ** 31 - 1;
const ALL = 2 ** 32 - 1;
/** How an execution is submitted; the numbers are `submit()`'s. */
const PULLS = 1;
const ABORTED = 2;
const FEEDS = 4;

class ExecutionEngine extends Listeners {
  /** @type {ExecutionEngine | undefined} */ static #global;

  /** @type {import('../binding.js').NativeEngine} */ #native;
  /** @type {Map<number, Live>} */ #byHandle = new Map();
  /** @type {Map<string, Live>} */ #byId = new Map();
  #lastHandle = 0;
  #keepsAlive = true;
  /** @type {NodeJS.Timeout | undefined} */ #keepAlive;
  /** @type {import('../index.js').ResolvedConfig | undefined} */ #config;
  /** @type {readonly string[]} */ #secrets;
  /** @type {import('./events.js').Consumer<Live>} */ #consumer;

  /** @param {ExecutionConfig | null} [config] */
  constructor(config) {
    super();
    const wake = ExecutionEngine.#wakeOf(new WeakRef(this));
    const given = guard(ExecutionEngine, () => plain('config', config));
    this.#native = guard(ExecutionEngine, () => new native.NativeEngine(given, wake));
    this.#secrets = veil(given?.secrets ?? []);
    this._watchListeners((interest) => this.#native.listen(interest));
    this.#consumer = {
      find: (handle) => this.#byHandle.get(handle),
      id: (live) => live.id,
      event: (live, event) => {
        this._tell(event.type, [event]);
        live.queue?.push([event]);
      },
      lines: (live, events) => this.#lines(live, events),
      input: (live, isWanted) => (isWanted ? live.input?.wanted() : live.input?.close()),
      end: (type, live, event, outcome) => this.#end(type, live, event, outcome),
      outcome: (position) => /** @type {object} */ (this.#native.outcome(position)),
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
    const serial = { maxConcurrentExecutions: 1, concurrencyPolicy: /** @type {const} */ ('queue') };
    ExecutionEngine.#global = guard(ExecutionEngine.initGlobal, () => {
      const given = plain('config', config);
      for (const [field, only] of Object.entries(serial)) {
        const asked = given?.[field] ?? only;
        if (asked !== only) {
          const problem = `it is ${show(asked)}, but the global engine runs one command at a time and queues the others: leave it out, or make an engine of your own`;
          throw refusal(SUBJECTS.config, field, problem);
        }
      }
      return new ExecutionEngine(typeof (given ?? {}) === 'object' ? { ...given, ...serial } : given);
    });
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
    const live = this.#find(id);
    const outcome = live
      ? await settled(live)
      : new Outcome(guard(this.waitForCompletion, () => this.#native.result(asId(id))));
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
    guard(this.cancel, () => this.#native.stop(asId(id), false));
    const live = this.#find(id);
    if (live) await settled(live);
  }

  async cancelAll() {
    const live = [...this.#byHandle.values()];
    // The addon counts: some may have ended without JavaScript having heard of it.
    const count = this.#native.stopAll(false);
    await Promise.all(live.map(settled));
    return count;
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

  /** @param {ExecutionFilter | null} [filter] */
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
    const handle = (this.#lastHandle = (this.#lastHandle + 1) % ALL);
    const { id, metadata, signal, aborted, source } = guard(method, () => {
      const { signal, aborted } = signalOf(options);
      /** @type {AsyncIterable<unknown> | undefined} */
      let source;
      const takeSource = (/** @type {string} */ key, /** @type {unknown} */ value) => {
        if (key !== 'stdin' || !isSource(value)) return false;
        source = value;
        return true;
      };
      const [what, how] = [plain('request', request), plain('options', options, 'signal', takeSource)];
      const ways = (pull ? PULLS : 0) | (aborted ? ABORTED : 0) | (source ? FEEDS : 0);
      const id = this.#native.submit(what, how, snapshot(), handle, ways);
      return { id, metadata: what?.metadata, signal, aborted, source };
    });
    /** @type {Live} */
    const live = { id, handle, waiters: [], queue: undefined, input: undefined, forgetSignal: undefined, trace: undefined };
    if (source) live.input = this.#inputOf(handle, source);
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
    if (channels.isWatched()) live.trace = channels.begin(id, this.#native.command(id) ?? '', metadata ?? {});
    return live;
  }

  /**
   * @param {number} handle
   * @param {AsyncIterable<unknown>} source
   */
  #inputOf(handle, source) {
    // Weak: a source that never gives anything must not keep an engine that nobody uses.
    const native = new WeakRef(this.#native);
    return new Input(source, {
      feed: (bytes) => native.deref()?.feed(handle, bytes),
      end: (failure) => native.deref()?.endInput(handle, failure),
    });
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
    this._tell(type, events);
    live.queue?.push(/** @type {ExecutionEvent[]} */ (events));
  }

  /** @type {import('./events.js').Consumer<Live>['end']} */
  #end(type, live, makeEvent, outcome) {
    this.#byHandle.delete(live.handle);
    this.#byId.delete(live.id);
    live.forgetSignal?.();
    live.input?.close();
    if (this.#byHandle.size === 0) this.#updateKeepAlive();
    const event = live.queue || this._hasListeners(type) ? /** @type {ExecutionEvent} */ (makeEvent()) : undefined;
    if (event) this._tell(type, [event]);
    if (event && live.queue) {
      live.queue.push([event]);
      live.queue.end();
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
 */
function fresh(method, code, message) {
  const error = new ExecutionError(code, message);
  Error.captureStackTrace(error, method);
  return error;
}

/**
 * An id as it came, unless reading it could run code of the caller's; the addon checks the rest.
 *
 * @param {unknown} id
 */
function asId(id) {
  if ((typeof id !== 'object' && typeof id !== 'function') || id === null) return id;
  throw refusal(SUBJECTS.request, 'id', `it is ${show(id)}: give the string that execute() gave`);
}

/** @param {unknown} value */
function show(value) {
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint') return `a ${typeof value}`;
  return value === null ? 'null' : `a ${typeof value} (${typeof value === 'string' ? JSON.stringify(value) : value})`;
}

/**
 * The abort signal is this thread's: it does not go to the addon.
 *
 * @param {ExecutionOptions | null | undefined} options
 * @returns {{ signal?: AbortSignal, aborted: boolean }}
 */
function signalOf(options) {
  if (typeof options !== 'object' || options === null) return { aborted: false };
  /** @type {AbortSignal | null | undefined} */
  let signal;
  try {
    signal = options.signal;
    if (signal === undefined || signal === null) return { aborted: false };
    // By what it can do, not by its class: a signal may come from another realm.
    const { aborted } = signal;
    if (typeof aborted === 'boolean' && typeof signal.addEventListener === 'function') return { signal, aborted };
  } catch (error) {
    // A getter of the signal's, or options that cannot be read at all: the copy of the rest would say so.
    plain('options', options, 'signal');
    throw threw(SUBJECTS.options, 'options.signal', error);
  }
  throw refusal(SUBJECTS.options, 'options.signal', `it is ${show(signal)}: give the signal of an AbortController`);
}

/**
 * A filter's moment is the one Date that anybody gives us: it crosses as its milliseconds.
 *
 * @param {ExecutionFilter | null | undefined} filter
 */
function plainFilter(filter) {
  if (typeof filter !== 'object' || filter === null) return plain('filter', filter);
  const given = plain('filter', filter, 'since');
  try {
    const { since } = filter;
    if (since !== undefined && since !== null) given.since = since instanceof Date ? since.getTime() : plain('filter', { since }).since;
  } catch (error) {
    throw error instanceof ExecutionError ? error : threw(SUBJECTS.filter, 'filter.since', error);
  }
  return given;
}

/** @param {unknown} path */
function pathOf(path) {
  if (path instanceof URL && path.protocol === 'file:') return fileURLToPath(path);
  if (typeof path === 'string' && path !== '') return path;
  throw refusal(SUBJECTS.config, 'path', `it is ${show(path)}: give the path of a .toml or .json file`);
}

/**
 * The one number that the options of a call may hold.
 *
 * @param {Function} method
 * @param {string} field
 * @param {string} unit
 * @param {object | null | undefined} options
 * @returns {number | undefined}
 */
function numberOf(method, field, unit, options) {
  return guard(method, () => {
    const given = plain('call', options) ?? {};
    if (typeof given !== 'object') throw refusal(SUBJECTS.call, 'options', `it is ${show(given)}: give an object`);
    for (const key of Object.keys(given)) {
      if (key !== field) throw refusal(SUBJECTS.call, key, `unknown field (${show(given[key])}): did you mean \`${field}\`?`);
    }
    const number = given[field] ?? undefined;
    if (number === undefined || (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0)) return number;
    throw refusal(SUBJECTS.call, field, `it is ${show(number)}: give ${unit}, 0 or more`);
  });
}

module.exports = { ExecutionEngine };
