import type { Server } from 'node:http';
import type { Env } from '../config/env.js';

/** Limits how long a connection may be idle and how long a request may take to arrive. */
export function setServerTimeouts(server: Server, { HANDLER_TIMEOUT_MS }: Env): void {
  server.headersTimeout = 15_000;
  server.requestTimeout = 30_000; // the whole request, body included
  // Longer than Google's load balancer keeps an idle connection, or it would send a request into a closing one.
  // https://cloud.google.com/load-balancing/docs/https#timeout-keepalive-backends
  server.keepAliveTimeout = 620_000;
  // No byte in either direction for this long: every handler has finished, and the client does not read.
  server.timeout = 2 * HANDLER_TIMEOUT_MS;
}
