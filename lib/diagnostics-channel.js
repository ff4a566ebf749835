'use strict';

const { channel } = require('node:diagnostics_channel');

const { withoutPrototype } = require('./caller-code.js');

/** @typedef {import('../index.js').ExecutionTrace} ExecutionTrace */

const start = channel('escher:execution:start');
const end = channel('escher:execution:end');
const error = channel('escher:execution:error');

/** Whether there is a subscriber: without one, nothing is made. */
function isWatched() {
  return start.hasSubscribers || end.hasSubscribers || error.hasSubscribers;
}

/**
 * Publishes that an execution was accepted. The same object is published again when it ends.
 *
 * @param {string} executionId
 * @param {string} command
 * @param {import('../index.js').ExecutionMetadata} metadata
 * @returns {ExecutionTrace}
 */
function begin(executionId, command, metadata) {
  /** @type {ExecutionTrace} */
  const trace = { executionId, command, metadata };
  start.publish(trace);
  return trace;
}

/**
 * @param {ExecutionTrace} trace
 * @param {import('../index.js').ExecutionResult['status']} status
 * @param {InstanceType<typeof import('./result.js').Outcome>} outcome
 */
function finish(trace, status, outcome) {
  trace.status = status;
  // The result is made when first read: it may be megabytes.
  Object.defineProperty(trace, 'result', withoutPrototype({ get: () => outcome.result, enumerable: true, configurable: true }));
  const failure = outcome.error;
  if (failure) {
    trace.error = failure;
    error.publish(trace);
  }
  end.publish(trace);
}

module.exports = { begin, finish, isWatched };
