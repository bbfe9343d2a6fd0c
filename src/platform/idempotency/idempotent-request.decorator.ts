import { hash } from 'node:crypto';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { Request } from 'express';
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
      /** A hash of method, path and body. */
      fingerprint: string;
      requestId: string;
    }
  | undefined;

/**
 * Parses the Idempotency-Key header.
 * @throws {Problem} invalid_request
 */
export const IdempotentRequest = createParamDecorator(
  (_: unknown, context: ExecutionContext): IdempotentRequest => {
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
  [
    documentParameter(
      ApiHeader({
        name: 'Idempotency-Key',
        required: false,
        description: 'A repeated request within 24 hours returns the first response and has no second effect',
        schema: { type: 'string', minLength: 1, maxLength: 64, pattern: '^[\\x21-\\x7e]+$' },
      }),
      ApiProblems(idempotencyKeyInUse, idempotencyKeyReused),
    ),
  ],
);
