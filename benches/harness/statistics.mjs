// Summarizes the measurements of a row.
import { bootstrapInterval } from './bootstrap.mjs';
import { peersOf } from './runtimes.mjs';

/** Returns the middle value; of an even number, the mean of the two in the middle. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

export function summarize(row, { measured, skipped, failed }) {
  const contenders = {};
  for (const [name, measurements] of Object.entries(measured)) {
    const values = measurements.map(({ value }) => value);
    const columns = {};
    for (const { key, worst } of row.columns ?? []) {
      const numbers = measurements.map((measurement) => measurement.columns[key]).filter(Number.isFinite);
      if (numbers.length > 0) columns[key] = worst ? Math.max(...numbers) : median(numbers);
    }
    contenders[name] = { ...spread(values), columns, measurements };
  }
  const ratios = [];
  for (const { of, to, key, goal = null } of row.ratios ?? []) {
    if (!measured[of] || !measured[to]) continue;
    const part = ({ value, columns }) => (key ? columns[key] : value);
    // The ratio of each round, and then the median: what disturbs a round disturbs both sides of its ratio.
    const perRound = measured[of].map((measurement, round) => part(measurement) / part(measured[to][round]));
    if (perRound.every(Number.isFinite))
      ratios.push({ of, to, key, goal, median: median(perRound), ...bootstrapInterval(perRound, median) });
  }
  const { name, title, unit, better, bound, ahead, goals = [], columns = [], mayFail = [] } = row;
  const failures = failed.map((one) => ({ ...one, isFinding: mayFail.includes(one.name) }));
  const rounds = Math.max(0, ...Object.values(measured).map(({ length }) => length));
  const peers = peersOf(Object.fromEntries(Object.keys(measured).map((contender) => [contender, row.contenders[contender]])));
  return { name, title, unit, better, bound, ahead, goals, rounds, columns, contenders, ratios, peers, skipped, failed: failures };
}
