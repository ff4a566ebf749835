'use strict';

const { SUBJECTS, refusal, show } = require('./sanitize.js');

/** @typedef {import('../index.js').ExecutionFeedback} ExecutionFeedback */
/** @typedef {import('../binding.js').NativeEngine} NativeEngine */

/**
 * Returns the `feedback` of a configuration: a function, or nothing.
 *
 * @param {unknown} value
 * @returns {((status: ExecutionFeedback) => void) | undefined}
 */
function feedbackOf(value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'function') return /** @type {(status: ExecutionFeedback) => void} */ (value);
  throw refusal(SUBJECTS.config, 'feedback', `it is ${show(value)}: give a function that takes the status of an execution`);
}

/**
 * Returns how an execution ended. Each field is named here, so that nothing else of a result gets into the status.
 *
 * @param {NativeEngine} native
 * @param {any} facts
 * @returns {ExecutionFeedback}
 */
function statusOf(native, facts) {
  const { id, status, exitCode, signal, durationMs, queuedMs, stdoutBytes, stderrBytes } = facts;
  const label = facts.metadata.label;
  const reason = Object.hasOwn(facts, 'reason') ? facts.reason : null;
  const name = label === undefined ? null : native.feedbackLabel(id, label);
  return { executionId: id, label: name, status, reason, exitCode, signal, durationMs, queuedMs, stdoutBytes, stderrBytes };
}

module.exports = { feedbackOf, statusOf };
