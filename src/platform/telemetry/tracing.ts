import {
  type Attributes,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from '@opentelemetry/api';
import type { SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Request, RequestHandler, Response } from 'express';
import { isHealthPath } from '../http/health-path.js';
import { parseTrace } from '../logging/trace.js';
import type { ProblemDto } from '../problems/problem.dto.js';
import { type DatabaseOperation, databaseOperations } from './database-usage.js';
import { routeOf } from './route-of.js';
import { describeStatement } from './sql-text.js';

/** Receives the attributes and the duration in seconds of a finished request. */
export type RecordRequest = (attributes: Attributes, durationS: number) => void;

/**
 * Records a SERVER span per request, except health probes. Its attributes have no values of the client: the path may
 * contain some, so only its route is recorded. https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 */
export function traceRequests(tracer: Tracer, recordRequest?: RecordRequest): RequestHandler {
  return (request, response, next) => {
    if (isHealthPath(request.path)) return next();
    const startedAt = performance.now();
    const parent = parseTrace(request.headers);
    const span = tracer.startSpan(
      request.method,
      { kind: SpanKind.SERVER },
      parent?.spanId
        ? trace.setSpanContext(ROOT_CONTEXT, {
            traceId: parent.traceId,
            spanId: parent.spanId,
            traceFlags: parent.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
            isRemote: true,
          })
        : ROOT_CONTEXT,
    );
    const { traceId, spanId } = span.spanContext();
    if (span.isRecording()) request.trace = { traceId, spanId, sampled: isSampled(span) };
    if (span.isRecording() || recordRequest) {
      response.once('close', () => {
        const attributes = attributesOf(request, response);
        recordRequest?.(attributes, (performance.now() - startedAt) / 1_000);
        endRequest(span, attributes, request);
      });
    }
    context.with(trace.setSpan(ROOT_CONTEXT, span), next);
  };
}

const isSampled = (span: Span) => (span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0;

function attributesOf(request: Request, response: Response): Attributes {
  const status = response.writableFinished ? response.statusCode : undefined;
  const problem = response.locals.problem as ProblemDto | undefined;
  const route = routeOf(request);
  const isFailed = status === undefined || status >= 500 || problem !== undefined;
  return {
    'http.request.method': request.method,
    'url.scheme': request.protocol,
    ...(route !== undefined && { 'http.route': route }),
    ...(status !== undefined && { 'http.response.status_code': status }),
    ...(isFailed && { 'error.type': problem?.code ?? String(status ?? 'aborted') }),
  };
}

function endRequest(span: Span, attributes: Attributes, request: Request): void {
  if (!span.isRecording()) return;
  const { 'http.route': route, 'http.response.status_code': status } = attributes;
  if (route) span.updateName(`${request.method} ${route as string}`);
  span.setAttributes({ ...attributes, 'request.id': request.id });
  if (Number(status) >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/**
 * Records a CLIENT span per SQL statement of a sampled request, and a span for a connection that could not be acquired.
 * https://opentelemetry.io/docs/specs/semconv/database/postgresql/
 */
export function traceStatements(tracer: Tracer): void {
  databaseOperations.subscribe((message) => {
    const { sql, startedAt, poolWaitMs, error } = message as DatabaseOperation;
    const parent = trace.getActiveSpan(); // may have ended, as after a handler timeout
    if (!parent || !isSampled(parent) || (sql === undefined && !error)) return;
    const { name, ...attributes } = sql === undefined ? { name: 'acquire connection' } : describeStatement(sql);
    const sqlState = sqlStateOf(error);
    const span = tracer.startSpan(name, {
      kind: SpanKind.CLIENT,
      startTime: startedAt,
      attributes: {
        'db.system.name': 'postgresql',
        ...attributes,
        ...(poolWaitMs > 0 && { 'db.client.connection.wait_time': poolWaitMs / 1_000 }),
        ...(sqlState && { 'db.response.status_code': sqlState }),
        ...(error !== undefined && { 'error.type': sqlState ?? errorTypeOf(error) }),
      },
    });
    if (error) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(performance.now()); // by default, the SDK rounds it to a millisecond
  });
}

/** PostgreSQL and pg quote values in messages and details, so only codes are recorded. */
function sqlStateOf(error: unknown): string | undefined {
  const { code, severity } = Object(error) as Record<string, unknown>;
  return severity && typeof code === 'string' && /^[\dA-Z]{5}$/.test(code) ? code : undefined;
}

function errorTypeOf(error: unknown): string {
  const { code, message } = Object(error) as Record<string, unknown>;
  if (typeof code === 'string' && /^[A-Z_]{3,40}$/.test(code)) return code; // such as ECONNRESET
  return /timeout|exhausted/i.test(String(message)) ? 'timeout' : '_OTHER';
}

/** Messages and stacks of exceptions, which features may record, can quote values. The log has them. */
export const redactExceptions: SpanProcessor = {
  onStart: () => undefined,
  onEnding(span) {
    delete span.status.message;
    for (const { attributes = {} } of span.events) {
      delete attributes['exception.message'];
      delete attributes['exception.stacktrace'];
    }
  },
  onEnd: () => undefined,
  forceFlush: () => Promise.resolve(),
  shutdown: () => Promise.resolve(),
};
