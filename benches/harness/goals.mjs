// What a row is to reach, and whether it did.
import { number } from './report.mjs';

/** A goal about the value of a contender, or about its column `key`; `what` says which of them, where that is not plain. */
export function most(bound, unit, { what = '', key, of = 'engine' } = {}) {
  const text = `${what} ≤ ${bound >= 1000 ? number(bound) : bound} ${unit}`.trim();
  return { of, key, bound, text };
}

/** What is missed: `[{ row, text, measured }]`. Ratios are judged by what their goals say first. */
export function missedGoals(rows) {
  return rows.flatMap((row) => {
    const ofRatios = row.ratios.flatMap(({ of, to, goal, median, min, max }) => {
      const [, sign, bound] = /^([≤≥]) ([\d.]+)/.exec(goal ?? '') ?? [];
      const isMissed = sign && (sign === '≤' ? median > Number(bound) : median < Number(bound));
      return isMissed ? [{ row: row.name, text: `${of} / ${to} ${goal}`, measured: median, spread: [min, max] }] : [];
    });
    const ofColumns = row.goals.flatMap(({ of, key, bound, text }) => {
      const contender = row.contenders[of];
      const measured = contender && (key ? contender.columns[key] : contender.median);
      return measured > bound ? [{ row: row.name, text, measured }] : [];
    });
    return [...ofRatios, ...ofColumns];
  });
}
