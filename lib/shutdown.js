'use strict';

/** The longest interval of a timer. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * @param {Promise<unknown>} work
 * @param {number} ms
 */
async function withinMs(work, ms) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, Math.min(ms, NEVER_MS))));
  await Promise.race([work, limit]);
  clearTimeout(timer);
}

module.exports = { withinMs, NEVER_MS };
