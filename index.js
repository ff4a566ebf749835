'use strict';

const { ExecutionEngine } = require('./lib/engine.js');
const { ExecutionError } = require('./lib/errors.js');

exports.ExecutionEngine = ExecutionEngine;
exports.ExecutionError = ExecutionError;
