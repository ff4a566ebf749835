'use strict';

const { AbortReasons } = require('./abort-signal.js');
const { asId, numberOf, onlyOption, sanitizeFilter, serial } = require('./arguments.js');
const { fromEnv, fromFile, loginShellEnv, maskWith, parseRequest } = require('./configuration.js');
const { Delivery } = require('./delivery.js');
const { fresh, fromNative, guard } = require('./errors.js');
const { onHostExit } = require('./host-exit.js');
const { InFlight } = require('./in-flight.js');
const { withinMs } = require('./keep-alive.js');
const lazy = require('./lazy.js');
const { Listeners } = require('./listeners.js');
const native = require('./native.js');
const { settled, unlessOver } = require('./pending.js');
const { Plans } = require('./plans.js');
const { Outcome } = require('./result.js');
const { OMIT, sanitize, refusal, show, wellFormed, SUBJECTS } = require('./sanitize.js');
const { secretsOf, veil, veilVariables } = require('./secrets.js');
const { NO_GRACE, submit, submitSync } = require('./submit.js');

/** @typedef {InstanceType<typeof import('./result.js').Outcome>} ResultOutcome */
/** @typedef {import('../index.js').EngineConfig} EngineConfig */
/** @typedef {import('../index.js').ExecutionOptions} ExecutionOptions */
/** @typedef {import('../index.js').ExecutionRequest} ExecutionRequest */
/** @typedef {import('../index.js').ExecutionPlan} ExecutionPlan */
/** @typedef {import('../index.js').PlanOptions} PlanOptions */

/** A name of its own inside, which the one file that is made of this folder keeps. */
const Engine = class ExecutionEngine extends Listeners {
  /** @type {ExecutionEngine | undefined} */ static #global;

  /** @type {import('../binding.js').NativeEngine} */ #native;
  #inFlight = new InFlight(this);
  /** @type {InstanceType<typeof Delivery>} */ #delivery;
  /** @type {InstanceType<typeof Plans>} */ #plans;
  /** The parts of the engine that a submission takes. @type {import('./submit.js').EngineParts} */ #parts;
  /** @type {import('../index.js').ResolvedConfig | undefined} */ #config;
  /**
   * The parts of the configuration that are not shown.
   *
   * @type {{ secrets: readonly string[], hostEnv: Readonly<Record<string, string>> | null }}
   */
  #veiled;
  #reasons = new AbortReasons();
  /** @type {InstanceType<typeof import('./open-inputs.js').OpenInputs> | undefined} */ #openInputs;

  /** @param {EngineConfig | null} [config] */
  constructor(config) {
    super();
    const wake = ExecutionEngine.#wakeOf(new WeakRef(this));
    /** @type {EngineConfig['feedback']} */
    let feedback;
    const takeFeedback = (/** @type {string} */ key, /** @type {unknown} */ value) => {
      if (key !== 'feedback') return value;
      feedback = lazy.feedback.feedbackOf(value);
      return OMIT;
    };
    /** @type {unknown} */
    let known = config;
    const mask = maskWith(() => secretsOf(known));
    const given = guard(ExecutionEngine, () => sanitize('config', config, undefined, takeFeedback), mask);
    known = given;
    onHostExit(native.NativeEngine.endUnguarded);
    this.#native = guard(ExecutionEngine, () => new native.NativeEngine(given, wake), mask);
    this.#veiled = { secrets: veil(given?.secrets ?? []), hostEnv: veilVariables(given?.hostEnv) };
    this._watchListeners((interest) => this.#native.listen(interest));
    this.#parts = { native: this.#native, inFlight: this.#inFlight, cancel: (id) => this.cancel(id) };
    this.#plans = new Plans(this.#native, this.#inFlight, this.#reasons);
    this.#delivery = new Delivery(this.#native, this.#inFlight, this, this.#reasons, feedback ?? undefined);
  }

  /**
   * Returns the function that the addon calls. It is made where no engine is in scope: the addon must not keep an unused engine.
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
    return fromEnv(ExecutionEngine.configFromEnv, env);
  }

  /** @param {string | URL} path */
  static configFromFile(path) {
    return fromFile(ExecutionEngine.configFromFile, path);
  }

  /** @param {{ shell?: string | URL | null, timeoutMs?: number | null } | null} [options] */
  static async loginShellEnv(options) {
    return loginShellEnv(ExecutionEngine.loginShellEnv, options);
  }

  /** @param {string | object} wire */
  static parseRequest(wire) {
    return parseRequest(ExecutionEngine.parseRequest, wire);
  }

  /**
   * @param {ExecutionRequest} request
   * @param {ExecutionOptions | null} [options]
   */
  async execute(request, options) {
    return this.#submit(this.execute, request, options, false).id;
  }

  /**
   * @param {readonly ExecutionRequest[]} requests
   * @param {ExecutionOptions | null} [options]
   */
  async executeMany(requests, options) {
    return lazy.submitMany.submitMany(this.executeMany, requests, options, this.#parts);
  }

  /** @param {string} id */
  async waitForCompletion(id) {
    const pending = this.#inFlight.find(id);
    const outcome = pending && (await settled(pending));
    return (outcome ?? (await this.#maskedOutcomeOf(this.waitForCompletion, id))).unwrap();
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
  runSync(request, options) {
    const { held, aborted } = submitSync(this.runSync, request, options, this.#native);
    const outcome = new Outcome(held);
    outcome.aborted = aborted;
    this.#delivery.endedAtOnce(outcome);
    return outcome.unwrap();
  }

  /**
   * @param {ExecutionRequest} request
   * @param {ExecutionOptions | null} [options]
   */
  stream(request, options) {
    const submitted = () => this.#submit(this.stream, request, options, true);
    return lazy.stream.streamOf(submitted, (outcome) => /** @type {ResultOutcome} */ (outcome).unwrap());
  }

  /**
   * @param {string} id
   * @param {{ graceMs?: number | null } | null} [options]
   */
  async cancel(id, options) {
    const graceMs = this.#numberOf(this.cancel, 'graceMs', 'milliseconds', options) ?? NO_GRACE;
    const pending = this.#inFlight.find(id);
    unlessOver(pending, () => this.#guard(this.cancel, () => this.#native.stop(asId(id), false, graceMs)));
    if (pending) await settled(pending);
  }

  /** @param {{ graceMs?: number | null } | null} [options] */
  async cancelAll(options) {
    const graceMs = this.#numberOf(this.cancelAll, 'graceMs', 'milliseconds', options) ?? NO_GRACE;
    const all = this.#inFlight.allSettled();
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
    return this.#guard(this.signal, () => this.#native.signal(asId(id), name));
  }

  /**
   * @param {string} id
   * @param {string | NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer} data
   */
  async write(id, data) {
    return this.#guard(this.write, () => this.#inputs.write(asId(id), data));
  }

  /** @param {string} id */
  async endInput(id) {
    return this.#guard(this.endInput, () => this.#inputs.end(asId(id)));
  }

  /**
   * @param {string} id
   * @param {{ columns: number, rows: number }} size
   */
  async resize(id, size) {
    this.#guard(this.resize, () => this.#native.resize(asId(id), sanitize('size', size)));
  }

  get #inputs() {
    return (this.#openInputs ??= new lazy.openInputs.OpenInputs(this.#native));
  }

  /**
   * @param {string} id
   * @param {number} ms
   */
  async extendTimeout(id, ms) {
    return new Date(this.#guard(this.extendTimeout, () => this.#native.extendTimeout(asId(id), ms)));
  }

  /**
   * @param {ExecutionPlan} plan
   * @param {PlanOptions | null} [options]
   */
  async executePlan(plan, options) {
    return this.#plans.submit(this.executePlan, plan, options, undefined).id;
  }

  /** @param {string} id */
  async waitForPlan(id) {
    return this.#plans.wait(this.waitForPlan, id);
  }

  /**
   * @param {ExecutionPlan} plan
   * @param {PlanOptions | null} [options]
   */
  async runPlan(plan, options) {
    const outcome = await settled(this.#plans.submit(this.runPlan, plan, options, undefined));
    return outcome.result;
  }

  /**
   * @param {ExecutionPlan} plan
   * @param {PlanOptions | null} [options]
   */
  streamPlan(plan, options) {
    return this.#plans.stream(this.streamPlan, plan, options, (id) => this.cancelPlan(id));
  }

  /** @param {string} id */
  async cancelPlan(id) {
    return this.#plans.cancel(this.cancelPlan, id);
  }

  /**
   * @param {string} value
   * @param {{ executionId?: string | null } | null} [options]
   */
  addSecret(value, options) {
    this.#guard(this.addSecret, () => {
      const executionId = onlyOption('executionId', options);
      if (typeof value !== 'string') throw refusal(SUBJECTS.call, 'value', `it is ${show(value)}: give a string`);
      wellFormed(value, 'value', SUBJECTS.call);
      this.#native.addSecret(value, asId(executionId));
      this.#delivery.secretAdded();
    });
  }

  /** @param {string} id */
  getStatus(id) {
    return /** @type {import('../index.js').ExecutionStatus} */ (this.#guard(this.getStatus, () => this.#native.status(asId(id))));
  }

  /** @param {string} id */
  getResult(id) {
    return this.#outcomeOf(this.getResult, id).result;
  }

  /**
   * Returns the outcome of an execution that is over.
   *
   * @param {Function} method
   * @param {string} id
   * @param {any} [held] Its result, if that had to be masked first.
   */
  #outcomeOf(method, id, held = this.#guard(method, () => this.#native.result(asId(id)))) {
    const outcome = new Outcome(held);
    outcome.aborted = this.#reasons.of(id);
    return outcome;
  }

  /**
   * Does what `#outcomeOf` does, when secrets that were added later may have to be masked in much output, which is not done on this thread.
   *
   * @param {Function} method
   * @param {string} id
   */
  async #maskedOutcomeOf(method, id) {
    const masking = this.#guard(method, () => this.#native.maskedResult(asId(id)));
    return this.#outcomeOf(method, id, (await masking) ?? undefined);
  }

  /** @param {string} id */
  getLogPath(id) {
    return this.#guard(this.getLogPath, () => this.#native.logPath(asId(id)));
  }

  /**
   * @param {string} id
   * @param {{ tailBytes?: number | null } | null} [options]
   */
  async readLogs(id, options) {
    const tailBytes = this.#numberOf(this.readLogs, 'tailBytes', 'bytes', options) ?? -1;
    const { text, code, message } = await this.#guard(this.readLogs, () => this.#native.readLog(asId(id), tailBytes));
    if (text === undefined || text === null) throw fromNative({ code, message });
    return text;
  }

  /**
   * @param {string} id
   * @param {{ stream?: 'stdout' | 'stderr' | null, tailBytes?: number | null } | null} [options]
   * @returns {Promise<any>}
   */
  async readOutput(id, options) {
    const read = await this.#guard(this.readOutput, () => this.#native.readOutput(asId(id), sanitize('call', options)));
    const { text, bytes, code, message } = read;
    if (bytes) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (text === undefined || text === null) throw fromNative({ code, message });
    return text;
  }

  /** @param {import('../index.js').ExecutionFilter | null} [filter] */
  listExecutions(filter) {
    /** @type {any[]} */
    const rows = JSON.parse(this.#guard(this.listExecutions, () => this.#native.list(sanitizeFilter(filter))));
    for (const row of rows) {
      row.createdAt = new Date(row.createdAt);
      if (Object.hasOwn(row, 'completedAt')) row.completedAt = new Date(row.completedAt);
    }
    return rows;
  }

  /** @param {string} id */
  removeExecution(id) {
    this.#guard(this.removeExecution, () => this.#native.remove(asId(id)));
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
    return (this.#config ??= /** @type {any} */ (Object.freeze({ ...this.#native.config(), ...this.#veiled })));
  }

  /** @param {{ graceMs?: number | null } | null} [options] */
  async shutdown(options) {
    const graceMs = this.#numberOf(this.shutdown, 'graceMs', 'milliseconds', options) ?? 0;
    this.#native.close();
    const all = this.#inFlight.allSettled();
    if (graceMs > 0 && !this.#inFlight.isEmpty()) await withinMs(all, graceMs, () => native.NativeEngine.clockMs());
    this.#native.stopAll(true, NO_GRACE);
    await all;
    this.#native.detach();
  }

  async [Symbol.asyncDispose]() {
    await this.shutdown();
  }

  ref() {
    this.#inFlight.keepAlive(true);
    return this;
  }

  unref() {
    this.#inFlight.keepAlive(false);
    return this;
  }

  /**
   * @param {Function} method
   * @param {ExecutionRequest} request
   * @param {ExecutionOptions | null | undefined} options
   * @param {boolean} pull
   */
  #submit(method, request, options, pull) {
    return submit(method, request, options, pull, this.#parts);
  }

  /**
   * Does what `guard` does, with the secrets of the engine masked in the error.
   *
   * @template T
   * @param {Function} method
   * @param {() => T} call
   */
  #guard(method, call) {
    return guard(method, call, (texts) => this.#native.mask(texts, secretsOf(undefined)));
  }

  /**
   * @param {Function} method
   * @param {string} field
   * @param {string} unit
   * @param {object | null | undefined} options
   */
  #numberOf(method, field, unit, options) {
    return this.#guard(method, () => numberOf(method, field, unit, options));
  }
};

module.exports = { ExecutionEngine: Engine };
