import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Application, RequestHandler } from 'express';
import { Problem } from '../problems/problem.js';
import { methodNotAllowed as methodNotAllowedProblem } from '../problems/problem-types.js';

/** A layer of Express' router, with the properties that its types leave out: https://github.com/pillarjs/router */
interface Layer {
  match(path: string): boolean;
  route?: { path: string; methods: Record<string, boolean> };
}

interface Route {
  layer: Layer;
  methods: string[];
}

/** Returns 405 with Allow where the path is known and the method is not; Express itself would return 404. */
export function methodNotAllowed(app: NestExpressApplication): RequestHandler {
  let routes: Route[] | undefined;
  return (request, _response, next) => {
    // Built lazily, after all routes are registered.
    routes ??= listRoutes(app.getHttpAdapter().getInstance());
    // The first match wins, as in Express: /stats must not pass for an /:id.
    const methods = routes.find(({ layer }) => layer.match(request.path))?.methods;
    if (methods && !methods.includes(request.method)) {
      throw new Problem(methodNotAllowedProblem, { headers: { Allow: methods.join(', ') } });
    }
    next();
  };
}

function listRoutes({ router }: Application): Route[] {
  const layers = (router.stack as unknown as Layer[]).flatMap((layer) => {
    const methods = Object.keys(layer.route?.methods ?? {});
    // A layer for every method is middleware or an @All() handler: nothing to reject.
    return layer.route && methods.length === 1 ? [{ layer, path: layer.route.path, method: methods[0]! }] : [];
  });
  return [...Map.groupBy(layers, ({ path }) => path).values()].map((sharing) => {
    const methods = sharing.map(({ method }) => method.toUpperCase());
    return { layer: sharing[0]!.layer, methods: methods.includes('GET') ? [...methods, 'HEAD'] : methods };
  });
}
