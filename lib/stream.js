'use strict';

const { setImmediate, slots } = require('./caller-code.js');
const { settled } = require('./pending.js');
const { SUBJECTS, refusal } = require('./sanitize.js');

// The function as it was when this file was loaded.
const { concat } = Array.prototype;
const { apply } = Reflect;

/** A call with many more would overflow the stack. */
const MOST_ARGUMENTS = 1024;

/** @typedef {import('../index.js').ExecutionEvent} ExecutionEvent */
/** @typedef {IteratorResult<ExecutionEvent, undefined>} Step */
/** @typedef {IteratorResult<ExecutionEvent[], undefined>} BatchStep */
/** The way in which a stream is read. @typedef {'events' | 'batches'} Way */

/**
 * The parts of an execution that a stream needs.
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

/** The events of one execution, at the pace of the reader: one by one, or all that have arrived. */
class EventQueue {
  /** The first group that is not consumed; linked, so that no setter of `Array.prototype` is met. @type {Group | undefined} */
  #first;
  /** @type {Group | undefined} */ #last;
  /** The next event of the first group. */
  #at = 0;
  #ended = false;
  /** @type {Promise<unknown> | undefined} */ #closed;
  /** The reads that wait, oldest first. @type {Set<(step: any) => void>} */ #readers = new Set();
  /** The way in which it is read, from the first read on. @type {Way | undefined} */ #way;
  /** Whether what comes in this turn of the event loop is on its way to a reader, as one batch. */
  #isGathering = false;
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
   * @returns {boolean} Whether a reader gets them, in an array, at the end of this turn of the event loop.
   */
  push(events, handle) {
    /** @type {Group} */
    const group = { events, handle, next: undefined };
    if (this.#closed) {
      this.#done(group);
      return false;
    }
    if (this.#last) this.#last.next = group;
    else this.#first = group;
    this.#last = group;
    this.#notify();
    return this.#isGathering;
  }

  /** Ends the stream: no more events come. */
  end() {
    this.#ended = true;
    this.#notify();
  }

  /** Returns the next event. @returns {Promise<Step>} */
  next() {
    return this.#read('events');
  }

  /** Returns all events that have arrived; at least one. @returns {Promise<BatchStep>} */
  nextBatch() {
    return this.#read('batches');
  }

  /** @param {Way} way @returns {Promise<any>} */
  #read(way) {
    this.#way ??= way;
    if (this.#way !== way) return Promise.reject(isReadOtherwise(this.#way));
    if (this.#first && this.#readers.size === 0) return Promise.resolve({ done: false, value: this.#take(this.#first) });
    if (this.#closed || (this.#ended && this.#readers.size === 0)) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.add(resolve));
  }

  /** Answers the reads that wait: those of batches when this turn of the event loop has brought all that it brings. */
  #notify() {
    if (this.#way !== 'batches') {
      this.#answer();
    } else if (this.#readers.size > 0 && !this.#isGathering) {
      this.#isGathering = true;
      setImmediate(() => {
        this.#isGathering = false;
        this.#answer();
      });
    }
  }

  #answer() {
    for (const reader of this.#readers) {
      if (!this.#first && !this.#ended) return;
      this.#readers.delete(reader);
      reader(this.#first ? { done: false, value: this.#take(this.#first) } : { done: true, value: undefined });
    }
  }

  /** @param {Group} first */
  #take(first) {
    return this.#way === 'batches' ? this.#takeAll(first) : this.#shift(first);
  }

  /**
   * Drops the remaining events and ends the execution, since there is no reader any more.
   *
   * @returns {Promise<IteratorReturnResult<undefined>>}
   */
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

  /** @param {Group} first @returns {ExecutionEvent[]} */
  #takeAll(first) {
    this.#first = this.#last = undefined;
    let count = 0;
    let inARow = 0;
    for (let group = /** @type {Group | undefined} */ (first); group; group = group.next) {
      count++;
      inARow++;
      // A call for each group would wake the thread that reads the child for each.
      if (group.next?.handle === group.handle) continue;
      this.#done(group, inARow);
      inARow = 0;
    }
    // No other code uses the array of a group.
    let events = first.events;
    const rest = slots(count - 1);
    let at = 0;
    for (let group = first.next; group; group = group.next) rest[at++] = group.events;
    for (at = 0; at < rest.length; at += MOST_ARGUMENTS) events = apply(concat, events, rest.slice(at, at + MOST_ARGUMENTS));
    return events;
  }

  /** @param {Group} group The last one of `count` groups of one child. @param {number} count */
  #done({ handle }, count = 1) {
    if (handle !== undefined) this.#source.release(count, handle);
  }
}

/**
 * Returns the refusal of a read of a stream that is read in the other way.
 *
 * @param {Way} way
 */
function isReadOtherwise(way) {
  const how = way === 'batches' ? 'by batches()' : 'event by event';
  return refusal(SUBJECTS.call, 'stream', `it is read ${how} already: read a stream in one way, or start another`);
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

  /** @returns {AsyncIterableIterator<ExecutionEvent[]>} */
  batches() {
    const queue = this.#queue;
    const refused = () => Promise.reject(this.#refusal);
    return {
      next: () => queue?.nextBatch() ?? refused(),
      return: () => queue?.return() ?? refused(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Ends the execution, unless it is over; resolves when its tree is gone. */
  async [Symbol.asyncDispose]() {
    await this.#queue?.return();
  }
}

/**
 * Returns the stream of the execution that `submit` has accepted, or of its refusal.
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
