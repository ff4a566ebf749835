'use strict';

const { AsyncResource } = require('node:async_hooks');

const { setOwn, withoutPrototype } = require('./caller-code.js');
const { snapshot } = require('./environment.js');
const { guard } = require('./errors.js');
const { asJson } = require('./encode.js');
const native = require('./native.js');
const { sanitize } = require('./sanitize.js');
const { Outcome } = require('./result.js');
const { secretsOf } = require('./secrets.js');
const { Abort, isPlanSignal, signalOf, stepSignalsOf } = require('./abort-signal.js');

/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {import('../index.js').PlanExecutionResult} PlanExecutionResult */
/** @typedef {InstanceType<typeof Abort>} AbortOf */
/** @typedef {InstanceType<typeof import('./stream.js').EventQueue>} Queue */
/** The addon's own hold on a plan's result: no copy of any output. @typedef {object} NativePlanResult */

/** A plan that is not over, as this thread knows it. */
class PendingPlan {
  /** @type {Set<(outcome: PlanOutcome) => void>} */ waiters = new Set();
  /** @type {Queue | undefined} */ queue;
  /** @type {string} */ id;
  /** The handle of the plan; those of its steps follow it. @type {number} */ handle;
  /** The ids of its steps. @type {string[]} */ steps;
  /** The resource in whose context code of the caller runs. @type {AsyncResource} */ context;
  /** @type {AbortOf} */ #abort;
  /** The abort signals of the steps that have one, by index. @type {Map<number, AbortOf>} */ #steps;

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
    /** @type {unknown} */
    let given = options;
    /** @type {unknown} */
    let asked = plan;
    const { accepted, handle, abort, steps, fired } = guard(
      method,
      () => {
        /** @type {Map<number, AbortOf>} */
        const steps = new Map();
        const abort = new Abort(signalOf(options));
        try {
          const givenOptions = sanitize('options', options, isPlanSignal);
          given = givenOptions;
          const givenPlan = sanitize('plan', plan);
          asked = givenPlan;
          for (const one of stepSignalsOf(options, givenOptions)) steps.set(one[0], new Abort(one[1], `options.steps[${one[0]}].signal`));
          const handle = handles(1 + (Array.isArray(givenPlan?.commands) ? givenPlan.commands.length : 0));
          const text = asJson(givenPlan, givenOptions);
          const env = snapshot();
          // Looked at last: code of the caller's ran until here, and may have fired them.
          const aborted = abort.look();
          const signals = [...steps.keys()];
          const fired = signals.filter((index) => steps.get(index)?.look());
          const call = { env, handle, asText: text !== undefined, pull, aborted, signals, fired };
          return { accepted: engine.submitPlan(text ?? givenPlan, givenOptions, call), handle, abort, steps, fired };
        } catch (error) {
          for (const one of [abort, ...steps.values()]) one.forget();
          throw error;
        }
      },
      (texts) => engine.mask(texts, secretsOf(given, asked)),
    );
    /** @type {string[]} */
    const [id, ...ids] = JSON.parse(native.NativeEngine.planIds(accepted));
    this.context = new AsyncResource('ExecutionPlan', { requireManualDestroy: true });
    this.#abort = abort;
    this.#steps = steps;
    this.id = /** @type {string} */ (id);
    this.handle = handle;
    this.steps = ids;
    abort.accepted(true, () => engine.stopPlan(this.id, true));
    steps.forEach((step, index) => step.accepted(fired.includes(index), () => native.NativeEngine.abortStep(accepted, index)));
  }

  /** Returns the abort signals that can end a step: its own, and that of the plan. @param {number} step */
  abortOf(step) {
    const ofStep = this.#steps.get(step);
    const ofPlan = this.#abort;
    if (!ofStep && !ofPlan.isGiven) return undefined;
    return {
      get fired() {
        return ofStep?.fired === true || ofPlan.fired;
      },
      get reason() {
        return ofStep?.fired ? ofStep.reason : ofPlan.reason;
      },
      // The records of the steps are removed with that of the plan.
      forget() {},
    };
  }

  forgetSignals() {
    for (const abort of [this.#abort, ...this.#steps.values()]) abort.forget();
  }
}

/** The result of a plan, which is copied out of the addon when it is first read, and only then. */
class PlanOutcome {
  /** @type {NativePlanResult} */ #native;
  /** @type {PlanExecutionResult | undefined} */ #result;

  /** The reasons for which steps were aborted. @type {InstanceType<typeof import('./abort-signal.js').AbortReasons> | undefined} */
  reasons;

  /** @param {NativePlanResult} result */
  constructor(result) {
    this.#native = result;
  }

  /** @returns {PlanExecutionResult} */
  get result() {
    return (this.#result ??= toPlanResult(/** @type {any} */ (this.#native), this.reasons));
  }
}

Object.setPrototypeOf(PlanOutcome.prototype, null);

/**
 * @param {any} held
 * @param {PlanOutcome['reasons']} reasons
 * @returns {PlanExecutionResult}
 */
function toPlanResult(held, reasons) {
  const result = JSON.parse(native.NativeEngine.planText(held));
  result.startedAt = new Date(result.startedAt);
  result.completedAt = new Date(result.completedAt);
  /** @type {import('../index.js').ExecutionResult[] | undefined} */
  let results;
  // The outputs are copied only when they are read.
  const get = () =>
    (results ??= native.NativeEngine.planSteps(held).map((step) => {
      const { result } = new Outcome(step);
      const aborted = reasons?.of(result.id);
      if (aborted && result.reason === 'aborted') setOwn(result, 'abortReason', aborted.reason);
      return result;
    }));
  return Object.defineProperty(result, 'results', withoutPrototype({ get, enumerable: true, configurable: true }));
}

module.exports = { PendingPlan, PlanOutcome };
