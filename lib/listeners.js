'use strict';

const { EventEmitter } = require('node:events');

const { ownMap, report } = require('./caller-code.js');
const { EVENT_TYPES, OWN_LISTENER_TYPES } = require('./protocol.js');

/** @typedef {(...args: any[]) => void} Listener */

const { apply } = Reflect;

/** The types that a listener to all events gets, as a bit for each. */
const OF_ALL = EVENT_TYPES.reduce(
  (bits, type, number) => (/** @type {readonly string[]} */ (OWN_LISTENER_TYPES).includes(type) ? bits : bits | (1 << number)),
  0,
);

/**
 * An emitter that reports each change of its listeners at once. An exception in one listener does not affect the others.
 */
class Listeners extends EventEmitter {
  /** @type {Map<string, Listener[]>} */ #cache = ownMap();

  /** Changes whenever the listeners do. */
  #version = 0;

  /**
   * Called with a bit mask of the types of events that have listeners: one bit for each type, at its number.
   *
   * @type {(interest: number) => void}
   */
  #onInterest = () => {};

  constructor() {
    super();
    // Every part of a host may listen: that many do is no leak.
    this.setMaxListeners(0);
  }

  /** @param {(interest: number) => void} onInterest */
  _watchListeners(onInterest) {
    this.#onInterest = onInterest;
  }

  #changed() {
    this.#cache.clear();
    this.#version++;
    // Without the types that need their own listener: else each command would have one more event.
    let interest = this.listenerCount('event') > 0 ? OF_ALL : 0;
    for (let number = 0; number < EVENT_TYPES.length; number++) {
      const type = /** @type {string} */ (EVENT_TYPES[number]);
      if (this.listenerCount(type) > 0) interest |= 1 << number;
    }
    this.#onInterest(interest);
    return this;
  }

  /**
   * Returns the listeners to a type and those to all events.
   *
   * @param {string} type
   * @returns {Listener[]}
   */
  #of(type) {
    let found = this.#cache.get(type);
    if (!found) {
      found = /** @type {Listener[]} */ ([...this.rawListeners(type), ...this.rawListeners('event')]);
      this.#cache.set(type, found);
    }
    return found;
  }

  /** @param {string} type */
  _hasListeners(type) {
    return this.#of(type).length > 0;
  }

  /**
   * Hands events of one type to every listener. What one of them throws is its own `uncaughtException`: the others still
   * get the event.
   *
   * @param {string} type
   * @param {object[]} events
   */
  _dispatch(type, events) {
    let listeners = this.#of(type);
    let version = this.#version;
    // The loop uses an index: the iterator of arrays may be replaced, and later events must arrive too.
    for (let at = 0; at < events.length; at++) {
      const event = events[at];
      // A listener may come or go while it is called.
      if (version !== this.#version) {
        listeners = this.#of(type);
        version = this.#version;
      }
      for (let index = 0; index < listeners.length; index++) {
        try {
          apply(/** @type {Listener} */ (listeners[index]), this, [event]);
        } catch (error) {
          report(error);
        }
      }
    }
  }

  /** @override @param {any} type @param {Listener} listener */
  on(type, listener) {
    super.on(type, listener);
    return this.#changed();
  }

  /** @override @param {any} type @param {Listener} listener */
  addListener(type, listener) {
    return this.on(type, listener);
  }

  /** @override @param {any} type @param {Listener} listener */
  prependListener(type, listener) {
    super.prependListener(type, listener);
    return this.#changed();
  }

  /** @override @param {any} type @param {Listener} listener */
  removeListener(type, listener) {
    super.removeListener(type, listener);
    return this.#changed();
  }

  /** @override @param {any} type @param {Listener} listener */
  off(type, listener) {
    return this.removeListener(type, listener);
  }

  /** @override @param {any} [type] */
  removeAllListeners(type) {
    // biome-ignore lint/complexity/noArguments: none given, and undefined given, are two things here, as they are to Node.js
    if (arguments.length === 0) super.removeAllListeners();
    else super.removeAllListeners(type);
    return this.#changed();
  }
}

module.exports = { Listeners };
