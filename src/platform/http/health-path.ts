/** Returns whether a path is a health probe, which is exempt from limits and logging. */
export const isHealthPath = (path: string): boolean => path.startsWith('/health/');
