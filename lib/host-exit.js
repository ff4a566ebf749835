'use strict';

/**
 * @typedef {object} Host
 * @property {string} platform
 * @property {boolean} isMainThread
 * @property {(event: 'exit', listener: () => void) => unknown} once As of `process`.
 */

/** @type {Host} */
const HERE = {
  platform: process.platform,
  // The module of workers brings streams and timers of its own: most hosts need none of them while they load this package.
  get isMainThread() {
    return require('node:worker_threads').isMainThread;
  },
  once: process.once.bind(process),
};

/** @type {WeakSet<Host>} */
const watched = new WeakSet();

/**
 * Calls `end` once when the host exits; the end of a worker is not the host's. It does so on Windows only: when the system calls an addon
 * there, its threads have ended already.
 *
 * @param {() => void} end Ends what runs; returns within half a second.
 * @param {Host} [host]
 */
function onHostExit(end, host = HERE) {
  if (host.platform !== 'win32' || !host.isMainThread || watched.has(host)) return;
  watched.add(host);
  host.once('exit', end);
}

module.exports = { onHostExit };
