import type { Env } from '../config/env.js';

/**
 * Formats an error for Error Reporting: `stack_trace` in V8's format, causes included.
 * https://cloud.google.com/error-reporting/docs/formatting-error-messages
 */
export function describeError(error: Error, { K_SERVICE, K_REVISION }: Partial<Pick<Env, 'K_SERVICE' | 'K_REVISION'>>) {
  return {
    stack_trace: stackWithCauses(error),
    ...(K_SERVICE && { serviceContext: { service: K_SERVICE, version: K_REVISION } }),
  };
}

function stackWithCauses(error: Error, seen: Error[] = []): string {
  const own = error.stack ?? String(error);
  const { cause } = error;
  if (!(cause instanceof Error) || seen.includes(cause)) return own;
  return `${own}\nCaused by: ${stackWithCauses(cause, [...seen, error])}`;
}
