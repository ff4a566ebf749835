// What a row is to reach, and whether it did.

/** A goal about one of the columns of a contender (of `engine`, where nothing is said), or without a `key` about its value. */
export const most = (bound, text, key, of = 'engine') => ({ of, key, bound, text });

/** What is missed: `[{ row, text, measured }]`. Ratios are judged by what their goals say first. */
export function missedGoals(rows) {
  return rows.flatMap((row) => {
    const ofRatios = row.ratios.flatMap(({ of, to, goal, median, min, max }) => {
      const [, sign, bound] = /^([≤≥]) ([\d.]+)/.exec(goal ?? '') ?? [];
      const isMissed = sign && (sign === '≤' ? median > Number(bound) : median < Number(bound));
      return isMissed ? [{ row: row.name, text: `${of} / ${to} ${goal}`, measured: median, spread: [min, max] }] : [];
    });
    const ofColumns = (row.goals ?? []).flatMap(({ of, key, bound, text }) => {
      const contender = row.contenders[of];
      const measured = contender && (key ? contender.columns[key] : contender.median);
      return measured > bound ? [{ row: row.name, text, measured }] : [];
    });
    return [...ofRatios, ...ofColumns];
  });
}

export const goalsText = (goals) => goals.map(({ text }) => text).join('; ');
