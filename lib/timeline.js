'use strict';

/** @typedef {import('../index.js').ExecutionResult} ExecutionResult */
/** @typedef {import('../index.js').PlanExecutionResult} PlanExecutionResult */
/** @typedef {import('../index.js').PlanStep} PlanStep */

/**
 * A part of a step's time, in ms since the plan was accepted.
 *
 * @typedef {object} Phase
 * @property {'queued' | 'running' | 'pause'} kind
 * @property {number} from
 * @property {number} to
 * @property {number} attempt From 1; of a pause, the one before it.
 * @property {string} outcome How the attempt ended, for people.
 * @property {ExecutionResult['status']} status
 */

/**
 * @typedef {object} Row
 * @property {PlanStep} step
 * @property {string} condition When it runs, if that is not after success.
 * @property {Phase[]} phases None for a step that was skipped.
 * @property {number} end In ms since the plan was accepted.
 * @property {string} note A remark about it.
 * @property {boolean} isCritical Whether the plan would have been over sooner if it had been faster.
 */

/** The condition of a step that does not run after success only. */
const CONDITIONS = { failure: ' (after a failure)', always: ' (in any case)' };

/**
 * Returns the time of each step and attempt.
 *
 * @param {PlanExecutionResult} plan
 * @returns {Row[]}
 */
function timeline(plan) {
  const results = new Map(plan.results.map((result) => [result.id, result]));
  const skipped = new Map(plan.skipped.map((skip) => [skip.index, skip]));
  const rows = plan.steps.map((step) => {
    const result = results.get(step.id);
    const skip = skipped.get(step.index);
    const because = skip && typeof skip.because === 'number' ? `: step ${skip.because} did not complete` : '';
    const phases = result ? phasesOf(result, plan.startedAt) : [];
    const note = result
      ? outcomeOf(result) + (result.attempt > 1 ? ` at attempt ${result.attempt}` : '')
      : `skipped (${skip?.reason ?? 'unknown'})${because}`;
    return { step, condition: step.when ? CONDITIONS[step.when] : '', phases, note, end: phases.at(-1)?.to ?? 0, isCritical: false };
  });
  for (const row of criticalPath(rows)) row.isCritical = true;
  return rows;
}

/**
 * Returns the steps that the end of the plan waited for, the last one first.
 *
 * @param {Row[]} rows
 */
function criticalPath(rows) {
  const latest = (/** @type {(Row | undefined)[]} */ some) =>
    some.reduce((last, row) => (row && row.phases.length > 0 && (!last || row.end > last.end) ? row : last), undefined);
  const path = [];
  for (let row = latest(rows); row; row = latest(row.step.dependsOn.map((index) => rows[index]))) path.push(row);
  return path;
}

/**
 * @param {ExecutionResult} result
 * @param {Date} origin
 * @returns {Phase[]}
 */
function phasesOf(result, origin) {
  const phases = [];
  for (const one of [...(result.retries ?? []), result]) {
    const start = Math.max(0, one.startedAt.getTime() - origin.getTime());
    const about = { attempt: one.attempt, outcome: outcomeOf(one), status: one.status };
    // Clocks have their grain: a wait that is too short to see is none.
    if (one.queuedMs >= 1)
      phases.push({ ...about, kind: /** @type {const} */ ('queued'), from: Math.max(0, start - one.queuedMs), to: start });
    const end = start + one.durationMs;
    phases.push({ ...about, kind: /** @type {const} */ ('running'), from: start, to: end });
    if ('delayMs' in one) phases.push({ ...about, kind: /** @type {const} */ ('pause'), from: end, to: end + one.delayMs });
  }
  return phases;
}

/**
 * Describes how an attempt ended, for people.
 *
 * @param {Pick<ExecutionResult, 'status' | 'exitCode' | 'signal' | 'error' | 'reason'>} ended
 */
function outcomeOf({ status, exitCode, signal, error, reason }) {
  if (status !== 'failed') return status === 'timeout' && reason ? reason : status;
  if (error) return error.code;
  return signal ? `failed (${signal})` : `failed (exit ${exitCode})`;
}

module.exports = { timeline };
