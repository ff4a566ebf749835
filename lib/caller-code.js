'use strict';

// The functions as they were when this file was loaded: a test may have replaced them since.
const { setImmediate } = require('node:timers');
const { queueMicrotask } = globalThis;

/**
 * Throws an error of the caller's code where nothing of the engine can be interrupted by it: as an `uncaughtException`.
 *
 * @param {unknown} error
 */
function report(error) {
  queueMicrotask(() => {
    throw error;
  });
}

/**
 * Runs code of the caller, or code that a changed prototype can break. What it throws is reported, and the events of other
 * executions continue.
 *
 * @template T
 * @param {() => T} call
 * @returns {T | undefined}
 */
function contain(call) {
  try {
    return call();
  } catch (error) {
    report(error);
    return undefined;
  }
}

/**
 * Sets a property of an object of ours, also where a prototype has a setter of that name, or is frozen and has that name.
 *
 * @param {object} object
 * @param {string} key
 * @param {unknown} value
 */
function setOwn(object, key, value) {
  if (!(key in object)) /** @type {any} */ (object)[key] = value;
  else Object.defineProperty(object, key, withoutPrototype({ value, writable: true, enumerable: true, configurable: true }));
}

/**
 * Returns a property descriptor, or other options, without a prototype: `Object.prototype` may have a `get` or a `value`.
 *
 * @template {object} T
 * @param {T} options
 * @returns {T}
 */
function withoutPrototype(options) {
  return Object.setPrototypeOf(options, null);
}

/** The array from which arrays of empty places are copied. @type {undefined[]} */
const places = Array.from({ length: 4096 });

/*
 * Code that changed prototypes must not break does not destructure a part of an array, as in `const [first] = array`: a pattern that stops
 * before the end of the array calls the `return` that `Object.prototype` may have.
 */

/**
 * Returns an array of so many places of its own: without own places, an assignment could call a setter of `Array.prototype`.
 *
 * @param {number} count
 * @returns {any[]}
 */
function slots(count) {
  return count <= places.length ? places.slice(0, count) : Array.from({ length: count });
}

const { get, set, has, delete: remove } = Map.prototype;
const { forEach } = Set.prototype;
const { apply } = Reflect;

/**
 * Returns a map with methods of its own: the end of an execution must arrive also while those of `Map.prototype` are replaced.
 *
 * @template K, V
 * @returns {Map<K, V>}
 */
function ownMap() {
  const map = new Map();
  setOwn(map, 'get', get);
  setOwn(map, 'set', set);
  setOwn(map, 'has', has);
  setOwn(map, 'delete', remove);
  return map;
}

/**
 * Calls with each member of a set, also while its iterator is replaced.
 *
 * @template T
 * @param {Set<T>} members
 * @param {(member: T) => void} call
 */
function each(members, call) {
  apply(forEach, members, [call]);
}

module.exports = { contain, each, withoutPrototype, ownMap, setImmediate, setOwn, report, slots };
