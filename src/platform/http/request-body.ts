import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { Observable } from 'rxjs';
import { ArrivingBodies } from '../limits/arriving-bodies.js';
import { type BodyRule, parserOf, requireMediaType } from './body-rule.js';

/** Reads the body that a route declares. */
@Injectable()
export class RequestBody {
  constructor(private readonly bodies: ArrivingBodies) {}

  /**
   * Reads the body into memory. For a body that the route reads as a stream, returns the failure of its transfer.
   * @throws {Problem} unsupported_media_type, content_too_large, request_timeout, malformed_request or overloaded
   */
  async read(request: Request, response: Response, rule: BodyRule): Promise<{ failure?: Observable<never> }> {
    const { isParsed, isRaw, maxBytes } = rule;
    if (!hasBody(request)) {
      if (isRaw) Object.assign(request, { rawBody: Buffer.alloc(0) });
      return {};
    }
    const type = requireMediaType(request, rule);
    // FileInterceptor reads it, or a handler that has neither @Body() nor @RawBody().
    const isStream = !isRaw && (!isParsed || type.startsWith('multipart/'));
    const failure = isStream ? this.bodies.watch(request, response, maxBytes) : undefined;
    const reading = isStream ? undefined : this.bodies.read(request, maxBytes);
    // The client waits for it before it sends the body: https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    if (!request.complete && request.headers.expect && request.httpVersion === '1.1') response.writeContinue();
    const bytes = await reading;
    if (bytes && isRaw) Object.assign(request, { rawBody: bytes });
    if (bytes && isParsed) request.body = bytes.length > 0 ? parserOf(type)(bytes) : undefined;
    return { failure };
  }
}

const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
