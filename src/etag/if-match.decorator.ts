import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { Problem } from '../errors/problem.js';
import { invalidRequest } from '../errors/problem-types.js';

/** The versions that the client accepts to change: undefined for any, empty when none of its ETags can be ours. */
export type IfMatch = number[] | undefined;

/** The versions in the If-Match header: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1 */
export const IfMatch = createParamDecorator((_: unknown, context: ExecutionContext): IfMatch =>
  parseIfMatch(context.switchToHttp().getRequest<Request>().headers['if-match']),
);

const ENTITY_TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

function parseIfMatch(header: string | undefined): IfMatch {
  if (header === undefined || header.trim() === '*') return undefined;
  const tags = header.match(ENTITY_TAG);
  if (!tags || !/^[\s,]*$/.test(header.replaceAll(ENTITY_TAG, ''))) {
    const detail = 'must be * or a list of ETags in double quotes';
    throw new Problem(invalidRequest, { errors: [{ in: 'header', pointer: '#/If-Match', detail }] });
  }
  // A weak tag never matches in If-Match; neither does one that no version can have.
  return tags.flatMap((tag) => (/^"\d{1,9}"$/.test(tag) ? [Number(tag.slice(1, -1))] : []));
}
