// Measures the engine and its alternatives side by side: `npm run bench`.
//
// Absolute numbers depend on the machine and its load, so only ratios are judged. Therefore the contenders of a row are measured in turns
// (A B C, C B A, …), every measurement has a new process (a heap or a page table that one contender has grown would slow the next one),
// and no time is asserted here.
//
// A row is a file in rows/; harness/rows.mjs describes its exports. Adding the file adds the row.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { findLimit } from './harness/limit.mjs';
import { describeMachine } from './harness/machine.mjs';
import { readOptions, usage } from './harness/options.mjs';
import { makeProfiles } from './harness/profile.mjs';
import { publish, publishProfiles, render } from './harness/publish.mjs';
import { printList, printProfile, printRow } from './harness/report.mjs';
import { loadRows, selectRows } from './harness/rows.mjs';
import { createRunner } from './harness/runner.mjs';
import { peersOf, placeOf } from './harness/runtimes.mjs';
import { summarize } from './harness/statistics.mjs';

const results = path.join(path.dirname(fileURLToPath(import.meta.url)), 'results');

// Standard output is for results: with --json it is one JSON document and nothing else.
const say = (text) => process.stderr.write(`${text}\n`);

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) return console.log(usage);
  const known = await loadRows();
  if (options.list) return printList(known);

  if (options.render) return render(known);
  if (options.profile) return profile(options);

  const rows = selectRows(known, options);
  // The machine is described before the limit is built, since that build is load too.
  const machine = describeMachine(rows.flatMap(({ contenders }) => peersOf(contenders)));
  const needsLimit = rows.some((row) => Object.values(row.contenders).some((need) => placeOf(need).isLimit));
  const limit = needsLimit ? findLimit(options.limit, say) : null;
  const run = createRunner({ options, limit, say });

  if (machine.loadBefore > machine.cores / 2) say(`the machine is busy (load ${machine.loadBefore.toFixed(1)}): results will vary`);
  const report = { machine, rounds: options.rounds, rows: [] };
  for (const row of rows) {
    const summary = summarize(row, await run(row));
    report.rows.push(summary);
    if (!options.json) printRow(summary);
    // Results are written after every row, so that an interrupted run leaves its results.
    mkdirSync(results, { recursive: true });
    writeFileSync(path.join(results, 'latest.json'), `${JSON.stringify(report, null, 2)}\n`);
  }
  if (options.json) console.log(JSON.stringify(report, null, 2));
  if (options.write) {
    const { refused } = publish(known, report);
    for (const name of refused) say(`NOT PUBLISHED  ${name}: it has failures`);
  }
  if (report.rows.some((row) => row.failed.some(({ isFinding }) => !isFinding))) process.exitCode = 1;
}

async function profile({ limit, rounds, json, write }) {
  const profiles = await makeProfiles({ limit: findLimit(limit, say), rounds, say });
  if (json) console.log(JSON.stringify(profiles, null, 2));
  else profiles.forEach(printProfile);
  if (write) publishProfiles(profiles);
}

main().catch((error) => {
  console.error(error.expected ? error.message : error);
  process.exitCode = 1;
});
