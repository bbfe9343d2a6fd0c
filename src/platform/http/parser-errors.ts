import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { Problem } from '../problems/problem.js';
import { headersTooLarge, malformedRequest, requestTimeout } from '../problems/problem-types.js';

/**
 * Sends a problem for a request that Node's HTTP parser rejects, which no middleware and no filter ever sees.
 * See https://nodejs.org/api/http.html#event-clienterror
 */
export function handleParserErrors(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return;
    const { details } = new Problem(typeOf(error.code), { requestId: randomUUID() });
    const body = JSON.stringify(details);
    socket.end(
      `HTTP/1.1 ${details.status} ${details.code}\r\nContent-Type: application/problem+json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
    socket.destroySoon(); // no timeout applies to a client that keeps its half of the connection open
  });
}

function typeOf(code: string | undefined) {
  if (code === 'HPE_HEADER_OVERFLOW') return headersTooLarge;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return requestTimeout;
  return malformedRequest;
}
