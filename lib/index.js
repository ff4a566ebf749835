'use strict';

exports.ExecutionEngine = require('./engine.js').ExecutionEngine;
exports.ExecutionError = require('./errors.js').ExecutionError;
exports.version = require('./version.js');
// The module that draws is loaded when a picture is drawn.
/** @param {import('../index.js').PlanExecutionResult} plan */
exports.toSvg = function toSvg(plan) {
  return require('./svg.js').toSvg(plan);
};
/** @param {import('../index.js').PlanExecutionResult} plan */
exports.toTrace = function toTrace(plan) {
  return require('./trace.js').toTrace(plan);
};
