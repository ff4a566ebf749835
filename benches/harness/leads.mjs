// The peers that lead a row.

/** Returns the names of the peers of a row with a better median than the engine, each compared at its own size: `peer (8)` with `engine (8)`. */
export function leadersOf({ better, contenders }) {
  return Object.entries(contenders)
    .filter(([name]) => !/^(?:engine|limit)\b/.test(name))
    .filter(([name, { median }]) => {
      const size = / \(.+\)$/.exec(name)?.[0] ?? '';
      const engine = contenders[`engine${size}`] ?? contenders.engine;
      return engine && (better === 'higher' ? median > engine.median : median < engine.median);
    })
    .map(([name]) => name);
}
