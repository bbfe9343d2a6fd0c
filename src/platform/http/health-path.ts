/** Whether a path is a health probe, which is exempt from limits and not logged. */
export const isHealthPath = (path: string): boolean => path.startsWith('/health/');
