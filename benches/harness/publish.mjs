// What a run says to the readers of the project: benches/published.json, and the pages made of it.
//
// results/latest.json is of one run. The published results are collected from many: each row has its own date and machine.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { drawChart } from './chart.mjs';
import { frontTable, performanceTables } from './markdown.mjs';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const inRoot = (name) => path.join(root, name);
const PUBLISHED = 'benches/published.json';

/** Adds a run's results and writes everything; gives the names of rows that it did not take. */
export function publish(known, report) {
  const { rows, refused } = merge(readPublished(), report, known.map(({ name }) => name));
  writeFileSync(inRoot(PUBLISHED), `${JSON.stringify(rows, shorter, 2)}\n`);
  writePages();
  return { refused };
}

/** Writes the pages again, without rows that are no more. */
export function render(known) {
  publish(known, { rows: [] });
}

export function readPublished() {
  return existsSync(inRoot(PUBLISHED)) ? JSON.parse(readFileSync(inRoot(PUBLISHED), 'utf8')) : [];
}

function writePages() {
  for (const [name, text] of Object.entries(pagesOf(readPublished(), readPage))) writeFileSync(inRoot(name), text);
}

export const readPage = (name) => readFileSync(inRoot(name), 'utf8');

/** The text of every page that shows results, made of the page as it is. */
export function pagesOf(rows, readNow) {
  return {
    'README.md': replaceBetween(readNow('README.md'), frontTable(rows)),
    'docs/performance.md': replaceBetween(readNow('docs/performance.md'), performanceTables(rows)),
    'docs/performance.svg': drawChart(rows),
  };
}

/** A row of the run takes the place of the one before, unless something in it went wrong; in the order of `names`. */
export function merge(published, { machine, rows }, names) {
  const all = new Map(published.map((row) => [row.name, row]));
  const refused = [];
  for (const row of rows) {
    const isWhole = Object.keys(row.contenders).length > 0 && row.failed.every(({ isFinding }) => isFinding);
    if (isWhole) all.set(row.name, { ...withoutMeasurements(row), machine });
    else refused.push(row.name);
  }
  return { rows: names.filter((name) => all.has(name)).map((name) => all.get(name)), refused };
}

function withoutMeasurements(row) {
  const contenders = Object.entries(row.contenders).map(([name, { measurements, ...rest }]) => [name, rest]);
  return { ...row, contenders: Object.fromEntries(contenders) };
}

/** Nobody reads more digits, and each would be a line of a diff. */
function shorter(key, value) {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value;
}

const START = '<!-- bench:start -->';
const END = '<!-- bench:end -->';

/** Puts a text between the two markers of a page. */
export function replaceBetween(page, text) {
  const [start, end] = [page.indexOf(START), page.indexOf(END)];
  if (start < 0 || end < start || page.indexOf(START, start + 1) >= 0 || page.indexOf(END, end + 1) >= 0) {
    throw new Error(`a page needs ${START} and ${END} once each, in this order`);
  }
  return `${page.slice(0, start + START.length)}\n${text.trimEnd()}\n${page.slice(end)}`;
}
