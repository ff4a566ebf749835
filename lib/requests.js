'use strict';

const { slots } = require('./caller-code.js');
const { Budget, MOST_CHARACTERS, MOST_VALUES, SUBJECTS, copyWhole, kindOf, read, refusal, threw } = require('./sanitize.js');

/** @typedef {InstanceType<typeof import('./errors.js').ExecutionError>} Refusal */

/** The name of the argument. */
const LIST = 'requests';

/**
 * Copies the requests of one call. Each is accepted or refused by itself, but together they are bounded as what one call gives.
 *
 * @param {unknown} requests
 * @returns {{ copies: any[], refusals: Map<number, Refusal> }} A copy for each, `null` for those that were refused.
 */
function sanitizeRequests(requests) {
  const length = lengthOf(requests);
  if (length > MOST_VALUES) throw tooMuch();
  const subject = new Budget('request');
  /** @type {Map<number, Refusal>} */
  const refusals = new Map();
  const copies = slots(length);
  for (let index = 0; index < length; index++) {
    const at = `${LIST}[${index}]`;
    const { values, characters } = subject;
    let isRead = false;
    try {
      const request = read(requests, index, at, subject);
      isRead = true;
      copies[index] = copyWhole(request, subject);
    } catch (error) {
      if (subject.characters < 0 || (subject.values < 0 && subject.metadata === undefined)) throw tooMuch();
      const typed = /** @type {Refusal} */ (error);
      refusals.set(index, isRead ? below(at, typed) : typed);
      copies[index] = null;
      // The addon does not get this request.
      subject.values = values;
      subject.characters = characters;
      subject.metadata = undefined;
    }
  }
  return { copies, refusals };
}

/**
 * Returns the number of requests.
 *
 * @param {any} requests
 * @returns {number}
 */
function lengthOf(requests) {
  let kind;
  try {
    if (Array.isArray(requests)) return requests.length;
    kind = kindOf(requests);
  } catch (error) {
    // A proxy that was revoked, or whose traps throw.
    throw threw(SUBJECTS.request, LIST, error);
  }
  throw refusal(SUBJECTS.request, LIST, `it is ${kind}: give an array of requests`);
}

const tooMuch = () =>
  refusal(SUBJECTS.request, LIST, `they have more than ${MOST_VALUES} values or ${MOST_CHARACTERS} characters: give fewer in one call`);

/**
 * Returns the refusal of a request, as seen from the call.
 *
 * @param {string} at The path of the request.
 * @param {Refusal & { field?: string, cause?: unknown }} error
 */
function below(at, error) {
  const { field, message } = error;
  const { says, name } = SUBJECTS.request;
  const before = `${says}: ${field}: `;
  // An error of the caller's own, which a getter has thrown, stays as it is.
  if (field === undefined || !message.startsWith(before)) return error;
  const path = field === name ? at : `${at}${field.startsWith('[') ? '' : '.'}${field}`;
  return refusal(SUBJECTS.request, path, message.slice(before.length), Object.hasOwn(error, 'cause') ? { cause: error.cause } : undefined);
}

module.exports = { sanitizeRequests };
