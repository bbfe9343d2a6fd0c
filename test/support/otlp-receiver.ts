import { readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import protobuf from 'protobufjs';

/** Definitions that are independent of the encoder of the service. */
const { root } = protobuf.parse(readFileSync('test/support/otlp.proto', 'utf8'), { keepCase: false });

type Attributes = Record<string, string | number | boolean>;

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  traceState: string;
  name: string;
  kind: string;
  status: { code: string; message: string };
  startedAt: bigint;
  endedAt: bigint;
  attributes: Attributes;
  events: { name: string; attributes: Attributes }[];
  resource: Attributes;
}

export interface ReceivedMetric {
  name: string;
  unit: string;
  points: { value: number; attributes: Attributes }[];
}

/** An OTLP/HTTP collector that keeps what it receives. */
export interface OtlpReceiver {
  url: string;
  port: number;
  /** The spans of requests with status 200. */
  spans: ReceivedSpan[];
  /** The latest values. */
  metrics: Map<string, ReceivedMetric>;
  /** Every request, also those with another status. */
  requests: { path: string; headers: IncomingHttpHeaders; body: Buffer }[];
  /** Responds in place of 200, until it is set to undefined. */
  respond?: (request: IncomingMessage, response: ServerResponse) => void;
  close(): Promise<void>;
}

/** @param create makes the server, for another protocol than http: */
export async function startOtlpReceiver(
  create: (listener: RequestListener) => Server = createServer,
): Promise<OtlpReceiver> {
  const server = create((request, response) => void receive(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const receiver: OtlpReceiver = {
    url: `http://127.0.0.1:${port}`,
    port,
    spans: [],
    metrics: new Map(),
    requests: [],
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    const { url: path = '', headers } = request;
    receiver.requests.push({ path, headers, body });
    if (receiver.respond) return receiver.respond(request, response);
    const isJson = headers['content-type'] === 'application/json';
    if (path.endsWith('/v1/traces')) receiver.spans.push(...spansIn(decode('TracesData', body, isJson) as TracesData));
    else
      for (const metric of metricsIn(decode('MetricsData', body, isJson) as MetricsData))
        receiver.metrics.set(metric.name, metric);
    response.writeHead(200, { 'Content-Type': headers['content-type'] }).end(isJson ? '{}' : '');
  }
  return receiver;
}

interface Pair {
  key: string;
  value: Record<string, string | number | boolean>;
}

interface TracesData {
  resourceSpans: { resource: { attributes: Pair[] }; scopeSpans: { spans: SpanMessage[] }[] }[];
}

interface SpanMessage extends Pick<ReceivedSpan, 'name' | 'kind' | 'traceState'> {
  traceId: Uint8Array;
  spanId: Uint8Array;
  parentSpanId: Uint8Array;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Pair[];
  events: { name: string; attributes: Pair[] }[];
  status: ReceivedSpan['status'] | null;
}

interface MetricsData {
  resourceMetrics: { scopeMetrics: { metrics: MetricMessage[] }[] }[];
}

interface MetricMessage {
  name: string;
  unit: string;
  /** One of gauge, sum and histogram. */
  [kind: string]: { dataPoints: PointMessage[] } | string;
}

interface PointMessage {
  asDouble?: number;
  asInt?: string;
  count?: string;
  attributes: Pair[];
}

/** The response of a collector that accepts a batch in part, for traces or metrics. */
export const partialSuccess = (rejected: number, errorMessage: string) =>
  root.lookupType('otlp.ExportResponse').encode({ partialSuccess: { rejected, errorMessage } }).finish();

function decode(message: string, body: Buffer, isJson: boolean): unknown {
  const type = root.lookupType(`otlp.${message}`);
  const decoded = isJson ? type.fromObject(JSON.parse(body.toString(), toBytes)) : type.decode(body);
  return type.toObject(decoded, { longs: String, enums: String, arrays: true, objects: true, defaults: true });
}

/** The JSON encoding has ids in hexadecimal: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
const toBytes = (key: string, value: unknown) =>
  /^(trace|span|parentSpan)Id$/.test(key) ? Buffer.from(value as string, 'hex').toString('base64') : value;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function attributesIn(pairs: Pair[]): Attributes {
  return Object.fromEntries(
    pairs.map(({ key, value }) => {
      const [[kind, content] = ['', '']] = Object.entries(value);
      return [key, kind === 'intValue' ? Number(content) : content];
    }),
  );
}

function spansIn({ resourceSpans }: TracesData): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId),
        status: { code: span.status?.code ?? 'UNSET', message: span.status?.message ?? '' },
        startedAt: BigInt(span.startTimeUnixNano),
        endedAt: BigInt(span.endTimeUnixNano),
        attributes: attributesIn(span.attributes),
        events: span.events.map(({ name, attributes }) => ({ name, attributes: attributesIn(attributes) })),
        resource: attributesIn(resource.attributes),
      })),
    ),
  );
}

function metricsIn({ resourceMetrics }: MetricsData): ReceivedMetric[] {
  return resourceMetrics
    .flatMap(({ scopeMetrics }) => scopeMetrics)
    .flatMap(({ metrics }) => metrics)
    .map(({ name, unit, ...kinds }) => {
      const points = Object.values(kinds).flatMap((kind) => (typeof kind === 'object' ? (kind?.dataPoints ?? []) : []));
      return {
        name,
        unit,
        points: points.map((point) => ({
          value: Number(point.asDouble ?? point.asInt ?? point.count),
          attributes: attributesIn(point.attributes),
        })),
      };
    });
}
