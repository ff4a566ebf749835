'use strict';

/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {IteratorResult<ExecutionEvent, undefined>} Step */

/**
 * What a stream needs of its execution.
 *
 * @typedef {object} Source
 * @property {(groups: number, event: ExecutionEvent) => void} release Lets the child of an event be read further, by so many reads.
 * @property {() => Promise<unknown>} cancel Resolves when the tree is gone.
 */

/** The events of one execution, at the pace of the one who reads them. */
class EventQueue {
  /** @type {ExecutionEvent[][]} */ #groups = [];
  /** The next event of the first group. */
  #at = 0;
  #ended = false;
  #closed = false;
  /** @type {((step: Step) => void)[]} */ #readers = [];
  /** @type {Source} */ #source;

  /** @param {Source} source */
  constructor(source) {
    this.#source = source;
  }

  /**
   * Takes the events of one read, or one other event.
   *
   * @param {ExecutionEvent[]} events
   */
  push(events) {
    if (this.#closed) {
      this.#done(events);
      return;
    }
    this.#groups.push(events);
    for (let reader; this.#groups.length > 0 && (reader = this.#readers.shift()); ) {
      reader({ done: false, value: this.#shift() });
    }
  }

  /** Nothing comes any more. */
  end() {
    this.#ended = true;
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined });
  }

  /** @returns {Promise<Step>} */
  next() {
    if (this.#groups.length > 0) return Promise.resolve({ done: false, value: this.#shift() });
    if (this.#ended || this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  /** Nobody reads any more: what is left is dropped and the execution is ended. @returns {Promise<Step>} */
  async return() {
    if (!this.#closed) {
      this.#closed = true;
      for (const group of this.#groups.splice(0)) this.#done(group);
      if (!this.#ended) await this.#source.cancel();
    }
    return { done: true, value: undefined };
  }

  /** @returns {ExecutionEvent} */
  #shift() {
    const group = /** @type {ExecutionEvent[]} */ (this.#groups[0]);
    const event = /** @type {ExecutionEvent} */ (group[this.#at++]);
    if (this.#at === group.length) {
      this.#at = 0;
      this.#groups.shift();
      this.#done(group);
    }
    return event;
  }

  /** @param {ExecutionEvent[]} group */
  #done(group) {
    const [event] = group;
    if (event?.type === 'stdout' || event?.type === 'stderr') this.#source.release(1, event);
  }
}

/** @template R */
class ExecutionStream {
  /** @type {EventQueue | undefined} */ #queue;
  /** @type {unknown} */ #refusal;

  /**
   * @param {Promise<string>} id
   * @param {Promise<R>} result
   * @param {EventQueue | undefined} queue Absent when the request was refused.
   * @param {unknown} refusal Why it was.
   */
  constructor(id, result, queue, refusal) {
    this.id = id;
    this.result = result;
    this.#queue = queue;
    this.#refusal = refusal;
    // Who only iterates must not meet an unhandled rejection of a promise that was never asked for.
    id.catch(() => {});
    result.catch(() => {});
  }

  /** A stream of what was not accepted. @param {unknown} refusal @returns {ExecutionStream<never>} */
  static refused(refusal) {
    return new this(Promise.reject(refusal), Promise.reject(refusal), undefined, refusal);
  }

  /** @returns {AsyncIterator<ExecutionEvent, undefined, undefined>} */
  [Symbol.asyncIterator]() {
    const queue = this.#queue;
    return queue ?? { next: () => Promise.reject(this.#refusal) };
  }
}

module.exports = { EventQueue, ExecutionStream };
