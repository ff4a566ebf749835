'use strict';

const { contain, report, withoutPrototype } = require('./caller-code.js');
const { sanitize, refusal, show, threw, SUBJECTS } = require('./sanitize.js');

/** @typedef {{ signal?: AbortSignal, aborted: boolean }} Aborting */

/**
 * Returns the abort signal among options. It stays on this thread and does not go to the addon.
 *
 * @param {unknown} options
 * @param {string} [field] The path of the signal.
 * @returns {Aborting}
 */
function signalOf(options, field = 'options.signal') {
  if (typeof options !== 'object' || options === null) return { signal: undefined, aborted: false };
  /** @type {AbortSignal | null | undefined} */
  let signal;
  try {
    // A `signal` that a changed `Object.prototype` has is no option of this call.
    if ('signal' in Object.prototype && !Object.hasOwn(options, 'signal')) return { signal: undefined, aborted: false };
    signal = /** @type {{ signal?: AbortSignal | null }} */ (options).signal;
    if (signal === undefined || signal === null) return { signal: undefined, aborted: false };
    // Its methods decide, not its class: a signal may come from another realm.
    const { aborted } = signal;
    if (typeof aborted === 'boolean' && typeof signal.addEventListener === 'function') return { signal, aborted };
  } catch (error) {
    // A getter of the signal's, or options that cannot be read at all: the copy of the rest would say so.
    sanitize('options', options, (at) => at === 'options.signal');
    throw threw(SUBJECTS.options, field, error);
  }
  throw refusal(SUBJECTS.options, field, `it is ${show(signal)}: give the signal of an AbortController`);
}

/** Whether a path is that of a signal of a plan or of one of its steps. @param {string} at */
const isPlanSignal = (at) => /^options(?:\.steps\[\d+\])?\.signal$/.test(at);

/**
 * Returns the abort signals of single steps of a plan, by index.
 *
 * @param {any} options As they came.
 * @param {any} copied Their plain copy: what is in it has been read without harm.
 * @returns {[number, Aborting][]}
 */
function stepSignalsOf(options, copied) {
  if (typeof copied?.steps !== 'object' || copied.steps === null) return [];
  const indexes = Object.keys(copied.steps).filter((key) => /^(0|[1-9]\d{0,8})$/.test(key));
  /** @type {(key: string) => [number, Aborting]} */
  const read = (key) => [Number(key), signalOf(options.steps?.[key], `options.steps[${key}].signal`)];
  return indexes.map(read).filter((one) => one[1].signal !== undefined);
}

/**
 * The one listener that all executions on a signal share: Node.js warns of a leak at the eleventh.
 */
class Shared {
  /** @type {Set<() => void>} */ #callbacks = new Set();
  /** @type {AbortSignal} */ #signal;
  #fire = () => {
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of callbacks) contain(callback);
  };

  /**
   * @param {AbortSignal} signal
   * @param {() => void} callback The first one: the signal may fire while it gets the listener.
   */
  constructor(signal, callback) {
    this.#signal = signal;
    this.#callbacks.add(callback);
    signal.addEventListener('abort', this.#fire, withoutPrototype({ once: true, passive: true }));
  }

  /** @param {() => void} callback */
  add(callback) {
    this.#callbacks.add(callback);
  }

  /** @param {() => void} callback */
  remove(callback) {
    if (!this.#callbacks.delete(callback) || this.#callbacks.size > 0) return;
    try {
      // If the signal has no such method, the listener stays and serves the next execution on the signal.
      if (typeof this.#signal.removeEventListener !== 'function') return;
      this.#signal.removeEventListener('abort', this.#fire);
    } catch (error) {
      report(error);
      return;
    }
    shared.delete(this.#signal);
  }
}

/** @type {WeakMap<AbortSignal, Shared>} */
const shared = new WeakMap();

/**
 * Calls back when a signal fires.
 *
 * @param {AbortSignal} signal
 * @param {() => void} abort
 * @param {string} [field] The path of the signal, for the error when it cannot be listened to.
 * @returns {() => void} Forgets the signal. It never throws.
 */
function onAbort(signal, abort, field = 'options.signal') {
  const known = shared.get(signal);
  if (known) {
    known.add(abort);
    return () => known.remove(abort);
  }
  try {
    const group = new Shared(signal, abort);
    shared.set(signal, group);
    return () => group.remove(abort);
  } catch (error) {
    throw threw(SUBJECTS.options, field, error);
  }
}

/**
 * An abort signal from before its execution is read to its end: it may fire, or throw, at any moment in between.
 */
class Abort {
  /** Whether it has fired. */
  fired = false;
  /** @type {AbortSignal | undefined} */ #signal;
  /** @type {string} */ #field;
  #forget = () => {};
  /** Called when the signal fires after the execution was accepted. @type {(() => void) | undefined} */ #stop;

  /**
   * @param {Aborting} aborting
   * @param {string} [field] The path of the signal.
   */
  constructor({ signal, aborted }, field = 'options.signal') {
    this.#signal = signal;
    this.#field = field;
    this.fired = aborted;
    if (signal && !aborted) {
      this.#forget = onAbort(signal, () => this.#fire(), field);
    }
  }

  /** Whether there is a signal at all. */
  get isGiven() {
    return this.#signal !== undefined;
  }

  /** Whether it has fired by now. */
  look() {
    if (!this.fired && this.#signal) {
      try {
        this.fired = this.#signal.aborted === true;
      } catch (error) {
        throw threw(SUBJECTS.options, this.#field, error);
      }
    }
    return this.fired;
  }

  /**
   * Records that the execution was accepted.
   *
   * @param {boolean} isKnown Whether the addon knows that the signal has fired.
   * @param {() => void} stop
   */
  accepted(isKnown, stop) {
    if (this.fired && !isKnown) stop();
    else this.#stop = stop;
  }

  /** The reason for which it fired: the `reason` of the signal. */
  get reason() {
    return this.fired && this.#signal ? contain(() => /** @type {AbortSignal} */ (this.#signal).reason) : undefined;
  }

  /** Forgets the execution, which is over or was refused. */
  forget() {
    this.#stop = undefined;
    this.#forget();
  }

  #fire() {
    this.fired = true;
    this.#stop?.();
  }
}

/** The number of executions whose abort reason is kept; their records are not kept forever either. */
const MOST_REASONS = 1_000;

/** The reasons for which executions were aborted, kept past their end. */
class AbortReasons {
  /** @type {Map<string, { reason: unknown }>} */ #byId = new Map();

  /**
   * @param {string} id
   * @param {{ reason: unknown }} aborted
   */
  keep(id, aborted) {
    this.#byId.set(id, aborted);
    if (this.#byId.size <= MOST_REASONS) return;
    for (const oldest of this.#byId.keys()) {
      this.#byId.delete(oldest);
      break;
    }
  }

  /** @param {string} id */
  of(id) {
    return this.#byId.get(id);
  }

  /** @param {string} id */
  forget(id) {
    this.#byId.delete(id);
  }
}

module.exports = { Abort, AbortReasons, isPlanSignal, signalOf, stepSignalsOf };
