'use strict';

const { fresh } = require('./errors.js');

/**
 * Refuses what Node.js' permission model forbids: an addon could start processes all the same.
 *
 * @param {Function} method The public method, which is left out of the stack.
 */
function requireChildProcesses(method) {
  const { permission } = /** @type {{ permission?: { has(scope: string): boolean } }} */ (process);
  if (permission === undefined || permission.has('child')) return;
  const message = 'the permission model of Node.js allows this process no child processes: start Node.js with --allow-child-process too';
  throw fresh(method, 'PERMISSION_DENIED', message);
}

module.exports = { requireChildProcesses };
