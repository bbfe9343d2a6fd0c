import { hash } from 'node:crypto';
import { applyDecorators, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { Request } from 'express';
import { Problem } from '../problems/problem.js';
import { invalidRequest } from '../problems/problem-types.js';
import { ApiProblems } from '../openapi/api-problems.decorator.js';
import { idempotencyKeyInUse, idempotencyKeyReused } from './idempotency.problems.js';

/** A request that bears an Idempotency-Key, as IdempotencyService takes it; undefined when it bears none. */
export interface IdempotentRequest {
  /** Whose key it is: two callers may choose the same. */
  principal: string;
  key: string;
  /** A hash of all that makes the request the same one. */
  fingerprint: string;
  requestId: string;
}

export const IdempotentRequest = createParamDecorator(
  (_: unknown, context: ExecutionContext): IdempotentRequest | undefined => {
    const request = context.switchToHttp().getRequest<Request>();
    const key = request.headers['idempotency-key'];
    if (key === undefined) return undefined;
    if (typeof key !== 'string' || !/^[\x21-\x7e]{1,64}$/.test(key)) {
      const detail = 'must be 1 to 64 visible ASCII characters';
      throw new Problem(invalidRequest, { errors: [{ in: 'header', pointer: '#/Idempotency-Key', detail }] });
    }
    const content = JSON.stringify([request.method, request.path, request.body ?? {}]);
    return {
      principal: request.principal?.id ?? 'anyone',
      key,
      fingerprint: hash('sha256', content, 'base64url'),
      requestId: request.id as string,
    };
  },
);

/** Documents a route that takes an Idempotency-Key. */
export const ApiIdempotent = () =>
  applyDecorators(
    ApiHeader({
      name: 'Idempotency-Key',
      required: false,
      description: 'A repeat within 24 hours gets the first answer, without a second effect',
      schema: { type: 'string', minLength: 1, maxLength: 64, pattern: '^[\\x21-\\x7e]+$' },
    }),
    ApiProblems(idempotencyKeyInUse, idempotencyKeyReused),
  );
