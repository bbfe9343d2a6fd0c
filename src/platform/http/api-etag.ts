import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiResponse } from '@nestjs/swagger';
import { preconditionFailed } from '../problems/problem-types.js';
import { ApiProblems } from '../openapi/api-problems.decorator.js';
import { IF_MATCH } from './if-match.decorator.js';

/** Documents the ETag of a response. */
export const etagHeader = {
  ETag: {
    required: true,
    schema: { type: 'string' as const, example: '"1"' },
    description: 'The version of the representation',
  },
};

/** Documents a route that is refused with 412 when the resource has changed. */
export const ApiIfMatch = () =>
  applyDecorators(
    ApiCondition('If-Match', 'Only when the resource still has this ETag', IF_MATCH),
    ApiProblems(preconditionFailed),
  );

/** Documents a route that answers 304 when the client has the representation already. */
export const ApiIfNoneMatch = () =>
  applyDecorators(
    ApiCondition('If-None-Match', 'Only when the resource has another ETag by now'),
    ApiResponse({ status: 304, description: 'The client has this representation already', headers: etagHeader }),
  );

const ApiCondition = (name: string, description: string, pattern?: string) =>
  ApiHeader({ name, required: false, description, schema: { type: 'string', pattern, example: '"1"' } });
