// Counts what a run costs, and fails when a count grew by more than a tenth: allocations, system calls, calls into JavaScript,
// instructions. Times depend on the machine and its load; counts are nearly the same everywhere.
//
//   node scripts/guard.mjs [--update]
//   node scripts/guard.mjs --build      only builds the programs that count
//
// benches/guard.json is what it compares with. `--update`, or UPDATE_GENERATED=1, writes that anew.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os, { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { compare, isFine, remarks } from '../benches/guard/compare.mjs';
import { GROUPS, build } from '../benches/guard/counts.mjs';
import { readArguments } from './arguments.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const file = path.join(root, 'benches', 'guard.json');
/** Processors of the machine whose waits the baseline has. */
const COUNTED_ON = 2;
const { values } = readArguments({
  options: {
    update: { type: 'boolean', default: process.env.UPDATE_GENERATED === '1' },
    build: { type: 'boolean', default: false },
  },
});

process.exitCode = main();

function main() {
  const system = describeSystem();
  const baseline = JSON.parse(readFileSync(file, 'utf8'));
  if (system !== baseline.system) {
    console.log(`SKIPPED: the baseline counts on ${baseline.system}, and this is ${system}`);
    return 0;
  }
  if (!build()) return 1;
  if (values.build) return 0;

  const { measured, skipped } = measureAll();
  if (process.env.CI && skipped.length > 0) {
    console.error(`in CI nothing may be left uncounted: install what is missing`);
    return 1;
  }
  const counts = GROUPS.flatMap((group) => group.counts);
  if (os.availableParallelism() !== COUNTED_ON) {
    console.log(`not compared: waitsPerRun, which is of ${COUNTED_ON} processors: with more of them more threads wait`);
    skipped.push('waitsPerRun');
  }
  const rows = compare(counts, baseline.counts, measured, skipped);
  for (const { name, was, is, verdict } of rows) {
    console.log([name.padEnd(30), String(was ?? '').padStart(12), String(is ?? '').padStart(12), verdict].join('  '));
  }
  if (values.update) {
    const kept = counts.map(({ name }) => [name, measured[name] ?? baseline.counts[name]]).filter(([, count]) => count !== undefined);
    writeFileSync(file, `${JSON.stringify({ system, counts: Object.fromEntries(kept) }, null, 2)}\n`);
    console.log('benches/guard.json is written anew');
    return 0;
  }
  for (const remark of remarks(rows)) console.log(remark);
  if (isFine(rows)) return 0;
  console.error(
    'a count has grown or vanished, or is not in the baseline. If that is meant: node scripts/guard.mjs --update, and say why in the commit',
  );
  return 1;
}

/** Returns all counts by name, and the names of those that need what is not here. */
function measureAll() {
  const measured = {};
  const skipped = [];
  const folder = mkdtempSync(path.join(tmpdir(), 'guard-'));
  try {
    for (const { tool, counts, measure } of GROUPS) {
      if (tool && !tool.works()) {
        console.error(
          `━━ SKIPPED: ${tool.name} is missing or does not work here: not counted: ${counts.map(({ name }) => name).join(', ')}`,
        );
        skipped.push(...counts.map(({ name }) => name));
        continue;
      }
      for (const [name, count] of Object.entries(measure(folder))) measured[name] = Math.round(count * 100) / 100;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { measured, skipped };
}

/** Describes what decides which system calls there are, and which instructions. */
function describeSystem() {
  const glibc = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime;
  return `${process.platform} ${process.arch}${glibc ? ' glibc' : ''}`;
}
