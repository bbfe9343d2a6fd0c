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

/** Returns the two quartiles that bound the middle half of the values. */
export const middleHalf = (values) => [quantile(values, 0.25), quantile(values, 0.75)];
