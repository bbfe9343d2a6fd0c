export function startPostgres(
  directory: string,
  options?: { durable?: boolean },
): Promise<{ url: string; started: boolean; stop: () => Promise<void> }>;
