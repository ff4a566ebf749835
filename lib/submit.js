'use strict';

const { AsyncResource } = require('node:async_hooks');

const { Abort, signalOf } = require('./abort-signal.js');
const { contain } = require('./caller-code.js');
const channels = require('./diagnostics-channel.js');
const { asJson } = require('./encode.js');
const { isOwn, snapshot } = require('./environment.js');
const { guard } = require('./errors.js');
const lazy = require('./lazy.js');
const { requireChildProcesses } = require('./permission.js');
const { SUBMIT } = require('./protocol.js');
const { OMIT, sanitize, refusal, SUBJECTS } = require('./sanitize.js');
const { secretsOf } = require('./secrets.js');

/** @typedef {import('../index.js').ExecutionOptions} ExecutionOptions */
/** @typedef {import('../index.js').ExecutionRequest} ExecutionRequest */
/** @typedef {import('./pending.js').PendingExecution} PendingExecution */
/** @typedef {import('../binding.js').NativeEngine} NativeEngine */

/**
 * The parts of an engine that a submission needs.
 *
 * @typedef {object} EngineParts
 * @property {NativeEngine} native
 * @property {InstanceType<typeof import('./in-flight.js').InFlight>} inFlight
 * @property {(id: string) => Promise<void>} cancel Ends the execution of a stream that is left.
 */

/** A grace period that is not given: the execution's own counts. */
const NO_GRACE = -1;
const MANUAL = { requireManualDestroy: true };
/** The signal is this thread's. @param {string} at */
const isSignal = (at) => at === 'options.signal';

/**
 * Gives an execution to the addon.
 *
 * @param {Function} method The public method that was called.
 * @param {ExecutionRequest} request
 * @param {ExecutionOptions | null | undefined} options
 * @param {boolean} pull Its events come at the pace of their consumer.
 * @param {EngineParts} engine
 * @returns {PendingExecution}
 */
function submit(method, request, options, pull, engine) {
  requireChildProcesses(method);
  const { native, inFlight, cancel } = engine;
  const handle = inFlight.handles(1);
  /** @type {{ options: unknown, request: unknown }} As they were read, once they were. */
  const read = { options, request };
  const { id, metadata, abort, isAborted, source } = guard(
    method,
    () => accept(native, handle, request, options, pull, read),
    (texts) => native.mask(texts, secretsOf(read.options, read.request)),
  );
  // The execution is accepted, so nothing below may throw: it would have no owner.
  const pending = add(engine, id, handle, abort);
  if (pull) pending.queue = new lazy.stream.EventQueue({ release: (groups) => native.release(handle, groups), cancel: () => cancel(id) });
  if (source) pending.input = inputOf(native, handle, source);
  abort?.accepted(isAborted, () => stopAborted(engine, pending));
  announce(native, pending, metadata);
  return pending;
}

/**
 * Adds an execution that was accepted to those of this thread. It does not throw.
 *
 * @param {EngineParts} engine
 * @param {string} id
 * @param {number} handle
 * @param {PendingExecution['abort']} abort
 */
function add({ inFlight }, id, handle, abort) {
  const context = new AsyncResource('Execution', MANUAL);
  /** @type {PendingExecution} */
  const pending = { id, handle, waiters: new Set(), queue: undefined, input: undefined, abort, trace: undefined, context };
  inFlight.add(pending);
  return pending;
}

/** Stops an execution whose abort signal has fired. @param {EngineParts} engine @param {PendingExecution} pending */
function stopAborted({ native, inFlight }, { id, handle }) {
  if (inFlight.has(handle)) native.stop(id, true, NO_GRACE);
}

/**
 * Publishes the start of an execution, if there is a subscriber, whose code runs then. It does not throw.
 *
 * @param {NativeEngine} native
 * @param {PendingExecution} pending
 * @param {import('../index.js').ExecutionMetadata | null | undefined} metadata
 */
function announce(native, pending, metadata) {
  if (!channels.isWatched()) return;
  const { id } = pending;
  pending.trace = contain(() => channels.begin(id, native.command(id) ?? '', structuredClone(metadata ?? {})));
}

/**
 * Calls the addon with the variables of this thread: `null` if the addon reads them by itself, unless it cannot.
 *
 * @template T
 * @param {(env: string | null) => T | null} call
 */
function withVariables(call) {
  return /** @type {T} */ ((isOwn() ? call(null) : null) ?? call(snapshot()));
}

/**
 * Runs an execution and blocks this thread until it has ended.
 *
 * @param {Function} method
 * @param {ExecutionRequest} request
 * @param {ExecutionOptions | null | undefined} options
 * @param {NativeEngine} native
 * @returns {{ held: object, aborted: { reason: unknown } | undefined }} The addon's result, and why it was aborted.
 */
function submitSync(method, request, options, native) {
  requireChildProcesses(method);
  /** @type {{ options: unknown, request: unknown }} */
  const read = { options, request };
  return guard(
    method,
    () => {
      const aborting = signalOf(options);
      const how = sanitize('options', options, isSignal, onlyWhole(NEEDS_THREAD));
      read.options = how;
      const what = sanitize('request', request);
      read.request = what;
      const text = asJson(what, how);
      const abort = aborting.signal && new Abort(aborting);
      const isAborted = abort?.look() ?? false;
      abort?.forget();
      const ways = (isAborted ? SUBMIT.ABORTED : 0) | (text === undefined ? 0 : SUBMIT.AS_TEXT);
      const held = withVariables((env) => native.runSync(text ?? what, how, env, ways));
      return { held, aborted: isAborted ? { reason: abort?.reason } : undefined };
    },
    (texts) => native.mask(texts, secretsOf(read.options, read.request)),
  );
}

const NEEDS_THREAD = 'it is a stream, which needs the thread that waits for the command: give it as text or bytes, or use run()';

/** Refuses input that has to be pulled. @param {string} problem */
function onlyWhole(problem) {
  return (/** @type {string} */ key, /** @type {unknown} */ value) => {
    if (isSource(key, value)) throw refusal(SUBJECTS.options, `options.${key}`, problem);
    return value;
  };
}

/**
 * @param {NativeEngine} native
 * @param {number} handle
 * @param {ExecutionRequest} request
 * @param {ExecutionOptions | null | undefined} options
 * @param {boolean} pull
 * @param {{ options: unknown, request: unknown }} read
 */
function accept(native, handle, request, options, pull, read) {
  const aborting = signalOf(options);
  const abort = aborting.signal && new Abort(aborting);
  try {
    /** @type {{ from: object, field: string } | undefined} */
    let source;
    const takeSource = (/** @type {string} */ key, /** @type {unknown} */ value) => {
      if (!isSource(key, value)) return value;
      if (source) throw twice();
      source = { from: value, field: `options.${key}` };
      return OMIT;
    };
    const givenOptions = sanitize('options', options, isSignal, takeSource);
    read.options = givenOptions;
    if (source && (givenOptions.stdin ?? givenOptions.input ?? null) !== null) throw twice();
    const givenRequest = sanitize('request', request);
    read.request = givenRequest;
    const text = asJson(givenRequest, givenOptions);
    const ways = (pull ? SUBMIT.PULLS : 0) | (source ? SUBMIT.FEEDS : 0) | (text === undefined ? 0 : SUBMIT.AS_TEXT);
    let isAborted = false;
    const id = withVariables((env) => {
      // Looked at last: code of the caller's ran until here, and may have fired it.
      isAborted = abort?.look() ?? false;
      return native.submit(text ?? givenRequest, givenOptions, env, handle, isAborted ? ways | SUBMIT.ABORTED : ways);
    });
    return { id, metadata: givenRequest?.metadata, abort, isAborted, source };
  } catch (error) {
    abort?.forget();
    throw error;
  }
}

/**
 * Whether an option is input that has to be pulled.
 *
 * @param {string} key
 * @param {unknown} value
 * @returns {value is object}
 */
function isSource(key, value) {
  return (key === 'stdin' || key === 'input') && typeof value === 'object' && value !== null && lazy.input.isSource(value);
}

/** The refusal of an input that is given in two options. */
const twice = () => refusal(SUBJECTS.options, 'options.input', '`stdin` is given too: give one of them');

/**
 * @param {NativeEngine} engine
 * @param {number} handle
 * @param {{ from: object, field: string }} source
 */
function inputOf(engine, handle, { from, field }) {
  // Weak: a source that never yields anything must not keep an unused engine.
  const native = new WeakRef(engine);
  return new lazy.input.Input(from, {
    feed: (bytes) => native.deref()?.feed(handle, bytes),
    end: (failure) => native.deref()?.endInput(handle, field, failure),
  });
}

module.exports = { NO_GRACE, add, announce, isSignal, onlyWhole, stopAborted, submit, submitSync, withVariables };
