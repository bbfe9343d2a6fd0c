import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';

/**
 * Takes the id of X-Request-Id when that is safe to log and to send back, else makes one. It comes before everything
 * that can fail, so that every answer and every line has the id.
 */
export const requestId: RequestHandler = (request, response, next) => {
  const given = request.get('X-Request-Id');
  const id = given && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
  request.id = id;
  response.set('X-Request-Id', id);
  next();
};
