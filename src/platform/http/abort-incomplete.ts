import type { Readable } from 'node:stream';
import { Logger } from '@nestjs/common';
import type { Response } from 'express';

const logger = new Logger('Response');

/**
 * Closes the connection of a response whose source fails, or ends before Content-Length, such as a file that is truncated while
 * it is sent. Express and Nest would leave the connection open: the client would read the next response as the rest of the file.
 */
export function abortIncomplete(response: Response): void {
  response.once('pipe', (source: Readable) => {
    const expected = Number(response.getHeader('Content-Length') ?? 0);
    let sent = 0;
    const abort = (error: Error) => {
      if (response.destroyed) return;
      logger.error(error);
      response.destroy();
    };
    source.on('data', (chunk: Buffer | string) => (sent += Buffer.byteLength(chunk)));
    source.prependOnceListener('error', abort);
    source.prependOnceListener('end', () => {
      if (sent < expected) abort(new Error(`The source of the response ended after ${sent} of ${expected} bytes`));
    });
  });
}
