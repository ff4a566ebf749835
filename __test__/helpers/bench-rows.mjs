// Rows of the benchmark as a run would give them, without a run.
import { merge } from '../../benches/harness/publish.mjs';
import { summarize } from '../../benches/harness/statistics.mjs';

export const machine = {
  date: '2026-01-02T03:04:05.000Z',
  cpu: 'A <fast> one',
  cores: 2,
  loadBefore: 0.25,
  memoryMiB: 4096,
  os: 'Linux 6.1 x64',
  node: 'v20.1.2',
  peers: { execa: '9.6.0', tinyexec: null },
  runtimes: { 'node-24': '24.1.2', bun: '1.2.3', deno: null },
};

/** Returns the record of a row: each contender with its measurements, one a round, and with what it needs. */
export function measured(contenders, { needs = {}, ...more } = {}) {
  const needed = Object.fromEntries(Object.keys(contenders).map((name) => [name, needs[name] ?? null]));
  const row = {
    name: 'short-commands',
    title: 'true & co',
    unit: 'commands/s',
    better: 'higher',
    columns: [],
    contenders: needed,
    ...more,
  };
  const measurements = Object.entries(contenders).map(([name, values]) => [
    name,
    values.map((value) => (typeof value === 'number' ? { value, columns: {} } : value)),
  ]);
  return summarize(row, { measured: Object.fromEntries(measurements), skipped: more.skipped ?? [], failed: more.failed ?? [] });
}

export const published = (...rows) => merge([], { machine, rows }, rows).rows;
