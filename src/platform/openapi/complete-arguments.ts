import { ParseEnumPipe } from '@nestjs/common';
import { ROUTE_ARGS_METADATA, RouteParamtypes } from '@nestjs/common/internal';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { OpenAPIObject } from '@nestjs/swagger';
import { mediaTypesOf } from '../http/body-rule.js';
import { type Operation, operationsOf } from './operations.js';

interface Argument {
  /** The operation id of its handler, without version. */
  handler: string;
  kind: RouteParamtypes;
  /** The name of a single parameter, as in `@Query('limit')`. */
  name?: string;
  pipes: unknown[];
  mediaTypes: string[];
}

const PARAMETERS = new Map([
  [RouteParamtypes.QUERY, 'query' as const],
  [RouteParamtypes.PARAM, 'path' as const],
  [RouteParamtypes.HEADERS, 'header' as const],
]);

const BODY_SCHEMAS = new Map([
  [RouteParamtypes.BODY, {}],
  [RouteParamtypes.RAW_BODY, { type: 'string' as const, format: 'binary' }],
]);

/**
 * Adds what Swagger cannot read from types: the values of ParseEnumPipe, and arguments whose type does not exist at run
 * time, such as `any` or a union. Those get an empty schema, which `npm run openapi` reports.
 */
export function completeArguments(document: OpenAPIObject, app: NestExpressApplication): void {
  const operations = operationsOf(document).map(({ operation }) => operation);
  for (const argument of argumentsOf(app)) {
    const handler = new RegExp(`^${argument.handler}(_v[\\w.]+)?(\\[\\d+\\])?$`);
    for (const operation of operations) {
      if (handler.test(operation.operationId ?? '')) complete(operation, argument);
    }
  }
}

function complete(operation: Operation, { kind, name, pipes, mediaTypes }: Argument): void {
  const schema = BODY_SCHEMAS.get(kind);
  const content = Object.fromEntries(mediaTypes.map((type) => [type, { schema }]));
  if (schema) operation.requestBody ??= { content };
  const location = PARAMETERS.get(kind);
  if (!location || !name) return;
  operation.parameters ??= [];
  let parameter = operation.parameters.find((each) => 'in' in each && each.in === location && each.name === name);
  if (!parameter)
    operation.parameters.push((parameter = { name, in: location, required: location === 'path', schema: {} }));
  const pipe = pipes.find((each) => each instanceof ParseEnumPipe);
  if (!pipe || !('schema' in parameter) || !parameter.schema || 'enum' in parameter.schema) return;
  const values = valuesOf(Reflect.get(pipe, 'enumType') as object);
  Object.assign(parameter.schema, { type: typeof values[0], enum: values });
}

/** Returns the values of an enum. A numeric one also has a property for each value, with its name. */
function valuesOf(enumType: object): unknown[] {
  return Object.entries(enumType).flatMap(([name, value]) => (/^-?\d/.test(name) ? [] : [value]));
}

function argumentsOf(app: NestExpressApplication): Argument[] {
  const scanner = new MetadataScanner();
  const wrappers = [...app.get(ModulesContainer).values()].flatMap(({ controllers }) =>
    Array.from(controllers.values()),
  );
  return wrappers.flatMap(({ metatype }) =>
    scanner.getAllMethodNames(metatype!.prototype as object).flatMap((method) => {
      const metadata = Reflect.getMetadata(ROUTE_ARGS_METADATA, metatype!, method) as
        Record<string, { data?: unknown; pipes: unknown[] }> | undefined;
      const mediaTypes = mediaTypesOf(metatype!, (metatype!.prototype as Record<string, object>)[method]!);
      return Object.entries(metadata ?? {}).map(([key, { data, pipes }]) => ({
        mediaTypes,
        handler: `${metatype!.name}_${method}`,
        kind: Number(key.split(':')[0]),
        name: typeof data === 'string' ? data : undefined,
        pipes,
      }));
    }),
  );
}
