'use strict';

const { snapshot } = require('./environment.js');
const { guard } = require('./errors.js');
const { asJson } = require('./json.js');
const native = require('./native.js');
const { plain } = require('./plain.js');
const { Outcome } = require('./result.js');
const { isPlanSignal, onAbort, signalOf, stepSignalsOf } = require('./signals.js');

/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {import('../index.js').PlanExecutionResult} PlanExecutionResult */
/** @typedef {InstanceType<typeof import('./stream.js').EventQueue>} Queue */
/** The addon's own hold on a plan's result: no copy of any output. @typedef {object} NativePlanResult */

/** A plan that is not over, as this thread knows it. */
class LivePlan {
  /** @type {((outcome: PlanOutcome) => void)[]} */ waiters = [];
  /** @type {Queue | undefined} */ queue;
  /** @type {(() => void)[]} */ #forget = [];

  /**
   * Gives a plan to the addon.
   *
   * @param {import('../binding.js').NativeEngine} engine
   * @param {Function} method
   * @param {import('../index.js').ExecutionPlan} plan
   * @param {import('../index.js').PlanOptions | null | undefined} options
   * @param {boolean} pull
   * @param {(count: number) => number} handles The first of so many handles in a row.
   */
  constructor(engine, method, plan, options, pull, handles) {
    const { accepted, handle, own, steps } = guard(method, () => {
      const [what, how] = [plain('plan', plan), plain('options', options, isPlanSignal)];
      const [own, steps] = [signalOf(options), stepSignalsOf(options, how)];
      const handle = handles(1 + (Array.isArray(what?.commands) ? what.commands.length : 0));
      const signals = steps.map(([index]) => index);
      const fired = steps.filter(([, { aborted }]) => aborted).map(([index]) => index);
      const text = asJson(what, how);
      const call = { env: snapshot(), handle, asText: text !== undefined, pull, aborted: own.aborted, signals, fired };
      return { accepted: engine.submitPlan(text ?? what, how, call), handle, own, steps };
    });
    this.id = accepted.id;
    /** Those of its steps follow it. */
    this.handle = handle;
    /** The ids of its steps. */
    this.steps = accepted.steps;
    if (own.signal && !own.aborted) this.#forget.push(onAbort(own.signal, () => engine.stopPlan(this.id, true)));
    for (const [index, { signal, aborted }] of steps) {
      if (signal && !aborted) this.#forget.push(onAbort(signal, () => native.NativeEngine.abortStep(accepted.signals, index)));
    }
  }

  /** The handle of the step that an event is of. @param {ExecutionEvent} event */
  handleOf(event) {
    return this.handle + 1 + /** @type {{ step: number }} */ (event).step;
  }

  forgetSignals() {
    for (const forget of this.#forget) forget();
  }
}

/** The result of a plan, which is copied out of the addon when it is first read, and only then. */
class PlanOutcome {
  /** @type {NativePlanResult} */ #native;
  /** @type {PlanExecutionResult | undefined} */ #result;

  /** @param {NativePlanResult} result */
  constructor(result) {
    this.#native = result;
  }

  /** @returns {PlanExecutionResult} */
  get result() {
    return (this.#result ??= toPlanResult(/** @type {any} */ (this.#native)));
  }
}

/**
 * @param {any} held
 * @returns {PlanExecutionResult}
 */
function toPlanResult(held) {
  const result = JSON.parse(native.NativeEngine.planText(held));
  result.startedAt = new Date(result.startedAt);
  result.completedAt = new Date(result.completedAt);
  /** @type {import('../index.js').ExecutionResult[] | undefined} */
  let results;
  // The outputs are copied only for those who read them.
  const get = () => (results ??= native.NativeEngine.planSteps(held).map((step) => new Outcome(step).result));
  return Object.defineProperty(result, 'results', { get, enumerable: true, configurable: true });
}

module.exports = { LivePlan, PlanOutcome };
