'use strict';

const { plain, refusal, show, threw, SUBJECTS } = require('./plain.js');

/** @typedef {{ signal?: AbortSignal, aborted: boolean }} Aborting */

/**
 * The abort signal among options. It is this thread's: it does not go to the addon.
 *
 * @param {unknown} options
 * @param {string} [field] The path of the signal.
 * @returns {Aborting}
 */
function signalOf(options, field = 'options.signal') {
  if (typeof options !== 'object' || options === null) return { aborted: false };
  /** @type {AbortSignal | null | undefined} */
  let signal;
  try {
    signal = /** @type {{ signal?: AbortSignal | null }} */ (options).signal;
    if (signal === undefined || signal === null) return { aborted: false };
    // By what it can do, not by its class: a signal may come from another realm.
    const { aborted } = signal;
    if (typeof aborted === 'boolean' && typeof signal.addEventListener === 'function') return { signal, aborted };
  } catch (error) {
    // A getter of the signal's, or options that cannot be read at all: the copy of the rest would say so.
    plain('options', options, (at) => at === 'options.signal');
    throw threw(SUBJECTS.options, field, error);
  }
  throw refusal(SUBJECTS.options, field, `it is ${show(signal)}: give the signal of an AbortController`);
}

/** Whether a path is that of a signal of a plan or of one of its steps. @param {string} at */
const isPlanSignal = (at) => /^options(?:\.steps\[\d+\])?\.signal$/.test(at);

/**
 * The abort signals of single steps of a plan, by index.
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
  return indexes.map(read).filter(([, { signal }]) => signal !== undefined);
}

/**
 * Calls back when a signal fires.
 *
 * @param {AbortSignal} signal
 * @param {() => void} abort
 * @returns {() => void} Forgets the signal.
 */
function onAbort(signal, abort) {
  signal.addEventListener('abort', abort, { once: true });
  return () => signal.removeEventListener('abort', abort);
}

module.exports = { isPlanSignal, onAbort, signalOf, stepSignalsOf };
