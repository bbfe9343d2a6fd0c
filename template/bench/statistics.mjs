/** Returns a quantile, interpolated between the two nearest values. */
export function quantile(values, part) {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return low + (high - low) * (place % 1);
}

export const median = (values) => quantile(values, 0.5);

/** Returns the lowest of all windows of all rounds. */
export const minimum = (rounds) => Math.min(...rounds.flat());

/** Returns the interquartile range relative to the median. */
export function spread(values) {
  return (quantile(values, 0.75) - quantile(values, 0.25)) / median(values);
}

/**
 * Computes one ratio per round, because a temporary slowdown of the machine affects both values.
 * @returns the median of the ratios, and their spread
 */
export function ratio(values, others) {
  const ratios = values.map((value, round) => value / others[round]);
  return { ratio: median(ratios), spread: spread(ratios) };
}
