import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { Request } from 'express';
import { ApiProblems } from '../problems/api-problems.decorator.js';
import { Problem } from '../problems/problem.js';
import { invalidRequest, preconditionFailed } from '../problems/problem-types.js';
import { documentParameter } from './document-parameter.js';

const ENTITY_TAG = String.raw`(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"`;
/** As in every HTTP list, elements may be empty: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1.2 */
const IF_MATCH = String.raw`^(?:\*|[ \t,]*${ENTITY_TAG}(?:[ \t]*,[ \t,]*${ENTITY_TAG})*[ \t,]*)$`;

/** The versions that the client accepts to change: undefined for any, empty when no ETag can match. */
export type IfMatch = number[] | undefined;

/**
 * Parses the If-Match header: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
 * @throws {Problem} invalid_request
 */
export const IfMatch = createParamDecorator(
  (_: unknown, context: ExecutionContext): IfMatch =>
    parseIfMatch(context.switchToHttp().getRequest<Request>().headers['if-match']),
  [
    documentParameter(
      ApiHeader({
        name: 'If-Match',
        required: false,
        description: 'Apply the change only if the resource still has this ETag',
        schema: { type: 'string', pattern: IF_MATCH, example: '"1"' },
      }),
      ApiProblems(preconditionFailed),
    ),
  ],
);

function parseIfMatch(header: string | undefined): IfMatch {
  if (header === undefined || header === '*') return undefined;
  if (!new RegExp(IF_MATCH).test(header)) {
    const detail = 'must be * or a list of ETags in double quotes';
    throw new Problem(invalidRequest, { errors: [{ in: 'header', pointer: '#/If-Match', detail }] });
  }
  const tags = header.match(new RegExp(ENTITY_TAG, 'g')) ?? [];
  // A weak tag never matches in If-Match; neither does a tag that no version can have.
  return tags.flatMap((tag) => (/^"\d{1,9}"$/.test(tag) ? [Number(tag.slice(1, -1))] : []));
}
