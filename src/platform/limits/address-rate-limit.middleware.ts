import type { RequestHandler } from 'express';
import { isHealthPath } from '../http/health-path.js';
import { clientAddress } from './client-address.js';
import { RateLimiter } from './rate-limiter.js';

/** Limits requests per client address, before authentication: guessing credentials is limited too. */
export function addressRateLimit(limit: number): RequestHandler {
  const limiter = new RateLimiter(limit);
  return (request, response, next) => {
    if (!isHealthPath(request.path)) limiter.count(clientAddress(request), response);
    next();
  };
}
