import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Request } from 'express';
import { Problem } from '../problems/problem.js';
import { routeNotFound } from '../problems/problem-types.js';

/**
 * Returns route_not_found for a request that no route handles. It replaces Nest's handler, whose exception looks like
 * that of a route, and which ignores requests outside of a global prefix.
 */
export function rejectUnknownRoutes(app: NestExpressApplication): void {
  const adapter = app.getHttpAdapter();
  // Nest calls it after it has registered all routes.
  adapter.setNotFoundHandler = () =>
    app.use((request: Request) => {
      request.route = undefined; // Nest registers middleware as routes
      throw new Problem(routeNotFound);
    });
}
