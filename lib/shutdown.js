'use strict';

const { guard } = require('./errors.js');
const { plain, refusal, show, SUBJECTS } = require('./plain.js');

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

/**
 * @param {Function} method
 * @param {{ graceMs?: number | null } | null | undefined} options
 */
function graceOf(method, options) {
  return guard(method, () => {
    const given = plain('shutdown', options) ?? {};
    if (typeof given !== 'object') throw refusal(SUBJECTS.shutdown, 'options', `it is ${show(given)}: give an object`);
    for (const key of Object.keys(given)) {
      if (key !== 'graceMs') throw refusal(SUBJECTS.shutdown, key, `unknown field (${show(given[key])}): did you mean \`graceMs\`?`);
    }
    const ms = given.graceMs ?? 0;
    if (typeof ms === 'number' && Number.isSafeInteger(ms) && ms >= 0) return ms;
    throw refusal(SUBJECTS.shutdown, 'graceMs', `it is ${show(ms)}: give milliseconds, 0 or more`);
  });
}

module.exports = { graceOf, withinMs, NEVER_MS };
