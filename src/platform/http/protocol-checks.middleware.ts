import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { Problem } from '../problems/problem.js';
import { expectationFailed, malformedRequest, notImplemented } from '../problems/problem-types.js';

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]+)(.*)$/i;
const HOST = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\da-f:.]+\])(?::\d*)?$/i;

/**
 * Converts a request target in absolute form, as sent to a proxy, to origin form. Its host replaces the Host header.
 * See https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
 */
export function convertAbsoluteForm(request: IncomingMessage): void {
  if (request.url?.startsWith('/')) return;
  const [, host, path = ''] = ABSOLUTE_FORM.exec(request.url ?? '') ?? [];
  if (host === undefined) return;
  request.headers.host = host;
  request.url = path.startsWith('/') ? path : `/${path}`;
}

/**
 * Rejects requests that violate HTTP, and those that Node's parser has rejected.
 * See https://www.rfc-editor.org/rfc/rfc9112#section-3.2 and #section-6.1
 */
export const protocolChecks: RequestHandler = (request, response, next) => {
  if (request.rejection) throw request.rejection;
  if (!hasValidHost(request)) {
    throw new Problem(malformedRequest, { detail: 'The request must have one valid Host header' });
  }
  const { expect, 'transfer-encoding': coding } = request.headers;
  // Node decodes chunks only.
  if (coding && !/^chunked$/i.test(coding)) throw new Problem(notImplemented);
  if (expect && !/^100-continue$/i.test(expect)) throw new Problem(expectationFailed);
  if (request.url === '*' && request.method === 'OPTIONS') response.status(204).end();
  else if (!request.url.startsWith('/'))
    throw new Problem(malformedRequest, { detail: 'The request target is invalid' });
  else if (isDecodable(request.url)) next();
  else throw new Problem(malformedRequest, { detail: 'The request target must have percent-encoded UTF-8' });
};

/** Routes would fail to decode the path. Invalid bytes of the query would be replaced. */
function isDecodable(target: string): boolean {
  if (!target.includes('%')) return true;
  try {
    return Boolean(decodeURIComponent(target));
  } catch {
    return false;
  }
}

function hasValidHost({ headers: { host = '' }, rawHeaders, httpVersion }: IncomingMessage): boolean {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return (count === 1 || (count === 0 && httpVersion === '1.0')) && HOST.test(host);
}
