'use strict';

const { contain, each, ownMap } = require('./caller-code.js');
const { settled } = require('./pending.js');
const { KeepAlive } = require('./keep-alive.js');

/** @typedef {import('./pending.js').PendingExecution} PendingExecution */
/** @typedef {InstanceType<typeof import('./plan.js').PendingPlan>} Plan */

const MOST = 2 ** 32 - 1;

/** The executions (steps of plans among them) and plans that an engine runs now, as far as this thread knows. */
class InFlight {
  /** @type {Map<number, PendingExecution>} */ #byHandle = ownMap();
  /** @type {Map<string, PendingExecution>} */ #byId = ownMap();
  /** @type {Map<number, Plan>} */ #plans = ownMap();
  /** @type {Map<string, Plan>} */ #planById = ownMap();
  #lastHandle = 0;
  #keepsAlive = true;
  #keepAlive = new KeepAlive();
  /** @type {object} */ #engine;

  /** @param {object} engine Kept alive, and Node with it, while anything runs. */
  constructor(engine) {
    this.#engine = engine;
  }

  /** Returns the first of so many handles in a row. @param {number} count */
  handles(count) {
    if (this.#lastHandle + count >= MOST) this.#lastHandle = 0;
    const first = this.#lastHandle + 1;
    this.#lastHandle += count;
    return first;
  }

  /** Whether that which runs keeps Node alive. @param {boolean} keepsAlive */
  keepAlive(keepsAlive) {
    this.#keepsAlive = keepsAlive;
    this.#update();
  }

  /** @param {number} handle */
  at(handle) {
    return this.#byHandle.get(handle) ?? this.#plans.get(handle);
  }

  /** @param {number} handle */
  has(handle) {
    return this.#byHandle.has(handle);
  }

  /** @param {string} id */
  find(id) {
    return typeof id === 'string' ? (this.#byId.get(id) ?? this.#byId.get(id.toLowerCase())) : undefined;
  }

  /** @param {string} id */
  findPlan(id) {
    return typeof id === 'string' ? this.#planById.get(id.toLowerCase()) : undefined;
  }

  /** @param {PendingExecution} execution */
  add(execution) {
    this.#byHandle.set(execution.handle, execution);
    this.#byId.set(execution.id, execution);
    if (this.#byHandle.size === 1) this.#update();
  }

  /** @param {PendingExecution} execution */
  remove(execution) {
    this.#byHandle.delete(execution.handle);
    this.#byId.delete(execution.id);
    if (this.#byHandle.size === 0) this.#update();
  }

  /** Adds a plan and its steps, each of which has the events of the plan. @param {Plan} plan */
  addPlan(plan) {
    plan.steps.forEach((id, step) => {
      const handle = plan.handle + 1 + step;
      const abort = plan.abortOf(step);
      const { id: planId, queue, context } = plan;
      this.add({ id, handle, waiters: new Set(), queue, input: undefined, abort, trace: undefined, context, planId, step });
    });
    this.#plans.set(plan.handle, plan);
    this.#planById.set(plan.id, plan);
    this.#update();
  }

  /** Removes a plan and its remaining steps, which never began. @param {Plan} plan */
  removePlan(plan) {
    this.#plans.delete(plan.handle);
    this.#planById.delete(plan.id);
    plan.steps.forEach((_, index) => {
      const step = this.#byHandle.get(plan.handle + 1 + index);
      if (!step) return;
      this.remove(step);
      each(step.waiters, (waiter) => waiter(undefined));
    });
    this.#update();
  }

  isEmpty() {
    return this.#byHandle.size === 0 && this.#plans.size === 0;
  }

  /** Resolves when what runs now, and what waits, is over. */
  allSettled() {
    return Promise.all([...[...this.#byHandle.values()].map(settled), ...[...this.#plans.values()].map(settled)]);
  }

  #update() {
    // A timer can fail to be made where a prototype was changed; what was accepted continues.
    contain(() => this.#keepAlive.update(this.#keepsAlive && !this.isEmpty(), this.#engine));
  }
}

module.exports = { InFlight };
