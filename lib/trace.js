'use strict';

const { timeline } = require('./timeline.js');

/** @typedef {import('../index.js').PlanExecutionResult} PlanExecutionResult */

/**
 * Returns a plan in the trace event format of Chrome, which Perfetto reads too: one thread for each step. Times are in microseconds.
 *
 * @param {PlanExecutionResult} plan
 * @returns {string} JSON text.
 */
function toTrace(plan) {
  const common = { pid: 1, cat: 'plan' };
  /** @type {object[]} */
  const traceEvents = [
    { ...common, ph: 'M', name: 'process_name', args: { name: plan.description } },
    {
      ...common,
      ph: 'X',
      tid: 0,
      name: plan.description,
      ts: 0,
      dur: micros(plan.totalDurationMs),
      args: { planId: plan.planId, status: plan.status, ...plan.stats },
    },
    { ...common, ph: 'M', name: 'thread_name', tid: 0, args: { name: 'plan' } },
  ];
  for (const { step, condition, phases, note, isCritical } of timeline(plan)) {
    const tid = step.index + 1;
    traceEvents.push({ ...common, ph: 'M', name: 'thread_name', tid, args: { name: `${step.index} ${step.name}${condition}` } });
    traceEvents.push({ ...common, ph: 'M', name: 'thread_sort_index', tid, args: { sort_index: tid } });
    const about = {
      executionId: step.id,
      status: step.status,
      dependsOn: step.dependsOn,
      when: step.when ?? 'success',
      inputs: step.inputs ?? [],
      isCritical,
    };
    if (phases.length === 0) traceEvents.push({ ...common, ph: 'i', s: 't', tid, name: note, ts: 0, args: about });
    for (const { kind, from, to, attempt, outcome } of phases) {
      const name = kind === 'running' ? step.name : kind === 'queued' ? 'queued' : 'pause before the next attempt';
      const args = kind === 'running' ? { ...about, attempt, outcome } : { attempt };
      traceEvents.push({ ...common, ph: 'X', tid, name, ts: micros(from), dur: micros(to - from), args });
    }
  }
  return JSON.stringify({ displayTimeUnit: 'ms', otherData: { startedAt: plan.startedAt }, traceEvents });
}

/** @param {number} ms */
function micros(ms) {
  return Math.max(0, Math.round(ms * 1000));
}

module.exports = { toTrace };
