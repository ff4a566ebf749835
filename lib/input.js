'use strict';

const { contain } = require('./contain.js');
const { told } = require('./plain.js');

/** @typedef {import('node:stream').Readable} Readable */

/**
 * Who takes what a source gives.
 *
 * @typedef {object} Taker
 * @property {(chunk: unknown) => void} chunk
 * @property {() => void} end
 * @property {(error: unknown) => void} fail
 */

/**
 * Something that gives one chunk for each `pull`, and nothing after `leave`.
 *
 * @typedef {object} Source
 * @property {() => void} pull
 * @property {() => void} leave Nobody wants more: what it holds is to be released.
 */

/**
 * The way to the child.
 *
 * @typedef {object} Feeder
 * @property {(bytes: Uint8Array) => void} feed
 * @property {(failure?: string) => void} end
 */

/** @type {Source} */
const NONE = { pull() {}, leave() {} };

/** Feeds a child from an async iterable or a Readable: a chunk whenever the child has taken the one before. */
class Input {
  /** @type {Source} */ #source;
  /** @type {Feeder} */ #feeder;
  #isOver = false;

  /** What broke it off. @type {{ error: unknown } | undefined} */
  failure;

  /**
   * @param {AsyncIterable<unknown>} given
   * @param {Feeder} feeder
   */
  constructor(given, feeder) {
    this.#feeder = feeder;
    /** @type {Taker} */
    const taker = {
      chunk: (chunk) => this.#take(chunk),
      end: () => this.#finish(),
      fail: (error) => this.#fail(error),
    };
    this.#source = NONE;
    try {
      this.#source = isReadable(given) ? readable(given, taker) : iterable(given, taker);
    } catch (error) {
      // A method of the source's own threw; the execution is accepted already, so it is told there.
      this.#fail(error);
    }
  }

  /** The child wants a chunk. */
  wanted() {
    if (this.#isOver) return;
    try {
      this.#source.pull();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The child does not read any more. */
  close() {
    if (this.#isOver) return;
    this.#finish();
    this.#source.leave();
  }

  /** @param {unknown} chunk */
  #take(chunk) {
    if (this.#isOver) return;
    if (typeof chunk === 'string') this.#feeder.feed(Buffer.from(chunk));
    else if (chunk instanceof Uint8Array) this.#feeder.feed(chunk);
    else {
      this.#fail(new TypeError(`it gave ${chunk === null ? 'null' : `a value of type ${typeof chunk}`}, which is neither a string nor a Uint8Array`));
      this.#source.leave();
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    if (this.#isOver) return;
    this.failure = { error };
    this.#finish(told(error));
  }

  /** @param {string} [failure] */
  #finish(failure) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#feeder.end(failure);
  }
}

/**
 * @param {AsyncIterable<unknown>} given
 * @param {Taker} taker
 * @returns {Source}
 */
function iterable(given, taker) {
  /** @type {AsyncIterator<unknown> | undefined} */
  let iterator;
  return {
    async pull() {
      try {
        iterator ??= given[Symbol.asyncIterator]();
        const { done, value } = await iterator.next();
        if (done) taker.end();
        else taker.chunk(value);
      } catch (error) {
        taker.fail(error);
      }
    },
    async leave() {
      try {
        await iterator?.return?.();
      } catch {
        // Nobody is left whom its trouble concerns.
      }
    },
  };
}

/**
 * Not through its iterator: that hears of no error between two chunks, and cannot be left while it waits for one.
 *
 * @param {Readable} stream
 * @param {Taker} taker
 * @returns {Source}
 */
function readable(stream, taker) {
  /** @param {unknown} chunk */
  const data = (chunk) => {
    contain(() => stream.pause());
    taker.chunk(chunk);
  };
  /** @param {() => void} then */
  const last = (then) => {
    contain(() => {
      for (const [name, listener] of listeners) stream.removeListener(name, listener);
    });
    then();
  };
  const end = () => last(taker.end);
  /** @param {unknown} error */
  const fail = (error) => last(() => taker.fail(error));
  const close = () => fail(new Error('the stream was closed before its end'));
  /** @type {[string, (...args: any[]) => void][]} */
  const listeners = [['data', data], ['end', end], ['error', fail], ['close', close]];

  stream.pause();
  for (const [name, listener] of listeners) stream.on(name, listener);
  // It may tell of an error also when nobody reads it any more.
  stream.on('error', () => {});
  return {
    pull() {
      if (stream.readableEnded) end();
      else if (stream.destroyed) fail(stream.errored ?? new Error('the stream was closed before its end'));
      else stream.resume();
    },
    leave() {
      last(() => stream.pause());
      // The host's own standard input is not ours to close.
      if (/** @type {{ fd?: unknown }} */ (stream).fd !== 0 && stream.readable) stream.destroy();
    },
  };
}

/**
 * @param {any} value
 * @returns {value is Readable}
 */
function isReadable(value) {
  return ['on', 'removeListener', 'pause', 'resume', 'destroy'].every((method) => typeof value[method] === 'function');
}

/**
 * Whether a value gives an input bit by bit.
 *
 * @param {unknown} value
 * @returns {value is AsyncIterable<unknown>}
 */
function isSource(value) {
  return typeof value === 'object' && value !== null && typeof /** @type {any} */ (value)[Symbol.asyncIterator] === 'function';
}

module.exports = { Input, isSource };
