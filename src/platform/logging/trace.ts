import type { IncomingHttpHeaders } from 'node:http';

/** A span by its hexadecimal ids. */
export interface TraceReference {
  traceId: string;
  spanId?: string;
  sampled: boolean;
}

declare global {
  // Declaration merging with Express' Request
  namespace Express {
    interface Request {
      /** The recorded span of the request; undefined without tracing, or if the request is not sampled. */
      trace?: TraceReference;
    }
  }
}

/**
 * Returns the client's span from the W3C `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header), else from
 * the older `X-Cloud-Trace-Context` (https://cloud.google.com/trace/docs/trace-context#legacy-http-header).
 */
export function parseTrace(headers: IncomingHttpHeaders): TraceReference | undefined {
  return fromTraceparent(headers.traceparent) ?? fromCloudTrace(headers['x-cloud-trace-context']);
}

/** Returns the fields by which Cloud Logging joins a line to its trace and to Cloud Run's request log. */
export function traceFields(found: TraceReference | undefined, project: string | undefined) {
  if (!found) return {};
  return {
    'logging.googleapis.com/trace': project ? `projects/${project}/traces/${found.traceId}` : found.traceId,
    ...(found.spanId && { 'logging.googleapis.com/spanId': found.spanId }),
    'logging.googleapis.com/trace_sampled': found.sampled,
  };
}

// An id of zeros is invalid in either header.
function fromTraceparent(header: string | string[] | undefined) {
  const match = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/.exec(
    String(header),
  );
  if (!match) return undefined;
  const [, traceId = '', spanId = '', flags = ''] = match;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

function fromCloudTrace(header: string | string[] | undefined) {
  const match = /^(?!0{32})([0-9a-f]{32})(?:\/(\d{1,20}))?(?:;o=(\d))?$/i.exec(String(header));
  if (!match) return undefined;
  const [, traceId = '', decimalSpan = '0', options] = match;
  const span = BigInt.asUintN(64, BigInt(decimalSpan));
  return {
    traceId: traceId.toLowerCase(),
    spanId: span > 0n ? span.toString(16).padStart(16, '0') : undefined,
    sampled: options === '1',
  };
}
