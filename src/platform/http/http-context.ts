import type { ArgumentsHost } from '@nestjs/common';
import type { Request, Response } from 'express';

/**
 * Returns the request and the response of an HTTP handler.
 *
 * @param component the class that needs them
 * @throws {Error} for a GraphQL, WebSocket or RPC handler
 */
export function httpContext(host: ArgumentsHost, component: string): { request: Request; response: Response } {
  const type = host.getType<string>();
  if (type !== 'http') {
    throw new Error(
      `${component} supports only HTTP, not "${type}". Move the handler to a controller, or replace ${component} with a ` +
        `class that supports "${type}".`,
    );
  }
  const http = host.switchToHttp();
  return { request: http.getRequest<Request>(), response: http.getResponse<Response>() };
}
