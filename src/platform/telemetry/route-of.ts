import type { Request } from 'express';

/** Returns the pattern of a request's route, such as `/v1/orders/:id`; undefined if no route has matched. */
export function routeOf({ route }: Request): string | undefined {
  const { path } = (route ?? {}) as { path?: string | string[] | RegExp };
  return path === undefined ? undefined : String(path);
}
