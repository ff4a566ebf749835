'use strict';

const { settled } = require('./pending.js');

/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {IteratorResult<ExecutionEvent, undefined>} Step */

/**
 * What a stream needs of its execution.
 *
 * @typedef {object} Source
 * @property {(groups: number, handle: number) => void} release Lets a child be read further, by so many reads.
 * @property {() => Promise<unknown>} cancel Resolves when the tree is gone.
 */

/**
 * The events of one read of a child, whose handle it has; or one other event.
 *
 * @typedef {{ events: ExecutionEvent[], handle: number | undefined, next: Group | undefined }} Group
 */

/** The events of one execution, at the pace of the reader. */
class EventQueue {
  /** The first group that is not consumed; linked, so that no setter of `Array.prototype` is met. @type {Group | undefined} */
  #first;
  /** @type {Group | undefined} */ #last;
  /** The next event of the first group. */
  #at = 0;
  #ended = false;
  /** @type {Promise<unknown> | undefined} */ #closed;
  /** The reads that wait for an event, oldest first. @type {Set<(step: Step) => void>} */ #readers = new Set();
  /** @type {Source} */ #source;

  /** @param {Source} source */
  constructor(source) {
    this.#source = source;
  }

  /**
   * Takes the events of one read, or one other event.
   *
   * @param {ExecutionEvent[]} events
   * @param {number} [handle] That of the child, for the events of a read.
   */
  push(events, handle) {
    /** @type {Group} */
    const group = { events, handle, next: undefined };
    if (this.#closed) {
      this.#done(group);
      return;
    }
    if (this.#last) this.#last.next = group;
    else this.#first = group;
    this.#last = group;
    for (const reader of this.#readers) {
      if (!this.#first) return;
      this.#readers.delete(reader);
      reader({ done: false, value: this.#shift(this.#first) });
    }
  }

  /** Nothing comes any more. */
  end() {
    this.#ended = true;
    for (const reader of this.#readers) reader({ done: true, value: undefined });
    this.#readers.clear();
  }

  /** @returns {Promise<Step>} */
  next() {
    if (this.#first) return Promise.resolve({ done: false, value: this.#shift(this.#first) });
    if (this.#ended || this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.add(resolve));
  }

  /** The reader is gone: what is left is dropped and the execution is ended. @returns {Promise<Step>} */
  async return() {
    await (this.#closed ??= this.#close());
    return { done: true, value: undefined };
  }

  async #close() {
    for (let group = this.#first; group; group = group.next) this.#done(group);
    this.#first = this.#last = undefined;
    if (!this.#ended) await this.#source.cancel();
  }

  /** @param {Group} group The first one. @returns {ExecutionEvent} */
  #shift(group) {
    const event = /** @type {ExecutionEvent} */ (group.events[this.#at++]);
    if (this.#at === group.events.length) {
      this.#at = 0;
      this.#first = group.next;
      if (!this.#first) this.#last = undefined;
      this.#done(group);
    }
    return event;
  }

  /** @param {Group} group */
  #done({ handle }) {
    if (handle !== undefined) this.#source.release(1, handle);
  }
}

/** @template R */
class ExecutionStream {
  /** @type {Promise<string>} */ id;
  /** @type {Promise<R>} */ result;
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
    // Code that only iterates must not get an unhandled rejection of a promise that it never requested.
    id.catch(() => {});
    result.catch(() => {});
  }

  /** @returns {AsyncIterator<ExecutionEvent, undefined, undefined>} */
  [Symbol.asyncIterator]() {
    const queue = this.#queue;
    return queue ?? { next: () => Promise.reject(this.#refusal) };
  }

  /** Ends the execution, unless it is over; resolves when its tree is gone. */
  async [Symbol.asyncDispose]() {
    await this.#queue?.return();
  }
}

/**
 * The stream of what `submit` has accepted, or of its refusal.
 *
 * @template O, R
 * @param {() => { id: string, queue: EventQueue | undefined, waiters: Set<(outcome: O) => void> }} submit
 * @param {(outcome: O) => R} resultOf
 * @returns {ExecutionStream<R>}
 */
function streamOf(submit, resultOf) {
  let pending;
  try {
    pending = submit();
  } catch (refusal) {
    return new ExecutionStream(Promise.reject(refusal), Promise.reject(refusal), undefined, refusal);
  }
  return new ExecutionStream(Promise.resolve(pending.id), settled(pending).then(resultOf), pending.queue, undefined);
}

module.exports = { EventQueue, ExecutionStream, streamOf };
