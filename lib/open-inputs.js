'use strict';

const { fromNative, guard } = require('./errors.js');
const { bytesOf } = require('./foreign.js');
const { kindOf, refusal, wellFormed, SUBJECTS } = require('./sanitize.js');

/** The addon copies so much at once: a larger write waits in pieces, so that its copy is no larger than this. */
const PIECE_BYTES = 1024 * 1024;

/** Writes to the commands of an engine whose input is open. */
class OpenInputs {
  /** @type {import('../binding.js').NativeEngine} */ #native;

  /** The last call of those that wait for a large write. @type {Map<unknown, Promise<void>>} */
  #tails = new Map();

  /** @param {import('../binding.js').NativeEngine} native */
  constructor(native) {
    this.#native = native;
  }

  /**
   * Begins a write; its place in the order is that of this call.
   *
   * @param {unknown} id
   * @param {unknown} data
   * @returns {Promise<void>}
   */
  write(id, data) {
    const bytes = typeof data === 'string' ? Buffer.from(wellFormed(data, 'data', SUBJECTS.call)) : bytesOf(data);
    if (!bytes) {
      const give = 'give a string or bytes (Buffer, typed array, DataView, ArrayBuffer)';
      throw refusal(SUBJECTS.call, 'data', `it is ${kindOf(data)}: ${give}`);
    }
    if (bytes.length <= PIECE_BYTES) return /** @type {Promise<void>} */ (this.#inOrder(id, () => this.#piece(id, bytes)));
    return this.#follow(id, async () => {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) await this.#piece(id, bytes.subarray(at, at + PIECE_BYTES));
    });
  }

  /**
   * Ends the input after the writes before.
   *
   * @param {unknown} id
   * @returns {Promise<void> | void}
   */
  end(id) {
    return this.#inOrder(id, () => guard(this.end, () => this.#native.endOpenInput(id)));
  }

  /** @param {unknown} id @param {Uint8Array} bytes */
  async #piece(id, bytes) {
    const { code, message } = await guard(this.write, () => this.#native.write(id, bytes));
    if (code !== undefined && code !== null) throw fromNative({ code, message });
  }

  /**
   * Calls at once, unless a large write is in progress.
   *
   * @param {unknown} id
   * @param {() => Promise<void> | void} call
   */
  #inOrder(id, call) {
    return this.#tails.has(keyOf(id)) ? this.#follow(id, call) : call();
  }

  /**
   * Calls after the large write that is in progress.
   *
   * @param {unknown} id
   * @param {() => Promise<void> | void} call
   * @returns {Promise<void>}
   */
  #follow(id, call) {
    const key = keyOf(id);
    const done = (this.#tails.get(key) ?? Promise.resolve()).then(call);
    const tail = done
      .catch(() => {})
      .then(() => {
        if (this.#tails.get(key) === tail) this.#tails.delete(key);
      });
    this.#tails.set(key, tail);
    return done;
  }
}

/** @param {unknown} id */
const keyOf = (id) => (typeof id === 'string' ? id.toLowerCase() : id);

module.exports = { OpenInputs };
