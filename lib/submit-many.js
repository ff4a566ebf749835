'use strict';

const { Abort, signalOf } = require('./abort-signal.js');
const { slots } = require('./caller-code.js');
const channels = require('./diagnostics-channel.js');
const { asJson } = require('./encode.js');
const { fromNative, guard, maskSecrets } = require('./errors.js');
const { requireChildProcesses } = require('./permission.js');
const { SUBMIT } = require('./protocol.js');
const { sanitizeRequests } = require('./requests.js');
const { sanitize } = require('./sanitize.js');
const { secretsOf } = require('./secrets.js');
const { add, announce, isSignal, onlyWhole, stopAborted, withVariables } = require('./submit.js');

/** @typedef {import('../index.js').ExecutionOptions} ExecutionOptions */
/** @typedef {import('../index.js').ExecutionRequest} ExecutionRequest */
/** @typedef {import('../index.js').SubmissionOutcome} SubmissionOutcome */
/** @typedef {import('./submit.js').EngineParts} EngineParts */

const ONE_READER = 'it is a stream, which only one of the commands could read: give it as text or bytes';

/**
 * Gives many executions to the addon, by one call of it.
 *
 * @param {Function} method The public method that was called.
 * @param {readonly ExecutionRequest[]} requests
 * @param {ExecutionOptions | null | undefined} options
 * @param {EngineParts} engine
 * @returns {SubmissionOutcome[]}
 */
function submitMany(method, requests, options, engine) {
  requireChildProcesses(method);
  const { native } = engine;
  /** @type {{ options: unknown, requests: unknown }} As they were read, once they were. */
  const read = { options, requests };
  const mask = (/** @type {string[]} */ texts) => native.mask(texts, secretsOf(read.options, { commands: read.requests }));
  const accepted = guard(method, () => accept(engine, requests, options, read), mask);
  // The accepted executions have no other owner, so nothing below may throw.
  const outcomes = settle(engine, accepted);
  accepted.abort?.forget();
  const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
  if (refusals.length > 0) maskSecrets(refusals, mask);
  for (const refusal of refusals) Error.captureStackTrace(refusal, method);
  announceAll(engine, outcomes, accepted.copies);
  return outcomes;
}

/**
 * @param {EngineParts} engine
 * @param {readonly ExecutionRequest[]} requests
 * @param {ExecutionOptions | null | undefined} options
 * @param {{ options: unknown, requests: unknown }} read
 */
function accept({ native, inFlight }, requests, options, read) {
  const aborting = signalOf(options);
  const abort = aborting.signal && new Abort(aborting);
  try {
    const givenOptions = sanitize('options', options, isSignal, onlyWhole(ONE_READER));
    read.options = givenOptions;
    const { copies, refusals } = sanitizeRequests(requests);
    const text = asJson(copies, givenOptions);
    const handle = inFlight.handles(copies.length);
    let isAborted = false;
    const answer = withVariables((env) => {
      // Looked at last: code of the caller's ran until here, and may have fired it.
      isAborted = abort?.look() ?? false;
      const ways = (isAborted ? SUBMIT.ABORTED : 0) | (text === undefined ? 0 : SUBMIT.AS_TEXT);
      return native.submitMany(text ?? copies, givenOptions, env, handle, ways);
    });
    return { answer, copies, refusals, handle, abort, isAborted, signal: aborting.signal };
  } catch (error) {
    abort?.forget();
    throw error;
  }
}

/**
 * Returns the outcome for each request.
 *
 * @param {EngineParts} engine
 * @param {ReturnType<typeof accept>} accepted
 */
function settle(engine, { answer, refusals, handle, abort, isAborted, signal }) {
  /** @type {(string | [code: string, message: string])[]} */
  const entries = JSON.parse(answer);
  const { length } = entries;
  /** @type {SubmissionOutcome[]} */
  const outcomes = slots(length);
  for (let index = 0; index < length; index++) {
    const entry = /** @type {string | [string, string]} */ (entries[index]);
    if (typeof entry === 'string') {
      // Creates one subscription for each execution; all share one listener, which may fire meanwhile.
      const own = abort && new Abort({ signal, aborted: abort.fired });
      const pending = add(engine, entry, handle + index, own);
      own?.accepted(isAborted, () => stopAborted(engine, pending));
      outcomes[index] = { status: 'fulfilled', value: entry };
    } else {
      const reason = refusals.get(index) ?? fromNative({ code: entry[0], message: entry[1] });
      outcomes[index] = { status: 'rejected', reason: /** @type {import('../index.js').ExecutionError} */ (reason) };
    }
  }
  return outcomes;
}

/**
 * Publishes the start of what was accepted, if there is a subscriber, whose code runs then.
 *
 * @param {EngineParts} engine
 * @param {SubmissionOutcome[]} outcomes
 * @param {any[]} copies
 */
function announceAll({ native, inFlight }, outcomes, copies) {
  if (!channels.isWatched()) return;
  outcomes.forEach((outcome, index) => {
    const pending = outcome.status === 'fulfilled' && inFlight.find(outcome.value);
    if (pending) announce(native, pending, copies[index].metadata);
  });
}

module.exports = { submitMany };
