// The command line of the benchmark.
import { parseArgs } from 'node:util';

export const usage = `npm run bench -- [options]

  --only a,b          these rows (heavy ones too)
  --all               every row, heavy ones included
  --contenders a,b    only these contenders
  --rounds N          how often each contender is measured, in turns (default 5)
  --quick             one round with the smallest sizes of the rows that have some: shows that they work, measures nothing
  --write             also writes the results into README.md and docs/performance.md; other rows stay as they are
  --render            writes these pages again from the published results, and runs nothing
  --profile           measures where the time is spent, by perf and by the engine's own times, instead of the rows
  --json              the results as JSON on standard output, instead of tables
  --list              lists the rows
  --limit PATH        a built benches/limit.rs to use, instead of building it
  --cpu-prof DIR      writes a V8 profile of every JavaScript measurement into DIR (which slows it)`;

/** Returns an error that is printed without a stack, since its message is sufficient. */
export function expected(message) {
  return Object.assign(new Error(message), { expected: true });
}

export function readOptions(argv) {
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        only: { type: 'string', multiple: true },
        all: { type: 'boolean', default: false },
        contenders: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
        render: { type: 'boolean', default: false },
        profile: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        limit: { type: 'string' },
        'cpu-prof': { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    throw expected(`${error.message}\n\n${usage}`);
  }
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw expected(`--rounds needs a whole number from 1, not ${values.rounds}`);
  if (values.profile && (values.only || values.all || values.contenders)) throw expected('--profile cannot be combined with rows');
  if (values.write && values.quick) throw expected('--write needs measurements, and --quick makes none');
  if (values.write && values.contenders) throw expected('--write needs whole rows, and --contenders selects parts of them');
  return {
    ...values,
    rounds,
    only: names('only', values.only),
    contenders: names('contenders', values.contenders),
    cpuProf: values['cpu-prof'],
  };
}

/** Returns the names that an option lists; `undefined` where it was not given. */
function names(option, values) {
  const found = values?.flatMap((value) => value.split(',')).filter((name) => name.trim());
  if (found?.length === 0) throw expected(`--${option} needs a name`);
  return found;
}
