/** What a figure of a drill may be. */
export const atMost = (most) => ({ text: `≤ ${most}`, holds: (value) => value <= most });
export const atLeast = (least) => ({ text: `≥ ${least}`, holds: (value) => value >= least });
export const exactly = (wanted) => ({ text: `= ${wanted}`, holds: (value) => value === wanted });

/** For a figure that the short form does not have the time for. */
export const inLongForm = (limit) => ({ ...limit, isLongOnly: true });
