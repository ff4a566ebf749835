// Values that a caller may get wrong.

/** The values that are refused by each field for a whole number, 0 or more. */
export const notWhole = [
  -1,
  -0.5,
  NaN,
  Infinity,
  -Infinity,
  1.5,
  2 ** 53,
  Number.MAX_VALUE,
  '5',
  '',
  'soon',
  true,
  false,
  5n,
  [],
  [5],
  {},
  () => 5,
  Symbol('five'),
  new Date(),
  new Number(5),
];

/** The values that are refused by each field for text. */
export const notText = [
  0,
  1,
  NaN,
  true,
  false,
  1n,
  [],
  ['text'],
  {},
  () => 'text',
  Symbol('text'),
  new Date(),
  new String('text'),
  Buffer.from('text'),
];

/** The values that are refused by each field for a list of texts. */
export const notTexts = [
  'text',
  0,
  1,
  true,
  1n,
  {},
  { 0: 'a', length: 1 },
  () => [],
  Symbol('list'),
  new Set(['a']),
  new Date(),
  Buffer.from('ab'),
];

/** The values that are refused by each field for true or false. */
export const notFlag = [0, 1, 'true', '', 1n, [], {}, () => true, Symbol('true'), new Boolean(true)];

/** The values that are refused by each field for an object of fields. */
export const notObject = ['text', '', 0, 1, true, 1n, [], [{}], () => {}, Symbol('object'), new Date(), Buffer.from('{}')];

/** Returns a name for a value in the title of an assertion. */
export function nameOf(value) {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  if (value instanceof Date) return 'a Date';
  if (typeof value === 'object' && value !== null) return `${value.constructor?.name ?? 'object'} ${JSON.stringify(value)}`;
  return String(value);
}
