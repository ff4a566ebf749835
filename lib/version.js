'use strict';

/** Of this package, and so of the addon that it accepts. The one file that hosts load has it as a text, and reads no other file. */
module.exports = typeof ESCHER_VERSION === 'string' ? ESCHER_VERSION : require('../package.json').version;
