import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import type { Env } from '../config/env.js';

/** The Content-Security-Policy of everything but Swagger UI: the service has no pages. */
export const API_POLICY = {
  defaultSrc: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};

export const securityHeaders = helmet({ contentSecurityPolicy: { useDefaults: false, directives: API_POLICY } });

const EXPOSED_HEADERS = [
  ...['ETag', 'Location', 'Retry-After', 'WWW-Authenticate', 'X-Request-Id'],
  ...['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
];

/** Allows the origins of CORS_ORIGINS. Without any, no response has a CORS header. */
export function enableCors(app: NestExpressApplication, { CORS_ORIGINS }: Env): void {
  if (CORS_ORIGINS.length === 0) return;
  app.enableCors({ origin: CORS_ORIGINS, exposedHeaders: EXPOSED_HEADERS, maxAge: 600 });
}
