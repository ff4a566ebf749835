// The goals of rows, and which of them are missed.
import { number, ratioName } from './report.mjs';

const MISSED = {
  '≤': ({ median }, bound) => median > bound,
  '≥': ({ median }, bound) => median < bound,
  '=': ({ low, high }, bound) => bound < low || bound > high,
};

/** Returns an upper bound for the value of a contender, or for its column `key`; `what` names the value in the goal's text. */
export function most(bound, unit, { what = '', key, of = 'engine' } = {}) {
  const text = `${what} ≤ ${bound >= 1000 ? number(bound) : bound} ${unit}`.trim();
  return { of, key, bound, text };
}

/**
 * Returns the missed goals: `[{ row, text, measured }]`. Of a ratio's goal, the sign and number at the beginning count; `= 1` is missed
 * where the interval excludes it.
 */
export function missedGoals(rows) {
  return rows.flatMap((row) => {
    const ofRatios = row.ratios.flatMap((ratio) => {
      const { goal, median, low, high } = ratio;
      const [, sign, bound] = /^([≤≥=]) ([\d.]+)/.exec(goal ?? '') ?? [];
      const isMissed = sign && MISSED[sign](ratio, Number(bound));
      return isMissed ? [{ row: row.name, text: `${ratioName(row, ratio)} ${goal}`, measured: median, interval: { low, high } }] : [];
    });
    const ofColumns = row.goals.flatMap(({ of, key, bound, text }) => {
      const contender = row.contenders[of];
      const measured = contender && (key ? contender.columns[key] : contender.median);
      return measured > bound ? [{ row: row.name, text, measured }] : [];
    });
    return [...ofRatios, ...ofColumns];
  });
}
