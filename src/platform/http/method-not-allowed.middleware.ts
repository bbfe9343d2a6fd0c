import { Injectable, type NestMiddleware } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Application, NextFunction, Request, Response } from 'express';
import { Problem } from '../problems/problem.js';
import { methodNotAllowed } from '../problems/problem-types.js';

/** What the router package has at run time and its types leave out: https://github.com/pillarjs/router */
interface Layer {
  match(path: string): boolean;
  route?: { path: string; methods: Record<string, boolean> };
}

/** A path, as the first of its layers matches it, and what it can be asked with. */
interface Route {
  layer: Layer;
  methods: string[];
}

/** Answers 405 with Allow where the path is known and the method is not; Express by itself would answer 404. */
@Injectable()
export class MethodNotAllowedMiddleware implements NestMiddleware {
  private table?: Route[];

  constructor(private readonly adapterHost: HttpAdapterHost) {}

  use(request: Request, _response: Response, next: NextFunction): void {
    const [path = ''] = request.originalUrl.split('?', 1);
    const methods = this.methodsOf(path);
    if (methods.length > 0 && !methods.includes(request.method)) {
      throw new Problem(methodNotAllowed, { headers: { Allow: methods.join(', ') } });
    }
    next();
  }

  /** Of the first route that matches, as in routing itself: /stats must not pass for an /:id. */
  private methodsOf(path: string): string[] {
    this.table ??= this.listRoutes();
    return this.table.find(({ layer }) => layer.match(path))?.methods ?? [];
  }

  /** Once, when the first request shows that all of them are there. */
  private listRoutes(): Route[] {
    const { router } = this.adapterHost.httpAdapter.getInstance<Application>();
    const routes = (router.stack as unknown as Layer[]).flatMap((layer) => {
      const methods = Object.keys(layer.route?.methods ?? {});
      // What is there for every method is middleware, or an @All() that has nothing to refuse.
      return layer.route && methods.length === 1 ? [{ layer, path: layer.route.path, method: methods[0]! }] : [];
    });
    const byPath = Map.groupBy(routes, ({ path }) => path);
    return [...byPath.values()].map((own) => {
      const methods = own.map(({ method }) => method.toUpperCase());
      return { layer: own[0]!.layer, methods: methods.includes('GET') ? [...methods, 'HEAD'] : methods };
    });
  }
}
