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

/** A timer that never fires: it keeps Node and the engine alive. */
class KeepAlive {
  /** @type {NodeJS.Timeout | undefined} */ #timer;

  /**
   * @param {boolean} isWanted
   * @param {object} engine
   */
  update(isWanted, engine) {
    if (isWanted && !this.#timer) {
      this.#timer = setInterval(() => engine, NEVER_MS);
    } else if (!isWanted && this.#timer) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }
}

module.exports = { KeepAlive, withinMs };
