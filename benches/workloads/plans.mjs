// Plans of many steps: what the graph costs, and what the steps cost as steps.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

import { observe, repeat } from '../harness/observe.mjs';
import { median } from '../harness/statistics.mjs';

const bin = (name) => (existsSync(`/bin/${name}`) ? `/bin/${name}` : `/usr/bin/${name}`);
const command = (program) => ({ command: { type: 'exec', program } });

function engineOf(parallel) {
  const { ExecutionEngine } = createRequire(import.meta.url)('@escher/execution-engine');
  return new ExecutionEngine({ maxConcurrentExecutions: parallel });
}

const SHAPES = {
  chain: (steps) => Object.fromEntries(Array.from({ length: steps - 1 }, (_, index) => [index + 1, [index]])),
  fan: (steps) => Object.fromEntries(Array.from({ length: steps - 1 }, (_, index) => [index + 1, [0]])),
};

const plan = (shape, steps, first) => {
  const commands = new Array(steps).fill(command(bin('true')));
  commands[0] = command(first);
  return { description: 'bench', strategy: { type: 'dependency_graph', dependencies: SHAPES[shape](steps) }, commands };
};

/**
 * Returns the microseconds for each step of a plan whose first one fails: it is copied, checked, its graph is built, one process runs, and
 * the failure goes through all the others.
 */
export async function graphCost(shape, steps) {
  const engine = engineOf(8);
  const costs = [];
  const one = async () => {
    const given = plan(shape, steps, bin('false'));
    const begun = performance.now();
    const { stats } = await engine.runPlan(given);
    costs.push(((performance.now() - begun) * 1000) / steps);
    if (stats.skipped !== steps - 1) throw new Error(`${stats.skipped} steps were skipped`);
  };
  await repeat(2, 1, one);
  costs.length = 0;
  const seen = await observe(() => repeat(10, 1, one));
  await engine.shutdown();
  return { value: median(costs), columns: seen.columns };
}

/** Returns the commands per second, 8 at a time, as the steps of one plan or each by itself. */
export async function stepCost(contender, steps) {
  const engine = engineOf(8);
  const work = {
    run: () => repeat(steps, 8, () => engine.run(command(bin('true')))),
    fan: () => engine.runPlan(plan('fan', steps, bin('true'))),
  }[contender];
  await repeat(200, 8, () => engine.run(command(bin('true'))));
  const seen = await observe(work);
  const { completed } = engine.getStats();
  if (completed !== steps + 200) throw new Error(`${completed} commands completed`);
  await engine.shutdown();
  return { value: steps / seen.seconds, columns: { ...seen.columns, cpuMicros: seen.cpuMicros / steps } };
}
