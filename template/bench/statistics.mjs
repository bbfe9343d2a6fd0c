/** The value below which that part of the values lies, between the two that are nearest. */
export function quantile(values, part) {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return low + (high - low) * (place % 1);
}

export const median = (values) => quantile(values, 0.5);

/** How far the middle half of the values lies apart, as a part of their median. */
export function spread(values) {
  return (quantile(values, 0.75) - quantile(values, 0.25)) / median(values);
}

/**
 * Round by round, so that what slows the machine for a while slows both.
 * @returns the median of the rounds' ratios, and their spread
 */
export function ratio(values, others) {
  const ratios = values.map((value, round) => value / others[round]);
  return { ratio: median(ratios), spread: spread(ratios) };
}
