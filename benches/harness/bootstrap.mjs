// Confidence intervals by resampling: how much a statistic depends on the rounds that happened to be measured.

const RESAMPLES = 10_000;

/**
 * Returns the percentile bootstrap interval of a statistic: `{ low, high }`, or `{}` of one value, which says nothing of others. The same
 * values give the same interval. For the median of up to five values it is the whole spread: these are too few to exclude one.
 */
export function bootstrapInterval(values, statistic, { level = 0.95, resamples = RESAMPLES } = {}) {
  if (values.length < 2) return {};
  const random = seeded(1);
  const pick = () => values[Math.floor(random() * values.length)];
  const found = Float64Array.from({ length: resamples }, () => statistic(values.map(pick))).sort();
  const outside = Math.floor(((1 - level) / 2) * resamples);
  return { low: found[outside], high: found[resamples - 1 - outside] };
}

/** Returns numbers from 0 to less than 1, always the same for a seed (xorshift). */
function seeded(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
