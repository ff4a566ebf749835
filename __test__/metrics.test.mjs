// Totals for people and for Prometheus. That the text is well-formed is shown by a parser of others in tests/engine/metrics.rs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { newEngine } from './helpers/engine.mjs';
import { exec, shell } from './helpers/programs.mjs';

/** The samples of a page, by name and labels. */
const samples = (text) =>
  new Map(
    text
      .split('\n')
      .filter((line) => line && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );

test('times are percentiles of what ran', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 1 });
  const none = { count: 0, mean: 0, p50: 0, p90: 0, p95: 0, p99: 0, max: 0 };
  const { spawnLatencyMs, queueTimeMs, durationMs } = engine.getStats();
  assert.deepEqual([spawnLatencyMs, queueTimeMs, durationMs], [none, none, none]);

  const results = await Promise.all([exec('sleep', '0.3'), ...Array(9).fill(exec('true'))].map((request) => engine.run(request)));
  await engine.run(exec('true'), { signal: AbortSignal.abort() });
  const stats = engine.getStats();
  const longest = (field) => Math.max(...results.map((result) => result[field]));
  for (const [times, field] of [
    [stats.durationMs, 'durationMs'],
    [stats.queueTimeMs, 'queuedMs'],
  ]) {
    assert.equal(times.count, 10, 'what never ran has no time');
    assert.ok(Math.abs(times.max - longest(field)) <= longest(field) / 50, `${times.max} for ${longest(field)}`);
    assert.ok(times.p50 <= times.p90 && times.p90 <= times.p95 && times.p95 <= times.p99 && times.p99 <= times.max * 1.01);
    assert.ok(times.mean > 0 && times.mean <= times.max * 1.01);
  }
  assert.ok(stats.durationMs.max >= 300 && stats.durationMs.p50 < stats.durationMs.max);
  assert.equal(stats.spawnLatencyMs.count, 10);
  assert.ok(stats.spawnLatencyMs.p50 > 0 && stats.spawnLatencyMs.p50 < stats.queueTimeMs.p50);
});

test('losses are counted', async (t) => {
  const engine = newEngine(t, { maxOutputSizeBytes: 10 });
  await engine.run(shell('printf %050d 1'));
  await engine.run(shell('echo short'));
  const { truncated, logLostBytes, stdoutBytes } = engine.getStats();
  assert.deepEqual({ truncated, logLostBytes, stdoutBytes }, { truncated: 1, logLostBytes: 0, stdoutBytes: 56 });
});

test('the page has what the totals have', async (t) => {
  const engine = newEngine(t, { maxConcurrentExecutions: 3 });
  await engine.run(shell('echo a; echo b >&2'));
  await engine.run(shell('exit 1'));
  await engine.execute(exec('sleep', '300'));
  const page = samples(engine.metricsText());
  const stats = engine.getStats();
  const get = (name) => page.get(`escher_${name}`);
  assert.deepEqual(
    [
      get('executions_accepted_total'),
      get('executions_ended_total{status="completed"}'),
      get('executions_ended_total{status="failed"}'),
      get('executions_ended_total{status="timeout"}'),
    ],
    [3, 1, 1, 0],
  );
  assert.deepEqual(
    [get('output_bytes_total{stream="stdout"}'), get('output_bytes_total{stream="stderr"}'), get('output_lines_total')],
    [2, 2, 2],
  );
  assert.deepEqual(
    [get('slots'), get('executions_running'), get('executions_queued'), get('records'), get('retained_output_bytes')],
    [3, 1, 0, 3, 4],
  );
  assert.equal(get('execution_duration_seconds_count'), stats.durationMs.count);
  assert.equal(get('execution_duration_seconds_bucket{le="+Inf"}'), 2);
  assert.ok(Math.abs(get('execution_duration_seconds_sum') * 1_000 - stats.durationMs.mean * stats.durationMs.count) < 0.001);
});

test('the documented metrics are those of the page', (t) => {
  const help = newEngine(t)
    .metricsText()
    .matchAll(/^# HELP (\w+) (.*)$/gm);
  const documented = readFileSync(new URL('../docs/operations.md', import.meta.url), 'utf8').matchAll(
    /^\| `(escher_\w+)` .* \| (.*) \|$/gm,
  );
  const pairs = (matches) => Array.from(matches, ([, name, meaning]) => [name, meaning]);
  assert.deepEqual(pairs(documented), pairs(help));
});
