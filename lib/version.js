'use strict';

/**
 * The version of this package, and of the addon that it accepts. The bundle that hosts load contains it as text, and reads no other file.
 */
module.exports = typeof ESCHER_VERSION === 'string' ? ESCHER_VERSION : require('../package.json').version;
