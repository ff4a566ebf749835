'use strict';

// For those who load this folder by its path. The package itself names the file below: each file costs every host half a millisecond.
module.exports = require('./dist/engine.js');
