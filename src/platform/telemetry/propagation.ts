import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import { isSpanContextValid, trace } from '@opentelemetry/api';

/** A request of undici, which implements fetch: https://undici.nodejs.org/#/docs/api/DiagnosticsChannel */
interface UndiciRequest {
  /** Names and values in turn. */
  headers: string[];
  addHeader(name: string, value: string): void;
}

const HEADER = 'traceparent';

/**
 * Sends the `traceparent` of the active span with each outgoing request of fetch and node:http. Requests of node:http whose
 * header is complete when they are created are sent without it: those with a list of headers, or with Expect.
 * Returns a function that ends it.
 */
export function propagateTraces(): () => void {
  subscribe('undici:request:create', addToFetch);
  subscribe('http.client.request.created', addToClientRequest);
  return () => {
    unsubscribe('undici:request:create', addToFetch);
    unsubscribe('http.client.request.created', addToClientRequest);
  };
}

function addToFetch(message: unknown): void {
  const { request } = message as { request: UndiciRequest };
  const isSet = request.headers.some((name, index) => index % 2 === 0 && name.toLowerCase() === HEADER);
  const value = traceparent();
  if (value && !isSet) request.addHeader(HEADER, value);
}

function addToClientRequest(message: unknown): void {
  const { request } = message as { request: ClientRequest };
  const value = traceparent();
  if (value && !request.headersSent && !request.hasHeader(HEADER)) request.setHeader(HEADER, value);
}

/** https://www.w3.org/TR/trace-context/#traceparent-header. `tracestate` and `baggage` of a client are not forwarded. */
function traceparent(): string | undefined {
  const active = trace.getActiveSpan()?.spanContext();
  if (!active || !isSpanContextValid(active)) return undefined;
  return `00-${active.traceId}-${active.spanId}-${active.traceFlags.toString(16).padStart(2, '0')}`;
}
