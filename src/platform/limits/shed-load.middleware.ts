import { Logger } from '@nestjs/common';
import type { RequestHandler } from 'express';
import { Problem } from '../problems/problem.js';
import { overloaded } from '../problems/problem-types.js';

const COMPLAIN_EVERY_MS = 10_000;

/**
 * Refuses a request at once when so many are worked on already. Taken in, it would make all of them late, and at last
 * answers would go to clients that have given up. It costs a small part of a request, so it comes before everything else.
 */
export function shedLoad(mostAtOnce: number): RequestHandler {
  const logger = new Logger('Overload');
  const { details } = new Problem(overloaded); // once, for an error costs more than the answer
  let atOnce = 0;
  let complainedAt = -Infinity;
  return (request, response, next) => {
    if (request.path.startsWith('/health/')) return next(); // a busy instance is not a dead one
    if (atOnce < mostAtOnce) {
      atOnce++;
      response.once('close', () => atOnce--);
      return next();
    }
    if (performance.now() - complainedAt > COMPLAIN_EVERY_MS) {
      complainedAt = performance.now();
      logger.warn(`${atOnce} requests at once (CONCURRENCY_LIMIT): more are refused`);
    }
    response.writeHead(details.status, { 'Content-Type': 'application/problem+json', 'Retry-After': '1' });
    response.end(JSON.stringify({ ...details, requestId: request.id }));
  };
}
