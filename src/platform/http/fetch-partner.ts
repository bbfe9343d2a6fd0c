import { channel } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../problems/problem.js';
import { partnerUnavailable } from '../problems/problem-types.js';
import { requestContext } from './request-context.js';

/** https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1 */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
const MAX_ATTEMPTS = 3;
const BACKOFF_MS = 100;
/** The handler still needs this time for its response. */
const RESERVED_MS = 100;

/** Instrumentation of fetch listens to this channel, and sends the trace itself. */
const fetchRequests = channel('undici:request:create');

export interface PartnerRequest extends RequestInit {
  /** Of each attempt, body included. The deadline of the handler can shorten it. */
  timeoutMs?: number;
  /** The maximum size of the response, which is read into memory. */
  maxBytes?: number;
}

/**
 * Sends a request to another service. Retries safe methods twice, with jitter, within the deadline of the handler. Sends the
 * trace of the client. Returns any response except 408, 429 and 5xx.
 * @throws {Problem} partner_unavailable: no complete response in time, or one of these statuses
 */
export async function fetchPartner(url: string | URL, request: PartnerRequest = {}): Promise<Response> {
  const attempts = SAFE_METHODS.has((request.method ?? 'GET').toUpperCase()) ? MAX_ATTEMPTS : 1;
  const timeLeftMs = () => (requestContext.getStore()?.deadline ?? Infinity) - RESERVED_MS - performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await send(url, request, timeLeftMs());
    } catch (cause) {
      const pauseMs = Math.random() * BACKOFF_MS * 2 ** attempt;
      if (attempt >= attempts || request.signal?.aborted || timeLeftMs() < pauseMs)
        throw new Problem(partnerUnavailable, { cause, headers: { 'Retry-After': '1' } });
      await sleep(pauseMs);
    }
  }
}

async function send(
  url: string | URL,
  { timeoutMs = 2_000, maxBytes = 1024 ** 2, ...init }: PartnerRequest,
  timeLeftMs: number,
): Promise<Response> {
  const timeout = AbortSignal.timeout(Math.max(0, Math.floor(Math.min(timeoutMs, timeLeftMs))));
  const signal = AbortSignal.any([timeout, ...(init.signal ? [init.signal] : [])]);
  const response = await fetch(url, { ...init, headers: withTrace(init.headers), signal });
  const { status, statusText } = response;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`The response has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  if (status >= 500 || status === 429 || status === 408)
    throw new Error(`${new URL(response.url).host} returned ${status}`);
  const headers = new Headers(response.headers);
  for (const name of ['Content-Encoding', 'Content-Length']) headers.delete(name); // fetch has decoded the body
  return new Response(response.body && Buffer.concat(chunks), { status, statusText, headers });
}

function withTrace(init: RequestInit['headers']): Headers {
  const headers = new Headers(init);
  for (const name of fetchRequests.hasSubscribers ? [] : ['traceparent', 'x-cloud-trace-context']) {
    const value = requestContext.getStore()?.headers[name];
    if (typeof value === 'string' && !headers.has(name)) headers.set(name, value);
  }
  return headers;
}
