import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { Problem } from '../problems/problem.js';
import { invalidRequest } from '../problems/problem-types.js';

/** The versions that the client accepts to change: undefined for any, empty when none of its ETags can be ours. */
export type IfMatch = number[] | undefined;

/** The versions in the If-Match header: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1 */
export const IfMatch = createParamDecorator((_: unknown, context: ExecutionContext): IfMatch =>
  parseIfMatch(context.switchToHttp().getRequest<Request>().headers['if-match']),
);

const ENTITY_TAG = String.raw`(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"`;
/** As in every list of HTTP, elements may be empty: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1.2 */
export const IF_MATCH = String.raw`^(?:\*|[ \t,]*${ENTITY_TAG}(?:[ \t]*,[ \t,]*${ENTITY_TAG})*[ \t,]*)$`;

function parseIfMatch(header: string | undefined): IfMatch {
  if (header === undefined || header === '*') return undefined;
  if (!new RegExp(IF_MATCH).test(header)) {
    const detail = 'must be * or a list of ETags in double quotes';
    throw new Problem(invalidRequest, { errors: [{ in: 'header', pointer: '#/If-Match', detail }] });
  }
  const tags = header.match(new RegExp(ENTITY_TAG, 'g')) ?? [];
  // A weak tag never matches in If-Match; neither does one that no version can have.
  return tags.flatMap((tag) => (/^"\d{1,9}"$/.test(tag) ? [Number(tag.slice(1, -1))] : []));
}
