import { once } from 'node:events';
import { StreamableFile } from '@nestjs/common';
import type { Response } from 'express';
import { from, type Observable, of } from 'rxjs';
import { toProblem } from '../problems/to-problem.js';

/**
 * Returns the body of a response, for a StreamableFile after its first bytes. A failure before them, such as a missing file, is an
 * exception of the route; Nest's own handler would return 400 as text. Nest does the same for other streams.
 */
export function startStream(body: unknown, response: Response): Observable<unknown> {
  if (body instanceof StreamableFile) return from(started(body));
  return of(isGenerator(body) ? noteFailure(body, response) : body);
}

/** @throws the error of a stream that fails before its first bytes */
async function started(file: StreamableFile): Promise<StreamableFile> {
  const stream = file.getStream();
  if (stream.errored) throw stream.errored;
  if (stream.readableLength === 0 && !stream.readableEnded && !stream.destroyed) await once(stream, 'readable');
  return file;
}

const isGenerator = (body: unknown): body is AsyncGenerator =>
  Object.prototype.toString.call(body) === '[object AsyncGenerator]';

/** Notes a failure for the request log: after the first row, the exception filter does not see it. */
async function* noteFailure(body: AsyncGenerator, response: Response): AsyncGenerator {
  try {
    yield* body;
  } catch (error) {
    response.locals.problem = toProblem(error).details;
    throw error;
  }
}
