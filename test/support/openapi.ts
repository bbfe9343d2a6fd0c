import type { NestExpressApplication } from '@nestjs/platform-express';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { Application } from 'express';

/** Every operation of the document by its method and path. */
export function operationsOf(document: OpenAPIObject) {
  return new Map<string, NonNullable<OpenAPIObject['paths'][string]['get']>>(
    Object.entries(document.paths).flatMap(([path, item]) =>
      (['get', 'post', 'put', 'patch', 'delete'] as const).flatMap((method) => {
        const operation = item[method];
        return operation ? [[`${method.toUpperCase()} ${path}`, operation] as const] : [];
      }),
    ),
  );
}

/** The operation of a method and path, such as `GET /v1/me`. */
export function findOperation(document: OpenAPIObject, name: string) {
  const operation = operationsOf(document).get(name);
  if (!operation) throw new Error(`The document has no ${name}`);
  return operation;
}

/** The codes of all documented problems. */
export function documentedProblems(document: OpenAPIObject): Set<string> {
  const responses = [...operationsOf(document).values()].flatMap((operation) => Object.values(operation.responses));
  return new Set(
    responses.flatMap((response) =>
      Object.keys(
        (response && 'content' in response && response.content?.['application/problem+json']?.examples) || {},
      ),
    ),
  );
}

/** Every route that Express has, with its method. */
export function routesOf(app: NestExpressApplication): { method: 'get'; path: string }[] {
  const { router } = app.getHttpAdapter().getInstance() as Application;
  return router.stack.flatMap(({ route }) => {
    const methods = Object.keys((route as { methods?: object } | undefined)?.methods ?? {});
    // Middleware has no route, or one for every method.
    return route && methods.length === 1 ? [{ method: methods[0] as 'get', path: route.path }] : [];
  });
}
