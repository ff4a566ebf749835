// Makes one measurement: its job is the argument, its result goes to standard output as JSON, `{ value, columns }` or `{ error }`. The job
// `{ load }` only loads a package.
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';

import { loadRow } from './rows.mjs';
import { ENGINE } from './runtimes.mjs';

const { load, row: name, contender, data, limit, quick } = JSON.parse(process.argv[2]);
if (load) {
  try {
    // The package is loaded as the rows load it: a script of Deno that is in no project cannot import it by name.
    if (load === ENGINE) createRequire(import.meta.url)(load);
    else await import(load);
  } catch (error) {
    fail(error);
  }
  process.exit();
}
const row = await loadRow(name);
// Some contenders throw where no code can catch it, such as in a listener of their own.
process.on('uncaughtException', fail);
try {
  const result = await row.run(contender, { data, limit, quick });
  const { value, columns = {} } = typeof result === 'number' ? { value: result } : result;
  if (!Number.isFinite(value) || value <= 0) throw new Error(`${name} gave ${value} for ${contender}`);
  say({ value, columns });
} catch (error) {
  fail(error);
}

function fail(error) {
  // If a failure is a finding, its message is sufficient.
  if (!load && !row.mayFail?.includes(contender)) console.error(error);
  say({ error: error?.message ?? String(error) });
  // A child without a reader must not keep this process.
  process.exit(1);
}

function say(result) {
  writeSync(1, `${JSON.stringify(result)}\n`);
}
