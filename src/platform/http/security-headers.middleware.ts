import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { RequestHandler } from 'express';
import helmet from 'helmet';
import type { Env } from '../config/env.js';

/** The Content-Security-Policy of all responses except Swagger UI. The API serves no pages. */
export const API_POLICY = {
  defaultSrc: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};

const headers = headersOf(helmet({ contentSecurityPolicy: { useDefaults: false, directives: API_POLICY } }));

/** Sets helmet's headers, which are the same for every request and computed once. */
export const securityHeaders: RequestHandler = (_request, response, next) => {
  for (const [name, value] of headers) response.setHeader(name, value);
  next();
};

function headersOf(middleware: ReturnType<typeof helmet>): [name: string, value: string][] {
  const found: [string, string][] = [];
  const response = {
    setHeader: (name: string, value: string) => found.push([name, value]),
    removeHeader: () => undefined,
  };
  middleware({} as IncomingMessage, response as unknown as ServerResponse, () => undefined);
  return found;
}

const EXPOSED_HEADERS = [
  ...['ETag', 'Idempotency-Replayed', 'Location', 'Retry-After', 'WWW-Authenticate', 'X-Request-Id'],
  ...['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
];

/** Allows the origins of CORS_ORIGINS. An empty list disables CORS. */
export function enableCors(app: NestExpressApplication, { CORS_ORIGINS }: Env): void {
  if (CORS_ORIGINS.length === 0) return;
  app.enableCors({ origin: CORS_ORIGINS, exposedHeaders: EXPOSED_HEADERS, maxAge: 600 });
}
