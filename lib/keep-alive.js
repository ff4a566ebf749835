'use strict';

/** The longest interval of a timer. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * Waits for work, no longer than so long on a clock that stands still while the machine sleeps. Timers may continue meanwhile.
 * @param {Promise<unknown>} work
 * @param {number} ms
 * @param {() => number} clockMs
 */
async function withinMs(work, ms, clockMs) {
  const end = clockMs() + ms;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const limit = new Promise((/** @type {(nothing?: undefined) => void} */ resolve) => {
    const look = () => {
      const left = end - clockMs();
      if (left <= 0) resolve();
      else timer = setTimeout(look, Math.min(Math.ceil(left), NEVER_MS));
    };
    look();
  });
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
