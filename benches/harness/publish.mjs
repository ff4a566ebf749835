// The published results: benches/published.json, and the pages that are generated from it.
//
// results/latest.json is of one run. The published results are collected from many: each row has its own date and machine.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { drawChart } from './chart.mjs';
import { frontTable, missedTable, performanceTables, profileTables } from './markdown.mjs';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const inRoot = (name) => path.join(root, name);
const PUBLISHED = 'benches/published.json';
const PROFILES = 'benches/profiles.json';

/** Adds a run's results and writes everything; returns the names of the rows that were refused. */
export function publish(known, report) {
  const { rows, refused } = merge(readPublished(), report, known);
  writeFileSync(inRoot(PUBLISHED), `${JSON.stringify(rows, shorter, 2)}\n`);
  writePages();
  return { refused };
}

/** Replaces the profiles of the same names. */
export function publishProfiles(profiles) {
  const all = new Map([...readProfiles(), ...profiles].map((profile) => [profile.name, profile]));
  writeFileSync(inRoot(PROFILES), `${JSON.stringify([...all.values()], shorter, 2)}\n`);
  writePages();
}

/** Writes the pages again, without rows that no longer exist. */
export function render(known) {
  publish(known, { rows: [] });
}

export const readPublished = () => readList(PUBLISHED);
export const readProfiles = () => readList(PROFILES);

function readList(name) {
  return existsSync(inRoot(name)) ? JSON.parse(readFileSync(inRoot(name), 'utf8')) : [];
}

function writePages() {
  for (const [name, text] of Object.entries(pagesOf(readPublished(), readProfiles(), readPage))) writeFileSync(inRoot(name), text);
}

export const readPage = (name) => readFileSync(inRoot(name), 'utf8');

/** Returns the text of every page that shows results, generated from the present page. */
export function pagesOf(rows, profiles, readNow) {
  const parts = { profile: profileTables(profiles), missed: missedTable(rows), bench: performanceTables(rows) };
  const performance = Object.entries(parts).reduce(
    (page, [name, text]) => replaceBetween(page, text, name),
    readNow('docs/performance.md'),
  );
  return {
    'README.md': replaceBetween(readNow('README.md'), frontTable(rows)),
    'docs/performance.md': performance,
    'docs/performance.svg': drawChart(rows),
  };
}

/**
 * Merges the rows of a run into the published ones: a row of the run replaces the published one, unless it has failures. Rows come in the
 * order of `known`.
 */
export function merge(published, { machine, rows }, known) {
  const all = new Map(published.map((row) => [row.name, row]));
  const refused = [];
  for (const row of rows) {
    const isWhole = Object.keys(row.contenders).length > 0 && row.failed.every(({ isFinding }) => isFinding);
    if (isWhole) all.set(row.name, { ...withoutMeasurements(row), machine });
    else refused.push(row.name);
  }
  // Titles, bounds, reasons and goals are those of today, whenever the row was measured.
  const current = ({ name, title, bound, ahead, goals = [], ratios = [] }) => {
    const row = all.get(name);
    return { ...row, title, bound, ahead, goals, ratios: row.ratios.map((ratio) => ({ ...ratio, goal: goalOf(ratio, ratios) })) };
  };
  return { rows: known.filter(({ name }) => all.has(name)).map(current), refused };
}

/** Returns the goal of a ratio, or `null` if none of these is the same or has one. */
function goalOf({ of, to, key }, ratios) {
  return ratios.find((ratio) => ratio.of === of && ratio.to === to && ratio.key === key)?.goal ?? null;
}

function withoutMeasurements(row) {
  const contenders = Object.entries(row.contenders).map(([name, { measurements, ...rest }]) => [name, rest]);
  return { ...row, contenders: Object.fromEntries(contenders) };
}

/** Rounds numbers: more digits are noise, and would make larger diffs. */
function shorter(_key, value) {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value;
}

/** Replaces the text between the two markers of this name in a page. */
export function replaceBetween(page, text, name = 'bench') {
  const [first, last] = [`<!-- ${name}:start -->`, `<!-- ${name}:end -->`];
  const [start, end] = [page.indexOf(first), page.indexOf(last)];
  if (start < 0 || end < start || page.indexOf(first, start + 1) >= 0 || page.indexOf(last, end + 1) >= 0) {
    throw new Error(`a page needs ${first} and ${last} once each, in this order`);
  }
  return `${page.slice(0, start + first.length)}\n${text.trimEnd()}\n${page.slice(end)}`;
}
