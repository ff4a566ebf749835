// Names the outcomes of calls.
import assert from 'node:assert/strict';

import { ExecutionError } from '../../index.js';

/** Returns the error that an action throws or rejects with: an error of the package, with this code. */
export async function failure(action, code) {
  const error = await thrown(action);
  assert.ok(error instanceof ExecutionError, `an ExecutionError, not ${describe(error)}`);
  assert.equal(error.code, code, error.message);
  return error;
}

/** Returns the error of an action that must throw before it returns. */
export function failureNow(action, code) {
  let error;
  try {
    action();
  } catch (caught) {
    error = caught;
  }
  assert.ok(error instanceof ExecutionError, `an ExecutionError, not ${describe(error)}`);
  assert.equal(error.code, code, error.message);
  return error;
}

async function thrown(action) {
  let value;
  try {
    value = await action();
  } catch (error) {
    return error;
  }
  assert.fail(`it should have failed, but gave ${describe(value)}`);
}

function describe(value) {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return typeof value;
  }
}

/** Returns the error of a refused value: it names the field and the type of the value, and gives a remedy. */
export async function refusal(action, code, field, value) {
  const error = await failure(action, code);
  assert.equal(error.field, field, error.message);
  const prefix = { INVALID_CONFIG: 'invalid config', INVALID_PLAN: 'invalid plan' }[code] ?? 'invalid request';
  assert.ok(error.message.startsWith(`${prefix}: ${field}: `), `the message begins with the field ${field}: ${error.message}`);
  const words = wordsFor(value);
  assert.ok(
    words.some((word) => error.message.includes(word)),
    `the message says that it got ${words.join(' or ')}: ${error.message}`,
  );
  assert.match(error.message, /: (give|ask|leave|remove|say|put|use|encode|did you mean|lower|correct)\b/, 'the message has a remedy');
  return error;
}

/** Returns the words that may name the type of a value. */
function wordsFor(value) {
  if (value === null || value === undefined) return ['null', 'undefined', 'missing'];
  if (Array.isArray(value)) return ['an array', 'an object'];
  if (typeof value === 'number') return ['a number', String(value)];
  if (typeof value === 'string') return ['a string', JSON.stringify(value), 'empty', 'NUL'];
  if (typeof value === 'boolean') return ['a boolean'];
  if (typeof value === 'bigint') return ['a bigint'];
  if (value instanceof Uint8Array) return ['a byte array', 'an object'];
  if (value instanceof Date) return ['a Date', 'an object'];
  if (typeof value === 'object') return ['an object', 'a typed array', `a ${value.constructor?.name}`];
  return [`a ${typeof value}`];
}
