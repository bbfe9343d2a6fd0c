import { createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { Request } from 'express';
import { ApiProblems } from '../problems/api-problems.decorator.js';
import { preconditionFailed } from '../problems/problem-types.js';
import { documentParameter } from './document-parameter.js';
import { ENTITY_TAGS, etagOf, Preconditions } from './preconditions.js';

/** Marks a handler that evaluates the conditions of its request. */
export const HAS_IF_MATCH = 'has-if-match';

/** Returns whether the client accepts to change a version; undefined if it accepts any. */
export type IfMatch = ((version: number) => boolean) | undefined;

/**
 * Injects the condition of the If-Match header, and of If-None-Match, which lists the versions that the client rejects.
 * @throws {Problem} invalid_request
 */
export const IfMatch = createParamDecorator(
  (_: unknown, context: ExecutionContext): IfMatch => {
    const conditions = Preconditions.of(context.switchToHttp().getRequest<Request>());
    if (!conditions) return undefined;
    return (version) => conditions.matches(etagOf(version)) && conditions.noneMatches(etagOf(version));
  },
  [
    documentParameter(
      SetMetadata(HAS_IF_MATCH, true),
      ApiHeader({
        name: 'If-Match',
        required: false,
        description: 'Apply the change only if the resource still has this ETag',
        schema: { type: 'string', pattern: ENTITY_TAGS, example: '"1"' },
      }),
      ApiProblems(preconditionFailed),
    ),
  ],
);
