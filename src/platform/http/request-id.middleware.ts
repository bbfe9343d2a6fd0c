import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';

/** Uses the client's X-Request-Id if it is safe to log and to return, else creates an id. Every response and log line has it. */
export const requestId: RequestHandler = (request, response, next) => {
  const given = request.get('X-Request-Id');
  const id = given && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
  request.id = id;
  response.set('X-Request-Id', id);
  next();
};
