import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import {
  type ISerializer,
  JsonMetricsSerializer,
  JsonTraceSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from '@opentelemetry/otlp-transformer';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import { type Env, isGoogleApi, parsePairs } from '../config/env.js';
import { GoogleToken } from './google-token.js';

/** https://opentelemetry.io/docs/specs/otel/protocol/exporter/ */
const DEFAULT_ENDPOINT = 'http://localhost:4318';

const RETRY_DELAY_MS = 1_000;
const MAX_RETRY_DELAY_MS = 5_000;
const LOG_INTERVAL_MS = 60_000;
/** Much larger than the response of a collector, whose status decides. */
const MAX_RESPONSE_BYTES = 64 * 1024;
/** https://opentelemetry.io/docs/specs/otlp/#failures-1 */
const RETRYABLE_STATUSES = new Set([429, 502, 503, 504]);

/** Exports spans to OTEL_EXPORTER_OTLP_ENDPOINT. */
export function traceExporter(env: Env): SpanExporter {
  const isJson = env.OTEL_EXPORTER_OTLP_PROTOCOL === 'http/json';
  return new OtlpExporter<ReadableSpan[]>('v1/traces', isJson ? JsonTraceSerializer : ProtobufTraceSerializer, env);
}

/** Exports metrics to OTEL_EXPORTER_OTLP_ENDPOINT. */
export function metricExporter(env: Env): PushMetricExporter {
  const isJson = env.OTEL_EXPORTER_OTLP_PROTOCOL === 'http/json';
  return new OtlpExporter('v1/metrics', isJson ? JsonMetricsSerializer : ProtobufMetricsSerializer, env);
}

interface ExportResponse {
  partialSuccess?: { rejectedSpans?: number; rejectedDataPoints?: number; errorMessage?: string };
}

// ExportResultCode of @opentelemetry/core
const SUCCESS = 0;
const FAILED = 1;
type Done = (result: { code: typeof SUCCESS | typeof FAILED }) => void;

/** Sends each batch once, and again after a failure that may be temporary. It never delays or fails a request. */
class OtlpExporter<Items extends object> {
  private readonly logger = new Logger('Telemetry');
  private readonly url: URL;
  private readonly send: typeof httpRequest;
  private readonly agent: HttpAgent;
  private readonly headers: Record<string, string>;
  private readonly googleToken?: GoogleToken;
  private readonly pending = new Set<Promise<void>>();
  /** The timer of the batch belongs to the request that started it, and the log lines of a failure do not. */
  private readonly runOutsideRequest = AsyncLocalStorage.snapshot();
  private failures = 0;
  private loggedAt = -Infinity;

  constructor(
    path: string,
    private readonly serializer: ISerializer<Items, ExportResponse>,
    private readonly env: Env,
  ) {
    const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint = DEFAULT_ENDPOINT } = env;
    this.url = new URL(path, endpoint.replace(/\/?$/, '/'));
    const isHttps = this.url.protocol === 'https:';
    this.send = isHttps ? httpsRequest : httpRequest;
    this.agent = new (isHttps ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: 4 });
    this.headers = parsePairs(env.OTEL_EXPORTER_OTLP_HEADERS);
    const hasToken = Object.keys(this.headers).some((name) => name.toLowerCase() === 'authorization');
    if (isGoogleApi(this.url) && !hasToken) this.googleToken = new GoogleToken(env.GCE_METADATA_HOST);
  }

  export(items: Items, done: Done): void {
    const work = this.runOutsideRequest(() => this.exportOrLog(items, done));
    this.pending.add(work);
    void work.finally(() => this.pending.delete(work));
  }

  async forceFlush(): Promise<void> {
    await Promise.all(this.pending);
  }

  async shutdown(): Promise<void> {
    await this.forceFlush();
    this.agent.destroy();
  }

  private async exportOrLog(items: Items, done: Done): Promise<void> {
    try {
      await this.exportWithRetry(items);
      done({ code: SUCCESS });
    } catch (error) {
      this.logFailure(error as Error);
      done({ code: FAILED });
    }
  }

  /** A process without CPU between requests finds its connection closed when it continues: the retry opens a new one. */
  private async exportWithRetry(items: Items): Promise<void> {
    const body = this.serializer.serializeRequest(items) ?? new Uint8Array();
    try {
      await this.post(body, this.agent);
    } catch (error) {
      if (!(error instanceof ExportError) || error.retryDelayMs === undefined) throw error;
      await sleep(error.retryDelayMs, undefined, { ref: false });
      await this.post(body, false);
    }
  }

  /** @throws {ExportError} */
  private async post(body: Uint8Array, agent: HttpAgent | false): Promise<void> {
    const { OTEL_EXPORTER_OTLP_TIMEOUT, GOOGLE_CLOUD_PROJECT } = this.env;
    const isJson = this.env.OTEL_EXPORTER_OTLP_PROTOCOL === 'http/json';
    const signal = AbortSignal.timeout(OTEL_EXPORTER_OTLP_TIMEOUT);
    try {
      const headers = {
        'Content-Type': isJson ? 'application/json' : 'application/x-protobuf',
        'Content-Length': body.byteLength,
        ...(this.googleToken && {
          Authorization: `Bearer ${await this.googleToken.get(signal)}`,
          'x-goog-user-project': GOOGLE_CLOUD_PROJECT,
        }),
        ...this.headers,
      };
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        this.send(this.url, { method: 'POST', headers, agent, signal }, resolve)
          .on('error', reject)
          .on('close', () => reject(new Error('no response'))) // such as 101, which Node closes without an error
          .end(body);
      });
      this.read(response);
      const { statusCode: status = 0 } = response;
      if (status < 200 || status > 299) throw new ExportError(`status ${status}`, retryDelayMsOf(response));
    } catch (error) {
      if (error instanceof ExportError) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      throw new ExportError(signal.aborted ? 'timeout' : (code ?? message), RETRY_DELAY_MS);
    }
  }

  /** Reads the body, so that the connection can be used again. Reading a large one would delay the service. */
  private read(response: IncomingMessage): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response
      .on('error', () => undefined)
      .on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > MAX_RESPONSE_BYTES) response.destroy();
      })
      .on('end', () => response.statusCode === 200 && this.reportRejected(Buffer.concat(chunks)));
  }

  /** A collector may accept a part of a batch: https://opentelemetry.io/docs/specs/otlp/#partial-success-1 */
  private reportRejected(body: Uint8Array): void {
    try {
      const { rejectedSpans, rejectedDataPoints, errorMessage } =
        this.serializer.deserializeResponse(body).partialSuccess ?? {};
      const rejected = rejectedSpans ?? rejectedDataPoints ?? 0;
      if (rejected > 0 || errorMessage) this.logFailure(new Error(`${rejected} items rejected: ${errorMessage}`));
    } catch {
      // The status decides.
    }
  }

  /** One line a minute, without headers or the query, which may have credentials. */
  private logFailure({ message }: Error): void {
    this.failures++;
    if (performance.now() - this.loggedAt < LOG_INTERVAL_MS) return;
    this.loggedAt = performance.now();
    this.logger.warn(`Failed to export ${this.failures} batches to ${this.url.origin}${this.url.pathname}: ${message}`);
    this.failures = 0;
  }
}

class ExportError extends Error {
  /** @param retryDelayMs undefined for a permanent failure */
  constructor(
    message: string,
    readonly retryDelayMs: number | undefined,
  ) {
    super(message);
  }
}

function retryDelayMsOf({ statusCode = 0, headers }: IncomingMessage): number | undefined {
  if (!RETRYABLE_STATUSES.has(statusCode)) return undefined;
  const requestedMs = Number(headers['retry-after']) * 1_000;
  return requestedMs > 0 ? Math.min(requestedMs, MAX_RETRY_DELAY_MS) : RETRY_DELAY_MS;
}
