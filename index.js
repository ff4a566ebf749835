'use strict';

const { ExecutionEngine } = require('./lib/engine.js');
const { ExecutionError } = require('./lib/errors.js');

exports.ExecutionEngine = ExecutionEngine;
exports.ExecutionError = ExecutionError;
// What draws is loaded when something is drawn.
/** @param {import('./index.js').PlanExecutionResult} plan */
exports.toSvg = function toSvg(plan) {
  return require('./lib/svg.js').toSvg(plan);
};
/** @param {import('./index.js').PlanExecutionResult} plan */
exports.toTrace = function toTrace(plan) {
  return require('./lib/trace.js').toTrace(plan);
};
