// The arguments of a script. A wrong one is named in one line, with those that there are, and the script ends with exit code 2.
import { parseArgs } from 'node:util';

/** The exit code of a script that was started with a wrong argument. */
export const WRONG_ARGUMENT = 2;

/**
 * @typedef {object} Option
 * @property {'boolean' | 'string' | 'number'} type A number is a whole one, from 1.
 * @property {any} [default]
 * @property {boolean} [multiple] Whether it may be given more than once.
 * @property {string} [value] The name of its value in messages.
 * @property {boolean} [own] Whether only the script itself gives it: no message has it.
 */

/**
 * @typedef {object} Words What may be given beside options.
 * @property {string} name Of one word, in messages.
 * @property {string[]} [of] The words that there are; any, without this.
 * @property {number} [least] How many there must be; 0, without this.
 * @property {number} [most] How many there may be; any number, without this.
 */

/**
 * Returns the arguments of this process; ends it where one is wrong.
 *
 * @param {{ options?: Record<string, Option>, words?: Words }} known
 * @returns {{ values: Record<string, any>, positionals: string[] }}
 */
export function readArguments(known) {
  try {
    return parse(known, process.argv.slice(2));
  } catch (error) {
    return refuse(error.message);
  }
}

/** Ends this process, since an argument is wrong. @param {string} problem @returns {never} */
export function refuse(problem) {
  console.error(problem.replaceAll('\n', ' '));
  process.exit(WRONG_ARGUMENT);
}

/**
 * @param {{ options?: Record<string, Option>, words?: Words }} known
 * @param {string[]} args
 */
function parse({ options = {}, words = { name: 'word', most: 0 } }, args) {
  const types = Object.entries(options).map(([name, { type, multiple = false }]) => [
    name,
    { type: type === 'boolean' ? type : /** @type {const} */ ('string'), multiple },
  ]);
  const { values, positionals, tokens } = parseArgs({
    args,
    options: Object.fromEntries(types),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) if (token.kind === 'option') checkOption(token, options);
  checkWords(positionals, words, options);
  const given = Object.entries(options).map(([name, { type, default: other }]) => {
    const value = values[name] ?? other;
    return [name, type === 'number' && value !== undefined ? numberOf(name, value) : value];
  });
  return { values: Object.fromEntries(given), positionals };
}

/** @param {{ name: string, rawName: string, value?: string, inlineValue?: boolean }} token @param {Record<string, Option>} options */
function checkOption({ name, rawName, value, inlineValue }, options) {
  if (!Object.hasOwn(options, name)) throw new Error(`there is no option ${rawName}; ${listed(options)}`);
  const { type } = options[name];
  if (type === 'boolean' && inlineValue) throw new Error(`${rawName} has no value, and ${JSON.stringify(value)} was given`);
  // The word after it may be the next option.
  if (type !== 'boolean' && (!value || (!inlineValue && value.startsWith('-'))))
    throw new Error(`${rawName} needs a value: ${described(name, options[name])}`);
}

/** @param {string[]} given @param {Words} words @param {Record<string, Option>} options */
function checkWords(given, { name, of, least = 0, most = Number.POSITIVE_INFINITY }, options) {
  if (most === 0 && given.length > 0) throw new Error(`it is not clear what ${given.join(' ')} means; ${listed(options)}`);
  const known = of ? ` ${of.join(', ')}` : '';
  const unknown = of && given.slice(0, most).find((word) => !of.includes(word));
  if (unknown !== undefined) throw new Error(`there is no ${name} ${JSON.stringify(unknown)}; there are${known}`);
  if (given.length < least) throw new Error(`no ${name} was given${known && `; there are${known}`}`);
  if (given.length > most)
    throw new Error(
      `it is not clear what ${given.slice(most).join(' ')} means: give one ${name}${known && ` of${known}`}; ${listed(options)}`,
    );
}

/** @param {string} name @param {string | number} value */
function numberOf(name, value) {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new Error(`--${name} needs a whole number from 1, and ${JSON.stringify(value)} was given`);
  return number;
}

/** @param {Record<string, Option>} options */
function listed(options) {
  const all = Object.entries(options).flatMap(([name, option]) => (option.own ? [] : [described(name, option)]));
  return all.length > 0 ? `the options are ${all.join(', ')}` : 'it has no options';
}

/** @param {string} name @param {Option} option */
function described(name, { type, value = type === 'number' ? 'N' : 'TEXT' }) {
  return type === 'boolean' ? `--${name}` : `--${name} ${value}`;
}
