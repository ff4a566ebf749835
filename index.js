'use strict';

const { ExecutionEngine } = require('./lib/engine.js');
const { ExecutionError } = require('./lib/errors.js');
const { toSvg } = require('./lib/svg.js');
const { toTrace } = require('./lib/trace.js');

exports.ExecutionEngine = ExecutionEngine;
exports.ExecutionError = ExecutionError;
exports.toSvg = toSvg;
exports.toTrace = toTrace;
