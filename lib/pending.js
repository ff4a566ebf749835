'use strict';

const { setOwn } = require('./caller-code.js');

/**
 * The state that this thread has of an execution that has not ended.
 *
 * @typedef {object} PendingExecution
 * @property {string} id
 * @property {number} handle
 * @property {Set<(outcome: InstanceType<typeof import('./result.js').Outcome> | undefined) => void>} waiters Without an outcome it was skipped.
 * @property {InstanceType<typeof import('./stream.js').EventQueue> | undefined} queue That of its plan, for a step.
 * @property {InstanceType<typeof import('./input.js').Input> | undefined} input
 * @property {{ readonly fired: boolean, readonly reason: unknown, forget: () => void } | undefined} abort Its abort signal.
 * @property {import('../index.js').ExecutionTrace | undefined} trace
 * @property {import('node:async_hooks').AsyncResource} context The resource in whose context code of the caller runs.
 * @property {string} [planId]
 * @property {number} [step]
 */

/**
 * Resolves when it is over.
 *
 * @template T
 * @param {{ waiters: Set<(outcome: T) => void> }} pending
 * @returns {Promise<T>}
 */
function settled(pending) {
  return new Promise((resolve) => pending.waiters.add(resolve));
}

/**
 * Marks an event as one of a step.
 *
 * @param {{ planId?: string | undefined, step?: number | undefined }} pending
 * @param {object} event
 */
function mark({ planId, step }, event) {
  if (planId === undefined) return;
  setOwn(event, 'planId', planId);
  setOwn(event, 'step', step);
}

/**
 * Stops what may be over, its record gone, while its end is still on the way to this thread.
 *
 * @param {object | undefined} pending
 * @param {() => void} stop
 */
function unlessOver(pending, stop) {
  try {
    stop();
  } catch (error) {
    if (!pending || /** @type {{ code?: string }} */ (error).code !== 'NOT_FOUND') throw error;
  }
}

module.exports = { mark, settled, unlessOver };
