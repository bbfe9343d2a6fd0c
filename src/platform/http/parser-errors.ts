import { IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Request } from 'express';
import type { ArrivingBodies } from '../limits/arriving-bodies.js';
import { Problem } from '../problems/problem.js';
import {
  contentTooLarge,
  headersTooLarge,
  malformedRequest,
  methodNotAllowed,
  requestTimeout,
} from '../problems/problem-types.js';

declare global {
  // Declaration merging with Express' Request
  namespace Express {
    interface Request {
      /** The problem of a request that Node's HTTP parser rejects. */
      rejection?: Problem;
    }
  }
}

type ParserError = NodeJS.ErrnoException & { rawPacket?: Buffer };

/**
 * Passes every request through the request pipeline, so that each rejection is a problem. By default, Node itself rejects
 * requests with malformed HTTP, with the method CONNECT, without Host, or with an unknown Expect header.
 * See https://nodejs.org/api/http.html#event-clienterror
 */
export function handleParserErrors(server: Server, bodies: ArrivingBodies): void {
  /** The last response of each connection. Responses are sent in order, so it is the last to finish. */
  const lastResponses = new WeakMap<Socket, ServerResponse>();
  const broken = new WeakSet<Socket>();
  const pass = (request: IncomingMessage, response: ServerResponse) => server.emit('request', request, response);

  Object.assign(server, { requireHostHeader: false });
  server.on('checkContinue', pass).on('checkExpectation', pass);
  server.prependListener('request', ({ socket }, response) => lastResponses.set(socket, response));

  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => undefined);
    const last = lastResponses.get(socket);
    if (last && !last.closed) closeAfter(last, socket);
    else pass(...rejectedExchange(request, new Problem(methodNotAllowed, { headers: { Allow: '' } })));
  });

  server.on('clientError', (error: ParserError, socket: Socket) => {
    // Node limits the time of every request. A stream has a minimum transfer rate instead.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && bodies.isStreaming(socket)) return;
    if (!socket.writable) socket.destroy();
    if (!socket.writable || broken.has(socket)) return;
    broken.add(socket); // the parser reports the following bytes too
    const problem = new Problem(typeOf(error.code), { headers: { Connection: 'close' } });
    const last = lastResponses.get(socket);
    if (last && !last.closed) {
      if (!last.req.complete) failBody(last.req, problem);
      closeAfter(last, socket);
    } else if (last && !last.req.complete) {
      socket.destroySoon(); // the response was sent before the body
    } else {
      const request = new IncomingMessage(socket);
      request.headers.origin = originIn(error.rawPacket);
      pass(...rejectedExchange(request, problem));
    }
  });

  function failBody(request: IncomingMessage, problem: Problem): void {
    Object.assign(request, { rejection: problem } satisfies Partial<Request>);
    bodies.fail(request.socket, problem);
  }
}

/** Returns a request that protocolChecks rejects, and its response, which closes the connection. */
function rejectedExchange(request: IncomingMessage, rejection: Problem): [IncomingMessage, ServerResponse] {
  const { socket } = request;
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.destroySoon());
  return [Object.assign(request, { url: '/', rejection } satisfies Partial<Request>), response];
}

/** Closes a connection after its responses in work. No other response may follow or replace them. */
function closeAfter(response: ServerResponse, socket: Socket): void {
  if (!response.headersSent) response.setHeader('Connection', 'close');
  response.once('close', () => socket.destroySoon());
}

function typeOf(code: string | undefined) {
  if (code === 'HPE_HEADER_OVERFLOW') return headersTooLarge;
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return contentTooLarge;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return requestTimeout;
  return malformedRequest;
}

/** CORS needs the origin, so that a page can read the problem. */
const originIn = (packet: Buffer | undefined) => /^origin: *(\S+)/im.exec(packet?.toString('latin1') ?? '')?.[1];
