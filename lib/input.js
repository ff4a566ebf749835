'use strict';

const { contain } = require('./caller-code.js');
const { bytesOf, isBroken, isMemory } = require('./foreign.js');
const { kindOf, causeText } = require('./sanitize.js');

/** @typedef {import('node:stream').Readable} Readable */

/**
 * The receiver of what a source gives.
 *
 * @typedef {object} Taker
 * @property {(chunk: unknown) => void} chunk
 * @property {() => void} end
 * @property {(error: unknown) => void} fail
 */

/**
 * A source that gives one chunk for each `pull`, and nothing after `leave`.
 *
 * @typedef {object} Source
 * @property {() => void} pull
 * @property {() => void} leave No more is wanted: what it holds is to be released.
 */

/**
 * The way to the child.
 *
 * @typedef {object} Feeder
 * @property {(bytes: Uint8Array) => void} feed
 * @property {(failure?: string) => void} end
 */

const BROKEN = 'it gave text with half of a surrogate pair, which UTF-8 cannot hold: give the bytes';

/** @type {Source} */
const NONE = { pull() {}, leave() {} };

/** Feeds a child from a stream or an iterable: a chunk whenever the child has taken the one before. */
class Input {
  /** @type {Source} */ #source;
  /** @type {Feeder} */ #feeder;
  #isOver = false;

  /** The first half of a surrogate pair, whose other half the next chunk may begin with. */
  #half = '';

  /** The error that interrupted the input. @type {{ error: unknown } | undefined} */
  failure;

  /**
   * @param {any} given
   * @param {Feeder} feeder
   */
  constructor(given, feeder) {
    this.#feeder = feeder;
    /** @type {Taker} */
    const taker = {
      chunk: (chunk) => this.#take(chunk),
      end: () => (this.#half === '' ? this.#finish() : this.#fail(new TypeError(BROKEN))),
      fail: (error) => this.#fail(error),
    };
    this.#source = NONE;
    try {
      this.#source = isReadable(given) ? readable(given, taker) : iterable(() => iteratorOf(given), taker);
    } catch (error) {
      // A method of the source's own threw; the execution is accepted already, so it is reported there.
      this.#fail(error);
    }
  }

  /** Requests the next chunk, which the child wants. */
  wanted() {
    if (this.#isOver) return;
    try {
      this.#source.pull();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Ends the input: the child does not read any more. */
  close() {
    if (this.#isOver) return;
    this.#finish();
    this.#leave();
  }

  /** @param {unknown} chunk */
  #take(chunk) {
    if (this.#isOver) return;
    const bytes = typeof chunk === 'string' ? this.#encode(chunk) : bytesOf(chunk);
    if (bytes) {
      this.#feeder.feed(bytes);
      return;
    }
    this.#fail(
      new TypeError(
        typeof chunk === 'string'
          ? BROKEN
          : `it gave ${kindOf(chunk)}, which is neither a string nor bytes (Buffer, typed array, DataView, ArrayBuffer)`,
      ),
    );
    this.#leave();
  }

  /** Returns the bytes of a text, except half of a pair at its end; `undefined` if there is another half in it. @param {string} chunk */
  #encode(chunk) {
    const text = this.#half + chunk;
    this.#half = /[\ud800-\udbff]$/.exec(text)?.[0] ?? '';
    const whole = this.#half === '' ? text : text.slice(0, -1);
    return isBroken(whole) ? undefined : Buffer.from(whole);
  }

  /** @param {unknown} error */
  #fail(error) {
    if (this.#isOver) return;
    this.failure = { error };
    this.#finish(causeText(error));
  }

  #leave() {
    contain(() => this.#source.leave());
  }

  /** @param {string} [failure] */
  #finish(failure) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#feeder.end(failure);
  }
}

/**
 * @param {any} given
 * @returns {AsyncIterator<unknown> | Iterator<unknown>}
 */
function iteratorOf(given) {
  const source = isBlob(given) ? given.stream() : given;
  if (typeof source[Symbol.asyncIterator] === 'function') return source[Symbol.asyncIterator]();
  if (typeof source[Symbol.iterator] === 'function') return source[Symbol.iterator]();
  // A stream of the web in an implementation that cannot be iterated.
  const reader = source.getReader();
  return { next: () => reader.read(), return: (/** @type {unknown} */ value) => reader.cancel(value) };
}

/**
 * @param {() => AsyncIterator<unknown> | Iterator<unknown>} open
 * @param {Taker} taker
 * @returns {Source}
 */
function iterable(open, taker) {
  /** @type {AsyncIterator<unknown> | Iterator<unknown> | undefined} */
  let iterator;
  return {
    async pull() {
      try {
        iterator ??= open();
        const { done, value } = await iterator.next();
        if (done) taker.end();
        // An iterable that is not asynchronous may give promises.
        else taker.chunk(await value);
      } catch (error) {
        taker.fail(error);
      }
    },
    async leave() {
      try {
        await iterator?.return?.();
      } catch {
        // The iterator is left as `for await` leaves it at an earlier end of the loop: nothing depends on the iterable any more.
      }
    },
  };
}

/**
 * Reads a stream by its events. Its iterator reports no error between two chunks, and cannot be left while it waits for one.
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
      for (const { name, listener } of listeners) stream.removeListener(name, listener);
    });
    then();
  };
  const end = () => last(taker.end);
  /** @param {unknown} error */
  const fail = (error) => last(() => taker.fail(error));
  const close = () => (hasEnded(stream) ? end() : fail(new Error('the stream was closed before its end')));
  /** @type {{ name: string, listener: (...args: any[]) => void }[]} */
  const listeners = [
    { name: 'data', listener: data },
    { name: 'end', listener: end },
    { name: 'error', listener: fail },
    { name: 'close', listener: close },
  ];

  stream.pause();
  for (const { name, listener } of listeners) stream.on(name, listener);
  // A stream may report an error after the last read too.
  stream.on('error', () => {});
  return {
    pull() {
      if (hasEnded(stream)) end();
      else if (stream.destroyed) fail(stream.errored ?? new Error('the stream was closed before its end'));
      else stream.resume();
    },
    leave() {
      last(() => contain(() => stream.pause()));
      if (stream.readable && !belongsToOthers(stream)) stream.destroy();
    },
  };
}

/** Whether a stream has given its end: it may not be closed yet. @param {any} stream */
function hasEnded(stream) {
  return stream.readableEnded === true;
}

/**
 * Whether other code still uses a stream that its command reads no more, so that the stream has to stay open: the host's standard input,
 * the request of an HTTP server, which has still to be answered, a connection that is still written to, and what has other readers.
 *
 * @param {any} stream
 */
function belongsToOthers(stream) {
  if (stream.fd === 0) return true;
  const isServerRequest = Array.isArray(stream.rawHeaders) && typeof stream.method === 'string';
  const isConnection = typeof stream.write === 'function' && stream.writable === true && typeof stream._transform !== 'function';
  const hasReaders = ['data', 'readable'].some((name) => stream.listenerCount?.(name) > 0) || stream._readableState?.pipes?.length > 0;
  return isServerRequest || isConnection || hasReaders;
}

/**
 * @param {any} value
 * @returns {value is Readable}
 */
function isReadable(value) {
  return ['on', 'removeListener', 'pause', 'resume', 'destroy'].every((method) => typeof value[method] === 'function');
}

/** @param {any} value @returns {value is Blob} */
function isBlob(value) {
  return typeof value.stream === 'function' && typeof value.size === 'number' && ['Blob', 'File'].includes(value[Symbol.toStringTag]);
}

/**
 * Whether a value gives an input bit by bit. What is there as a whole is data.
 *
 * @param {any} value
 */
function isSource(value) {
  if (Array.isArray(value) || isMemory(value)) return false;
  const canIterate = [Symbol.asyncIterator, Symbol.iterator].some((symbol) => typeof value[symbol] === 'function');
  return canIterate || isReadable(value) || isBlob(value) || typeof value.getReader === 'function';
}

module.exports = { Input, isSource };
