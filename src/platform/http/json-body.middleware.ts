import type { IncomingMessage } from 'node:http';
import { json, type RequestHandler } from 'express';
import { Problem } from '../problems/problem.js';
import { unsupportedMediaType } from '../problems/problem-types.js';

const isEmpty = ({ headers }: IncomingMessage) => headers['content-length'] === '0';

/** A body in another media type would be left unread, and its fields be reported as missing. */
const requireJson: RequestHandler = (request, _response, next) => {
  // false: there is a body, and it is of another type. https://expressjs.com/en/5x/api.html#req.is
  if (!isEmpty(request) && request.is('application/json') === false) throw new Problem(unsupportedMediaType);
  next();
};

export const jsonBody: RequestHandler[] = [requireJson, json({ limit: '100kb', type: (request) => !isEmpty(request) })];
