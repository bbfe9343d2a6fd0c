import type { ExecutionContext, Type } from '@nestjs/common';
import { ROUTE_ARGS_METADATA, RouteParamtypes } from '@nestjs/common/internal';
import type { Request } from 'express';
import { Problem } from '../problems/problem.js';
import { unsupportedMediaType } from '../problems/problem-types.js';
import { MAX_BYTES } from './max-body-size.decorator.js';
import { parseForm } from './parse-form.js';
import { parseJson } from './parse-json.js';

/** The metadata of `@ApiConsumes()`. */
const MEDIA_TYPES = 'swagger/apiConsumes';
/** Marks a handler with `@BodyItems()`. */
export const HAS_ITEMS = 'has-body-items';

const DEFAULT_MAX_BYTES = 100 * 1024;
const { BODY, RAW_BODY, FILE, FILES } = RouteParamtypes;

/** The body that a route declares: `isParsed` with `@Body()` or `@BodyItems()`, `isRaw` with `@RawBody()`. */
export interface BodyRule {
  types: string[];
  maxBytes: number;
  isParsed: boolean;
  isRaw: boolean;
}

const rules = new WeakMap<object, Map<object, BodyRule | undefined>>();

/** Returns the body that a route declares with its parameters or with `@ApiConsumes()`; undefined if it declares none. */
export function bodyRuleOf(context: ExecutionContext): BodyRule | undefined {
  const [handler, controller] = [context.getHandler(), context.getClass()];
  let known = rules.get(controller);
  if (!known) rules.set(controller, (known = new Map()));
  if (!known.has(handler)) known.set(handler, createRule(controller, handler));
  return known.get(handler);
}

function createRule(controller: Type, handler: { name: string }): BodyRule | undefined {
  // Nest keeps the parameters of a handler under keys such as "3:0", kind and position.
  const parameters: unknown = Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, handler.name);
  const kinds = new Set(Object.keys(Object(parameters)).map((key) => Number(key.split(':')[0])));
  const hasItems = Reflect.hasMetadata(HAS_ITEMS, handler);
  const isMarked = hasItems || Reflect.hasMetadata(MEDIA_TYPES, handler);
  if (!isMarked && ![BODY, RAW_BODY, FILE, FILES].some((kind) => kinds.has(kind))) return undefined;
  return {
    types: mediaTypesOf(controller, handler, kinds.has(FILE) || kinds.has(FILES) ? 'multipart/form-data' : undefined),
    maxBytes: metadataOf(MAX_BYTES, controller, handler) ?? DEFAULT_MAX_BYTES,
    isParsed: hasItems || kinds.has(BODY),
    isRaw: kinds.has(RAW_BODY),
  };
}

/** Returns the media types of `@ApiConsumes()` on a handler or its controller. */
export const mediaTypesOf = (controller: object, handler: object, fallback = 'application/json'): string[] =>
  metadataOf(MEDIA_TYPES, controller, handler) ?? [fallback];

const metadataOf = (key: string, controller: object, handler: object) =>
  Reflect.getMetadata(key, handler) ?? Reflect.getMetadata(key, controller);

/** Returns the declared media type that a request has. @throws {Problem} unsupported_media_type */
export function requireMediaType(request: Request, { types }: BodyRule): string {
  const encoding = request.get('content-encoding') ?? 'identity';
  // A small compressed body can take much time to decompress.
  if (encoding.toLowerCase() !== 'identity') {
    const detail = 'A Content-Encoding is not supported';
    throw new Problem(unsupportedMediaType, { detail, headers: { 'Accept-Encoding': 'identity' } });
  }
  const type = types.find((each) => request.is(each));
  const charset = /;\s*charset="?([^\s;"]*)/i.exec(request.get('content-type') ?? '')?.[1] ?? 'utf-8';
  if (!type || (PARSERS.some(([pattern]) => pattern.test(type)) && !/^utf-?8$/i.test(charset))) {
    throw new Problem(unsupportedMediaType, { headers: { Accept: types.join(', ') } });
  }
  return type;
}

const PARSERS: [type: RegExp, parse: (bytes: Buffer) => unknown][] = [
  [/^application\/json$|\+json$/, parseJson],
  [/^application\/x-www-form-urlencoded$/, parseForm],
];

/** Returns the parser of a declared media type. @throws {Error} if there is none */
export function parserOf(type: string): (bytes: Buffer) => unknown {
  const parse = PARSERS.find(([pattern]) => pattern.test(type))?.[1];
  if (parse) return parse;
  throw new Error(`@Body() cannot parse ${type}. Declare the parameter with @RawBody(), which injects the bytes.`);
}
