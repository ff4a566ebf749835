'use strict';

/** The addon. Its methods are the engine's; everything that users see is made of them in this folder. */
module.exports = require('../binding.js');
