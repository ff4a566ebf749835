// The command line of the benchmark.
import { parseArgs } from 'node:util';

export const usage = `npm run bench -- [options]

  --only a,b          these rows (heavy ones too)
  --all               every row, heavy ones included
  --contenders a,b    only these contenders
  --rounds N          how often the contenders take turns (default 5)
  --write             the results go into README.md and docs/performance.md too; other rows stay as they were
  --render            writes these pages again from the published results, and runs nothing
  --profile           where the time goes instead of how long it takes: by perf, and by the engine's own times
  --json              the results as JSON on standard output, instead of tables
  --list              the rows there are
  --limit PATH        a built benches/limit.rs to use, instead of building it
  --cpu-prof DIR      a V8 profile of every JavaScript measurement goes into DIR (it costs speed)`;

/** An error whose message says enough: it is printed without a stack. */
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
        rounds: { type: 'string', default: '5' },
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
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw expected(`--rounds takes a whole number from 1, not ${values.rounds}`);
  if (values.profile && (values.only || values.all || values.contenders)) throw expected('--profile takes no rows: it has its own');
  if (values.write && values.contenders) throw expected('--write takes whole rows, and --contenders only parts of them');
  return {
    ...values,
    rounds,
    only: names(values.only),
    contenders: names(values.contenders),
    cpuProf: values['cpu-prof'],
  };
}

function names(values) {
  return values?.flatMap((value) => value.split(',')).filter(Boolean);
}
