// Plans, by their shape.
import { existsSync, readFileSync } from 'node:fs';

import { shell } from './programs.mjs';

export const serial = (commands, more) => ({ description: 'a test', strategy: { type: 'serial' }, commands, ...more });
export const parallel = (commands, maxConcurrency) => ({ description: 'a test', strategy: { type: 'parallel', maxConcurrency }, commands });
export const graph = (dependencies, commands) => ({
  description: 'a test',
  strategy: { type: 'dependency_graph', dependencies },
  commands,
});

/** Fails with an exit code in its first `failures` runs. */
export const flaky = (counter, failures, code = 1, after = ':') =>
  shell('echo . >> "$COUNTER"; n=$(grep -c . "$COUNTER"); echo "attempt $n"; [ "$n" -gt "$FAILURES" ] || exit "$CODE"; ' + after, {
    env: { COUNTER: counter, FAILURES: String(failures), CODE: String(code) },
  });

/** Returns how often a flaky command has run. */
export const runs = (counter) => (existsSync(counter) ? readFileSync(counter, 'utf8').length / 2 : 0);

/** The ways in which the steps of a plan ended. */
export const statuses = (result) => result.steps.map(({ status }) => status);

/** A request with a label. */
export const labelled = (label, request) => ({ ...request, metadata: { label } });
