import { hash } from 'node:crypto';
import { createParamDecorator, type ExecutionContext, type RawBodyRequest, type Type } from '@nestjs/common';
import { ROUTE_ARGS_METADATA, RouteParamtypes } from '@nestjs/common/internal';
import { ApiHeader } from '@nestjs/swagger';
import { plainToInstance } from 'class-transformer';
import type { Request, Response } from 'express';
import { documentParameter } from '../http/document-parameter.js';
import { ApiProblems } from '../problems/api-problems.decorator.js';
import { Problem } from '../problems/problem.js';
import { invalidRequest } from '../problems/problem-types.js';
import { idempotencyKeyInUse, idempotencyKeyReused } from './idempotency.problems.js';

/** A request with an Idempotency-Key, for IdempotencyService.run(); undefined without the header. */
export type IdempotentRequest =
  | {
      /** Scopes the key: two callers may choose the same one. */
      principal: string;
      key: string;
      /** Identifies the request: see {@link fingerprintOf}. */
      fingerprint: string;
      response: Response;
    }
  | undefined;

/**
 * Parses the Idempotency-Key header.
 * @throws {Problem} invalid_request
 */
export const IdempotentRequest = createParamDecorator(
  (_: unknown, context: ExecutionContext): IdempotentRequest => {
    const http = context.switchToHttp();
    const request = http.getRequest<RawBodyRequest<Request>>();
    const key = request.headers['idempotency-key'];
    if (key === undefined) return undefined;
    if (typeof key !== 'string' || !/^[\x21-\x7e]{1,64}$/.test(key)) {
      const detail = 'must be 1 to 64 visible ASCII characters';
      throw new Problem(invalidRequest, { errors: [{ in: 'header', pointer: '#/Idempotency-Key', detail }] });
    }
    return {
      principal: request.principal?.id ?? 'anyone',
      key,
      fingerprint: fingerprintOf(request, validatedParams(context)),
      response: http.getResponse<Response>(),
    };
  },
  [
    documentParameter(
      ApiHeader({
        name: 'Idempotency-Key',
        required: false,
        description:
          'A repeated request within 24 hours returns the first response with `Idempotency-Replayed: true`, and has no second effect',
        schema: { type: 'string', minLength: 1, maxLength: 64, pattern: '^[\\x21-\\x7e]+$' },
      }),
      ApiProblems(idempotencyKeyInUse, idempotencyKeyReused),
    ),
  ],
);

/**
 * Returns a hash of a request: method, route, path parameters, query, body and If-Match. The order of query parameters and
 * of JSON properties does not matter, nor do the differences that Express ignores: case and a trailing slash of the path. The
 * bytes of `@RawBody()` are compared exactly. A body that the handler reads as a stream is not included.
 */
export function fingerprintOf(
  {
    method,
    route,
    originalUrl,
    headers,
    body,
    rawBody,
  }: Pick<RawBodyRequest<Request>, 'method' | 'route' | 'originalUrl' | 'headers' | 'body' | 'rawBody'>,
  params: object,
): string {
  const { searchParams } = new URL(originalUrl, 'http://localhost');
  searchParams.sort();
  const content = rawBody ? hash('sha256', rawBody) : (body ?? {});
  const identity = [method, route.path, params, searchParams.toString(), content, headers['if-match']];
  return hash('sha256', JSON.stringify(identity, sortProperties), 'base64url');
}

/** A replacer of JSON.stringify(). */
function sortProperties(_: string, value: unknown): unknown {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) : value;
}

/** Returns the path parameters as the DTO of the handler normalizes them: a code in lower case may be the same code. */
function validatedParams(context: ExecutionContext): object {
  const { params } = context.switchToHttp().getRequest<Request>();
  const [type, method] = [context.getClass(), context.getHandler().name];
  const parameters = Object.entries<{ index: number; data: unknown }>(
    Reflect.getMetadata(ROUTE_ARGS_METADATA, type, method),
  );
  const whole = parameters.find(([key, { data }]) => key.startsWith(`${RouteParamtypes.PARAM}:`) && data === undefined);
  if (!whole) return params;
  const types = Reflect.getMetadata('design:paramtypes', type.prototype, method) as Type[];
  return plainToInstance(types[whole[1].index]!, params);
}
