'use strict';

/**
 * An execution that has not ended, as this thread knows it.
 *
 * @typedef {object} Live
 * @property {string} id
 * @property {number} handle
 * @property {((outcome: InstanceType<typeof import('./result.js').Outcome> | undefined) => void)[]} waiters Without an outcome it was skipped.
 * @property {InstanceType<typeof import('./stream.js').EventQueue> | undefined} queue That of its plan, for a step.
 * @property {InstanceType<typeof import('./input.js').Input> | undefined} input
 * @property {(() => void) | undefined} forgetSignal
 * @property {import('../index.js').ExecutionTrace} [trace]
 * @property {string} [planId]
 * @property {number} [step]
 */

/**
 * Resolves when it is over.
 *
 * @template T
 * @param {{ waiters: ((outcome: T) => void)[] }} live
 * @returns {Promise<T>}
 */
function settled(live) {
  return new Promise((resolve) => live.waiters.push(resolve));
}

/**
 * Marks an event as one of a step.
 *
 * @param {{ planId?: string | undefined, step?: number | undefined }} live
 * @param {object} event
 */
function mark({ planId, step }, event) {
  if (planId !== undefined) Object.assign(event, { planId, step });
}

module.exports = { mark, settled };
