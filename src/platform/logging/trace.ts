import type { IncomingHttpHeaders } from 'node:http';

/**
 * Returns the fields by which Cloud Logging joins a line to its trace and to Cloud Run's request log: from the W3C
 * `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header), else from the older
 * `X-Cloud-Trace-Context` (https://cloud.google.com/trace/docs/trace-context#legacy-http-header).
 */
export function traceFields(headers: IncomingHttpHeaders, project: string | undefined) {
  const found = fromTraceparent(headers.traceparent) ?? fromCloudTrace(headers['x-cloud-trace-context']);
  if (!found) return {};
  return {
    'logging.googleapis.com/trace': project ? `projects/${project}/traces/${found.trace}` : found.trace,
    ...(found.span && { 'logging.googleapis.com/spanId': found.span }),
    'logging.googleapis.com/trace_sampled': found.sampled,
  };
}

// An id of zeros is invalid in either header.
function fromTraceparent(header: string | string[] | undefined) {
  const match = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/.exec(
    String(header),
  );
  if (!match) return undefined;
  const [, trace = '', span = '', flags = ''] = match;
  return { trace, span, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

function fromCloudTrace(header: string | string[] | undefined) {
  const match = /^(?!0{32})([0-9a-f]{32})(?:\/(\d{1,20}))?(?:;o=(\d))?$/i.exec(String(header));
  if (!match) return undefined;
  const [, trace = '', decimalSpan = '0', options] = match;
  const span = BigInt.asUintN(64, BigInt(decimalSpan));
  return {
    trace: trace.toLowerCase(),
    span: span > 0n ? span.toString(16).padStart(16, '0') : undefined,
    sampled: options === '1',
  };
}
