'use strict';

const { resolve } = require('node:path');

const { fresh } = require('./errors.js');

/**
 * @typedef {object} Deno
 * @property {{ querySync(descriptor: object): { state: string, partial: boolean } }} permissions
 */

/**
 * Refuses what the runtime forbids this process: the runtime does not keep an addon from starting processes.
 *
 * @param {Function} method The public method, which is left out of the stack.
 */
function requireChildProcesses(method) {
  const model = nodeModel();
  if (model && !model.has('child')) {
    throw denied(
      method,
      'the permission model of Node.js allows this process no child processes: start Node.js with --allow-child-process too',
    );
  }
  if (!process.versions.deno) return;
  // A list of programs cannot be kept: what a shell or a script starts is not known beforehand.
  if (!allowsAll({ name: 'run' })) {
    throw denied(
      method,
      'Deno does not allow this process every program: start Deno with --allow-run, without a list and without --deny-run',
    );
  }
  if (!allows({ name: 'env' })) {
    throw denied(
      method,
      'Deno does not allow this process to read its environment, which child processes inherit: start Deno with --allow-env, without a list',
    );
  }
}

/**
 * Refuses to read a file that the runtime hides from this process: the runtime does not keep an addon from reading it.
 *
 * @param {Function} method The public method, which is left out of the stack.
 * @param {string} path
 */
function requireRead(method, path) {
  const model = nodeModel();
  if (model && !model.has('fs.read', resolve(path))) {
    throw denied(
      method,
      'the permission model of Node.js does not allow this process to read that file: start Node.js with --allow-fs-read for it',
    );
  }
  if (process.versions.deno && !allows({ name: 'read', path })) {
    throw denied(method, 'Deno does not allow this process to read that file: start Deno with --allow-read for it');
  }
}

/** Returns the permission model of Node.js, if one is in force. */
function nodeModel() {
  return /** @type {{ permission?: { has(scope: string, reference?: string): boolean } }} */ (process).permission;
}

/** @param {object} descriptor */
function query(descriptor) {
  return /** @type {{ Deno: Deno }} */ (/** @type {unknown} */ (globalThis)).Deno.permissions.querySync(descriptor);
}

/** @param {object} descriptor */
const allows = (descriptor) => query(descriptor).state === 'granted';

/** @param {object} descriptor */
function allowsAll(descriptor) {
  const { state, partial } = query(descriptor);
  return state === 'granted' && !partial;
}

/** @param {Function} method @param {string} message */
const denied = (method, message) => fresh(method, 'PERMISSION_DENIED', message);

module.exports = { requireChildProcesses, requireRead };
