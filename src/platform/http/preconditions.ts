import type { IncomingMessage } from 'node:http';
import { Problem } from '../problems/problem.js';
import { invalidRequest } from '../problems/problem-types.js';

const ENTITY_TAG = String.raw`(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"`;
/** As in every HTTP list, elements may be empty: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1.2 */
export const ENTITY_TAGS = String.raw`^(?:\*|[ \t,]*${ENTITY_TAG}(?:[ \t]*,[ \t,]*${ENTITY_TAG})*[ \t,]*)$`;

/** Returns the ETag of a version. */
export const etagOf = (version: number): string => `"${version}"`;

/** Returns whether a request is a GET or HEAD. */
export const isRead = ({ method }: IncomingMessage): boolean => method === 'GET' || method === 'HEAD';

/** The conditions of a request on the ETag of its resource: https://www.rfc-editor.org/rfc/rfc9110#section-13.1 */
export class Preconditions {
  private constructor(
    private readonly ifMatch: string[] | undefined,
    private readonly ifNoneMatch: string[] | undefined,
  ) {}

  /**
   * Parses If-Match and If-None-Match. Returns undefined for a request with neither.
   * @throws {Problem} invalid_request
   */
  static of(request: IncomingMessage): Preconditions | undefined {
    const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = request.headers;
    if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
    // A read with a malformed If-None-Match returns the whole resource, as from other servers.
    const isIgnored = ifNoneMatch !== undefined && isRead(request) && !isList(ifNoneMatch);
    return new Preconditions(
      parseTags('If-Match', ifMatch),
      isIgnored ? undefined : parseTags('If-None-Match', ifNoneMatch),
    );
  }

  /** Evaluates If-Match with strong comparison: a weak tag never matches. The ETag is undefined if there is none. */
  matches(etag: string | undefined): boolean {
    return this.ifMatch?.some((tag) => tag === '*' || tag === etag) ?? true;
  }

  /** Evaluates If-None-Match with weak comparison. */
  noneMatches(etag: string | undefined): boolean {
    return !this.ifNoneMatch?.some((tag) => tag === '*' || tag.replace(/^W\//, '') === etag);
  }
}

const isList = (header: string): boolean => new RegExp(ENTITY_TAGS).test(header);

function parseTags(name: string, header: string | undefined): string[] | undefined {
  if (header === undefined) return undefined;
  if (!isList(header)) {
    const detail = 'must be * or a list of ETags in double quotes';
    throw new Problem(invalidRequest, { errors: [{ in: 'header', pointer: `#/${name}`, detail }] });
  }
  return header === '*' ? ['*'] : (header.match(new RegExp(ENTITY_TAG, 'g')) ?? []);
}
