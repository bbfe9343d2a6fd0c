import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { type ReadableSpan, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace';
import { loadEnv } from '../../../src/platform/config/env.js';
import { traceExporter } from '../../../src/platform/telemetry/otlp-exporter.js';
import { startOtlpReceiver } from '../../support/otlp-receiver.js';

const SUCCESS = 0;
const FAILED = 1;

const warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue();

const exporterTo = (url: string) =>
  traceExporter(
    loadEnv({
      DATABASE_URL: 'postgresql://127.0.0.1:1/none',
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
    }),
  );

/** Exports a batch with one span. Returns the result code. */
function exportBatch(exporter: SpanExporter, name: string): Promise<number> {
  const span = new TracerProvider().getTracer('test').startSpan(name);
  span.end();
  return new Promise((resolve) => exporter.export([span as unknown as ReadableSpan], ({ code }) => resolve(code)));
}

describe('OtlpExporter', () => {
  type Respond = (request: IncomingMessage, response: ServerResponse) => void;
  const status =
    (code: number, headers: Record<string, string> = {}): Respond =>
    (_request, response) =>
      void response.writeHead(code, headers).end();

  // Concurrent, because most of the tests wait a second for the retry.
  it.concurrent.each<[string, number, Respond]>([
    ['responds 429', 2, status(429, { 'Retry-After': '0.1' })],
    ['responds 503', 2, status(503, { 'Retry-After': '0.1' })],
    ['responds 503 with a date', 2, status(503, { 'Retry-After': 'Wed, 21 Oct 2115 07:28:00 GMT' })],
    ['closes the connection', 2, (request) => void request.socket.destroy()],
    ['does not respond', 2, () => undefined],
    ['responds with something else than HTTP', 2, (request) => void request.socket.end('nonsense')],
    ['switches protocols', 2, status(101, { Connection: 'Upgrade', Upgrade: 'websocket' })],
    ['responds with more headers than Node accepts', 2, status(200, { 'X-Large': 'x'.repeat(20_000) })],
    ['responds 400', 1, status(400)],
    ['redirects', 1, status(307, { Location: 'http://127.0.0.1:1' })],
  ])('sends a batch to a collector that %s %i times', async (_, attempts, respond) => {
    const receiver = await startOtlpReceiver();
    const exporter = exporterTo(receiver.url);
    try {
      receiver.respond = respond;
      expect(await exportBatch(exporter, 'first')).toBe(FAILED);
      const [first] = receiver.requests;
      expect(receiver.requests.map(({ body }) => body)).toEqual(Array(attempts).fill(first!.body));
      const warnings = warn.mock.calls
        .map(([message]) => String(message))
        .filter((each) => each.includes(`${receiver.url}/`));
      const warning = new RegExp(`^Failed to export 1 batches to ${receiver.url}/v1/traces: \\S+`);
      expect(warnings).toEqual([expect.stringMatching(warning)]);

      receiver.respond = undefined; // it recovers
      expect(await exportBatch(exporter, 'second')).toBe(SUCCESS);
      expect(receiver.spans.map(({ name }) => name)).toEqual(['second']);
    } finally {
      await exporter.shutdown();
      await receiver.close();
    }
  });
});
