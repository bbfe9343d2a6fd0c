/** Limits for the figures of a drill. */
export const atMost = (most) => ({ text: `≤ ${most}`, holds: (value) => value <= most });
export const atLeast = (least) => ({ text: `≥ ${least}`, holds: (value) => value >= least });
export const exactly = (wanted) => ({ text: `= ${wanted}`, holds: (value) => value === wanted });

/** Applies a limit in the long form only, for a figure that takes longer than the short form. */
export const inLongForm = (limit) => ({ ...limit, isLongOnly: true });
