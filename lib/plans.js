'use strict';

const { asId } = require('./arguments.js');
const { guard } = require('./errors.js');
const lazy = require('./lazy.js');
const { settled, unlessOver } = require('./pending.js');
const { requireChildProcesses } = require('./permission.js');
const { secretsOf } = require('./secrets.js');

/** @typedef {import('../index.js').ExecutionPlan} ExecutionPlan */
/** @typedef {import('../index.js').PlanOptions} PlanOptions */
/** @typedef {import('../binding.js').NativeEngine} NativeEngine */
/** @typedef {InstanceType<typeof import('./plan.js').PendingPlan>} Plan */

/** The plans of an engine. */
class Plans {
  /** @type {NativeEngine} */ #native;
  /** @type {InstanceType<typeof import('./in-flight.js').InFlight>} */ #inFlight;
  /** @type {InstanceType<typeof import('./abort-signal.js').AbortReasons>} */ #reasons;

  /**
   * @param {NativeEngine} native
   * @param {InstanceType<typeof import('./in-flight.js').InFlight>} inFlight
   * @param {InstanceType<typeof import('./abort-signal.js').AbortReasons>} reasons Why steps were aborted, kept past their end.
   */
  constructor(native, inFlight, reasons) {
    this.#native = native;
    this.#inFlight = inFlight;
    this.#reasons = reasons;
  }

  /**
   * @param {Function} method The public method that was called.
   * @param {ExecutionPlan} plan
   * @param {PlanOptions | null | undefined} options
   * @param {((id: string) => Promise<void>) | undefined} cancel Ends the plan of a stream that is left; without it there is no stream.
   * @returns {Plan}
   */
  submit(method, plan, options, cancel) {
    requireChildProcesses(method);
    const pull = cancel !== undefined;
    const handles = (/** @type {number} */ count) => this.#inFlight.handles(count);
    const pending = new lazy.plan.PendingPlan(this.#native, method, plan, options, pull, handles);
    if (pull) {
      const release = (/** @type {number} */ groups, /** @type {number} */ handle) => this.#native.release(handle, groups);
      pending.queue = new lazy.stream.EventQueue({ release, cancel: () => cancel(pending.id) });
    }
    this.#inFlight.addPlan(pending);
    return pending;
  }

  /**
   * @param {Function} method
   * @param {ExecutionPlan} plan
   * @param {PlanOptions | null | undefined} options
   * @param {(id: string) => Promise<void>} cancel
   */
  stream(method, plan, options, cancel) {
    return lazy.stream.streamOf(
      () => this.submit(method, plan, options, cancel),
      (outcome) => outcome.result,
    );
  }

  /**
   * @param {Function} method
   * @param {string} id
   */
  async wait(method, id) {
    const pending = this.#inFlight.findPlan(id);
    const outcome = pending ? await settled(pending) : await this.#outcomeOf(method, id);
    outcome.reasons = this.#reasons;
    return outcome.result;
  }

  /**
   * @param {Function} method
   * @param {string} id
   */
  async cancel(method, id) {
    const pending = this.#inFlight.findPlan(id);
    unlessOver(pending, () => this.#guard(method, () => this.#native.stopPlan(asId(id), false)));
    if (pending) await settled(pending);
  }

  /**
   * Returns the outcome of a plan that is over.
   *
   * @param {Function} method
   * @param {string} id
   */
  async #outcomeOf(method, id) {
    // A thread of the engine masks secrets that were added later in much output.
    const masked = await this.#guard(method, () => this.#native.maskedPlan(asId(id)));
    return new lazy.plan.PlanOutcome(masked ?? /** @type {object} */ (this.#guard(method, () => this.#native.planResult(asId(id)))));
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
}

module.exports = { Plans };
