// The arithmetic of the benchmark: rounds, intervals, and where contenders run. Nothing here runs a benchmark or looks at a clock.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { bootstrapInterval } from '../benches/harness/bootstrap.mjs';
import { ratioName } from '../benches/harness/report.mjs';
import { loadRows } from '../benches/harness/rows.mjs';
import { orderOf } from '../benches/harness/runner.mjs';
import { peersOf, placeOf } from '../benches/harness/runtimes.mjs';
import { scaled } from '../benches/harness/scale.mjs';
import { median } from '../benches/harness/statistics.mjs';
import { measured } from './helpers/bench-rows.mjs';

describe('statistics', () => {
  test('a median is the middle, or the mean of both middles', () => {
    assert.equal(median([5, 1, 3]), 3);
    assert.equal(median([4, 1, 3, 2]), 2.5);
    assert.equal(median([100, 9, 20]), 20);
  });

  test('a ratio is taken round by round', () => {
    const { ratios } = measured({ a: [10, 40, 90], b: [10, 20, 30] }, { ratios: [{ of: 'a', to: 'b', goal: '≥ 2' }] });
    assert.deepEqual(ratios, [{ of: 'a', to: 'b', key: undefined, goal: '≥ 2', median: 2, low: 1, high: 3 }]);
  });

  test('a ratio to a missing contender is left out', () => {
    assert.deepEqual(measured({ a: [1] }, { ratios: [{ of: 'a', to: 'b' }] }).ratios, []);
  });

  test('a ratio of a column needs the column in every round', () => {
    const columns = [{ key: 'cpu', title: 'CPU', digits: 0 }];
    const rounds = (...cpus) => cpus.map((cpu) => ({ value: 1, columns: { cpu } }));
    const ratios = [{ of: 'a', to: 'b', key: 'cpu' }];
    const of = (a, b) => measured({ a, b }, { columns, ratios });
    const row = of(rounds(3, 3), rounds(2, 2));
    assert.deepEqual([ratioName(row, row.ratios[0]), row.ratios[0].median], ['a / b, CPU', 1.5]);
    assert.deepEqual(of(rounds(3, undefined), rounds(2, 2)).ratios, []);
  });

  test('a column is the median of the rounds, or the worst of them', () => {
    const columns = [
      { key: 'p50', title: 'p50', digits: 1 },
      { key: 'max', title: 'max', digits: 1, worst: true },
      { key: 'none', title: 'none', digits: 1 },
    ];
    const rounds = [3, 1, 2].map((each) => ({ value: each, columns: { p50: each, max: each } }));
    assert.deepEqual(measured({ a: rounds }, { columns }).contenders.a.columns, { p50: 2, max: 3 });
  });

  test('a failure is a finding only where the row expects it', () => {
    const failed = [
      { name: 'a', why: 'one' },
      { name: 'b', why: 'two' },
    ];
    assert.deepEqual(
      measured({}, { failed, mayFail: ['b'] }).failed.map(({ isFinding }) => isFinding),
      [false, true],
    );
  });
});

describe('bootstrap', () => {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = Array.from({ length: 100 }, (_, index) => index / 100);

  test('the interval of a mean is that of the theory', () => {
    const { low, high } = bootstrapInterval(spread, mean);
    // 1.96 standard errors of 100 evenly spread values.
    const half = 1.96 * Math.sqrt(mean(spread.map((value) => (value - mean(spread)) ** 2)) / spread.length);
    assert.ok(Math.abs(low - (mean(spread) - half)) < 0.003, `low ${low}`);
    assert.ok(Math.abs(high - (mean(spread) + half)) < 0.003, `high ${high}`);
  });

  test('it covers the median of the distribution in about 95 % of the samples', () => {
    // Values that are no multiples of each other, and look random enough.
    const sample = (number) => Array.from({ length: 15 }, (_, index) => ((number * 15 + index + 1) * 0.6180339887 * 7919.37) % 1);
    const covered = Array.from({ length: 200 }, (_, number) => bootstrapInterval(sample(number), median, { resamples: 500 }));
    const share = covered.filter(({ low, high }) => low <= 0.5 && high >= 0.5).length / covered.length;
    assert.ok(share > 0.9, `${share}`);
  });

  test('a level is how much of the resamples is inside', () => {
    const width = (level) => {
      const { low, high } = bootstrapInterval(spread, mean, { level });
      return high - low;
    };
    assert.ok(width(0.5) < width(0.95) && width(0.95) < width(0.99));
  });

  test('the same values give the same interval, equal ones an empty one, and one of them none', () => {
    assert.deepEqual(bootstrapInterval([1, 2, 4, 8], median), bootstrapInterval([1, 2, 4, 8], median));
    assert.deepEqual(bootstrapInterval([3, 3, 3], median), { low: 3, high: 3 });
    assert.deepEqual(bootstrapInterval([3], median), {});
  });

  test('of few values it is the whole spread, of more it leaves the outermost out', () => {
    assert.deepEqual(bootstrapInterval([5, 1, 2, 3, 4], median), { low: 1, high: 5 });
    const { low, high } = bootstrapInterval([1, 10, 11, 12, 13, 14, 15, 16, 17, 100], median);
    assert.ok(low > 1 && high < 100, `${low} – ${high}`);
  });
});

describe('rounds', () => {
  const names = ['a', 'b', 'c', 'd'];
  const rounds = Array.from({ length: 2 * names.length }, (_, round) => orderOf(names, round + 1));

  test('each has every contender once, and leaves the list as it is', () => {
    for (const order of rounds) assert.deepEqual(order.toSorted(), names);
    assert.deepEqual(names, ['a', 'b', 'c', 'd']);
    assert.deepEqual(orderOf(['a'], 3), ['a']);
  });

  test('each contender comes at each place equally often, and before and after each neighbour', () => {
    for (const name of names) {
      const places = names.map((_, place) => rounds.filter((order) => order[place] === name).length);
      assert.deepEqual(places, [2, 2, 2, 2], name);
    }
    const follows = (first, second) => rounds.filter((order) => order.indexOf(second) === order.indexOf(first) + 1).length;
    for (const [first, second] of ['ab', 'bc', 'cd', 'da']) assert.equal(follows(first, second), follows(second, first), first + second);
  });
});

describe('places', () => {
  test('a need names a package, a runtime, the limit, or both of the former', () => {
    assert.deepEqual(placeOf(null), { runtime: 'node', packages: [], isLimit: false });
    assert.deepEqual(placeOf('tinyexec'), { runtime: 'node', packages: ['tinyexec'], isLimit: false });
    assert.deepEqual(placeOf('limit'), { runtime: 'node', packages: [], isLimit: true });
    assert.deepEqual(placeOf('bun'), { runtime: 'bun', packages: [], isLimit: false });
    assert.deepEqual(placeOf(['tinyexec', 'deno']), { runtime: 'deno', packages: ['tinyexec'], isLimit: false });
  });

  test('a package runs in Node.js 24 where this one is too old for it', () => {
    const isOld = Number.parseInt(process.versions.node, 10) < 22;
    assert.equal(placeOf('execa-10').runtime, isOld ? 'node-24' : 'node');
  });

  test('peers are packages and runtimes without repetition, and never the engine', () => {
    const engine = '@escher/execution-engine';
    const contenders = { engine, again: [engine, 'bun'], own: 'bun', tinyexec: 'tinyexec', spawn: null, limit: 'limit' };
    assert.deepEqual(peersOf(contenders), [{ runtime: 'bun' }, { package: 'tinyexec', runtime: 'node' }]);
  });
});

describe('rows', () => {
  test('a row of few and of many has a ratio between them with a goal', async () => {
    const rows = (await loadRows()).filter(({ name }) => name.startsWith('scale-'));
    assert.ok(rows.length >= 4);
    for (const { name, ratios } of rows)
      assert.ok(
        ratios.some(({ goal }) => goal === '≤ 1.2'),
        name,
      );
  });

  test('a quick size is a small part, and never nothing', () => {
    assert.deepEqual([scaled(100, false), scaled(100, true), scaled(1, true)], [100, 5, 1]);
  });
});
