// Rows that measure what one of few costs, and one of many.

/** The goal of their ratios: many cost little more than few, each. */
export const SCALE_GOAL = '≤ 1.2';

/** With `quick`, the number that shows whether it works. */
export const scaled = (count, quick) => (quick ? Math.ceil(count / 20) : count);
