import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Logger } from '@nestjs/common';
import { Problem } from '../errors/problem.js';
import { overloaded } from '../errors/problem-types.js';

const COMPLAIN_EVERY_MS = 10_000;

/**
 * Refuses a request at once when so many are worked on already. Taken in, it would make all of them late, and at last
 * answers would go to clients that have given up. It stands before Express, where a refusal would cost twice as much.
 */
export function shedLoad(server: Server, mostAtOnce: number): void {
  const logger = new Logger('Overload');
  const { details } = new Problem(overloaded); // once, for an error costs more than the answer
  const listeners = server.listeners('request') as RequestListener[];
  let atOnce = 0;
  let complainedAt = -Infinity;

  const refuse = (request: IncomingMessage, response: ServerResponse) => {
    if (performance.now() - complainedAt > COMPLAIN_EVERY_MS) {
      complainedAt = performance.now();
      logger.warn(`${atOnce} requests at once (MAX_CONCURRENT_REQUESTS): more are refused`);
    }
    const body = JSON.stringify({ ...details, requestId: request.id });
    response.writeHead(details.status, {
      'Content-Type': 'application/problem+json',
      'Content-Length': Buffer.byteLength(body),
      'Retry-After': '1',
    });
    response.end(body);
  };

  server.removeAllListeners('request');
  server.on('request', (request, response) => {
    const isProbe = request.url?.startsWith('/health/'); // a busy instance is not a dead one
    if (!isProbe && atOnce >= mostAtOnce) return refuse(request, response);
    if (!isProbe) {
      atOnce++;
      response.once('close', () => atOnce--);
    }
    for (const listener of listeners) listener(request, response);
  });
}
