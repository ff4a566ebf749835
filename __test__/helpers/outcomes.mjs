// How calls end, by name.
import assert from 'node:assert/strict';

import { ExecutionError } from '../../index.js';

/** The error that an action throws or rejects with: one of ours, with this code. */
export async function failure(action, code) {
  const error = await thrown(action);
  assert.ok(error instanceof ExecutionError, `an ExecutionError, not ${describe(error)}`);
  assert.equal(error.code, code, error.message);
  return error;
}

/** The error of an action that must throw before it returns. */
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

/** The error of a refused value: it names the field, what the value was, and says more than that. */
export async function refusal(action, code, field, value) {
  const error = await failure(action, code);
  assert.equal(error.field, field, error.message);
  assert.ok(error.message.includes(field), `the message names the field ${field}: ${error.message}`);
  const words = kindOf(value);
  assert.ok(words.some((word) => error.message.includes(word)), `the message says that it got ${words.join(' or ')}: ${error.message}`);
  return error;
}

/** The words that may name what a value is. */
function kindOf(value) {
  if (value === null) return ['null'];
  if (Array.isArray(value)) return ['array'];
  if (typeof value === 'number') return [String(value), 'number'];
  if (typeof value === 'string') return [JSON.stringify(value), value === '' ? 'empty' : value, 'string'];
  if (typeof value === 'boolean') return [String(value), 'boolean'];
  if (typeof value === 'bigint') return ['bigint', 'BigInt'];
  return [typeof value];
}
