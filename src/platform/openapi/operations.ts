import type { OpenAPIObject } from '@nestjs/swagger';

export type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

/** Returns every operation of a document with its path. */
export function operationsOf({ paths }: OpenAPIObject): { path: string; operation: Operation }[] {
  return Object.entries(paths).flatMap(([path, { get, post, put, patch, delete: remove }]) =>
    [get, post, put, patch, remove].flatMap((operation) => (operation ? [{ path, operation }] : [])),
  );
}
