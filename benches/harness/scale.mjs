// Rows that measure what one of few costs, and one of many.

/** The goal of their ratios: many cost little more than few, each. */
export const SCALE_GOAL = '≤ 1.2';

/** Returns the count, or with `quick` a part of it that is sufficient to show whether a row works. */
export const scaled = (count, quick) => (quick ? Math.ceil(count / 20) : count);
