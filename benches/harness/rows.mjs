// Finds the rows. Each file in rows/ has one as its default export:
//
//   name        the file's name without .mjs
//   title       what is measured, for people
//   unit        of the value, such as 'commands/s'
//   better      'higher' or 'lower'
//   heavy       optional: true keeps it out of the default run
//   needsMiB    optional: memory without which it is skipped
//   contenders  { name: what it needs }: the name of a package; 'limit' for the native binary; 'bun', 'deno', 'node-24' or
//               'node-26' to run in that runtime; a list of these; or null for nothing. A package that needs a newer Node.js than
//               this one runs in Node.js 24 (runtimes.mjs)
//   bound       what bounds the work physically, as "bound by …"; required where no contender is a peer or the limit
//   mayFail     optional: contenders whose failure is a finding and not a fault of the run
//   ratios      optional: [{ of, to, goal, key? }], two contenders and a text, of their values or of a column; printed as `of / to`
//   ahead       optional: { contender: text }, why this one may lead the engine, as a part of a sentence; required where a published
//               result says that it does
//   goals       optional: [most(…)] of goals.mjs, about values and columns
//   columns     optional: [{ key, title, digits, worst? }], what `run` returns besides the value; over the rounds the
//               median is shown, or with `worst` the largest
//   prepare()   optional: runs once before the rounds, in the harness; returns JSON data, for instance the path of a file
//   cleanup(data)  optional: runs once after them; must not be asynchronous, since it also runs at an interrupt
//   run(contender, { data, limit, quick })  one measurement, in a fresh process: warms up, measures, and returns the value, or
//               { value, columns } (observe.mjs helps). `limit` is the path of the native binary. With `quick`, it takes the
//               smallest sizes that show whether it works. It throws when the work was not really done: a command that fails
//               is fast.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { expected } from './options.mjs';
import { ENGINE, placeOf } from './runtimes.mjs';

const folder = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), 'rows');

export async function loadRow(name) {
  const { default: row } = await import(pathToFileURL(path.join(folder, `${name}.mjs`)).href);
  const wrong = whatIsWrong(row, name);
  if (wrong) throw expected(`rows/${name}.mjs: ${wrong}`);
  return row;
}

export async function loadRows() {
  const files = readdirSync(folder).filter((file) => file.endsWith('.mjs'));
  const names = files.map((file) => path.basename(file, '.mjs')).sort();
  return Promise.all(names.map(loadRow));
}

export function selectRows(rows, { only, all, contenders }) {
  for (const name of only ?? []) {
    if (!rows.some((row) => row.name === name)) {
      throw expected(`there is no row ${name}; there are ${rows.map((row) => row.name).join(', ')}`);
    }
  }
  const selected = rows.filter((row) => (only ? only.includes(row.name) : all || !row.heavy));
  if (!contenders) return selected;
  for (const name of contenders) {
    if (!selected.some((row) => name in row.contenders)) throw expected(`no selected row has a contender ${name}`);
  }
  return selected
    .map((row) => ({
      ...row,
      contenders: Object.fromEntries(Object.entries(row.contenders).filter(([name]) => contenders.includes(name))),
    }))
    .filter((row) => Object.keys(row.contenders).length > 0);
}

function whatIsWrong(row, name) {
  if (!row) return 'no default export';
  if (row.name !== name) return `its name is ${row.name}`;
  for (const key of ['title', 'unit']) if (typeof row[key] !== 'string') return `${key} must be a text`;
  if (row.better !== 'higher' && row.better !== 'lower') return `better must be 'higher' or 'lower'`;
  if (typeof row.run !== 'function') return 'run must be a function';
  if (typeof row.contenders !== 'object' || row.contenders === null) return 'contenders must be an object';
  for (const contender of Object.keys(row.contenders))
    if (contender.includes(',')) return `${contender} cannot be selected: a comma separates names`;
  for (const { of, to, key } of row.ratios ?? []) {
    for (const side of [of, to]) if (!(side in row.contenders)) return `a ratio names ${side}, which is no contender`;
    if (key && !row.columns.some((column) => column.key === key)) return `a ratio names ${key}, which is no column`;
  }
  for (const { of, key } of row.goals ?? []) {
    if (!(of in row.contenders)) return `a goal names ${of}, which is no contender`;
    if (key && !row.columns.some((column) => column.key === key)) return `a goal names ${key}, which is no column`;
  }
  const isAlone = Object.values(row.contenders).every((need) => placeOf(need).packages.includes(ENGINE));
  if (isAlone && typeof row.bound !== 'string') return 'no contender is a peer, so bound must be a text';
  for (const name of row.mayFail ?? []) if (!(name in row.contenders)) return `mayFail names ${name}, which is no contender`;
  for (const name of Object.keys(row.ahead ?? {})) if (!(name in row.contenders)) return `ahead names ${name}, which is no contender`;
  return null;
}
