import { monitorEventLoopDelay } from 'node:perf_hooks';
import { metrics, type Meter } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import type { Env } from '../config/env.js';
import { packageInfo } from '../config/package-info.js';
import { type DatabaseOperation, databaseOperations } from './database-usage.js';
import { metricExporter } from './otlp-exporter.js';
import type { RecordRequest } from './tracing.js';

/** In seconds, recommended by https://opentelemetry.io/docs/specs/semconv/http/http-metrics/ */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const HISTOGRAM = { unit: 's', advice: { explicitBucketBoundaries: BOUNDARIES } };
const EVENT_LOOP_RESOLUTION_MS = 20;
const NS_PER_S = 1e9;

export function createMeterProvider(env: Env, resource: Resource): MeterProvider {
  const reader = new PeriodicExportingMetricReader({
    exporter: metricExporter(env),
    exportIntervalMillis: env.OTEL_METRIC_EXPORT_INTERVAL,
  });
  return new MeterProvider({ resource, readers: [reader] });
}

/** Records the metrics of the service by the names of https://opentelemetry.io/docs/specs/semconv/ */
export function recordMetrics(dataSource: DataSource): RecordRequest {
  const meter = metrics.getMeter(packageInfo.name);
  recordPool(meter, () => (dataSource.driver as PostgresDriver).master as Pool | undefined);
  recordEventLoopDelay(meter);
  const duration = meter.createHistogram('http.server.request.duration', HISTOGRAM);
  return (attributes, durationS) => duration.record(durationS, attributes);
}

function recordPool(meter: Meter, currentPool: () => Pool | undefined): void {
  const labels = { 'db.client.connection.pool.name': 'default' };
  const waitTime = meter.createHistogram('db.client.connection.wait_time', HISTOGRAM);
  const timeouts = meter.createCounter('db.client.connection.timeouts', { unit: '{timeout}' });
  databaseOperations.subscribe((message) => {
    const { sql, poolWaitMs, error } = message as DatabaseOperation;
    if (sql !== undefined) return;
    if (error) timeouts.add(1, labels);
    else waitTime.record(poolWaitMs / 1_000, labels);
  });
  const count = meter.createObservableUpDownCounter('db.client.connection.count', { unit: '{connection}' });
  const max = meter.createObservableUpDownCounter('db.client.connection.max', { unit: '{connection}' });
  const pending = meter.createObservableUpDownCounter('db.client.connection.pending_requests', { unit: '{request}' });
  meter.addBatchObservableCallback(
    (result) => {
      const pool = currentPool();
      if (!pool) return;
      result.observe(count, pool.idleCount, { ...labels, 'db.client.connection.state': 'idle' });
      result.observe(count, pool.totalCount - pool.idleCount, { ...labels, 'db.client.connection.state': 'used' });
      result.observe(max, pool.options.max, labels);
      result.observe(pending, pool.waitingCount, labels);
    },
    [count, max, pending],
  );
}

/** Since the previous export. A process without CPU between requests counts the pause as a delay. */
function recordEventLoopDelay(meter: Meter): void {
  const delay = monitorEventLoopDelay({ resolution: EVENT_LOOP_RESOLUTION_MS });
  delay.enable();
  const gauge = (name: string) => meter.createObservableGauge(`nodejs.eventloop.delay.${name}`, { unit: 's' });
  const [min, max, mean] = [gauge('min'), gauge('max'), gauge('mean')];
  const [p50, p90, p99] = [gauge('p50'), gauge('p90'), gauge('p99')];
  meter.addBatchObservableCallback(
    (result) => {
      if (delay.count === 0) return;
      result.observe(min, delay.min / NS_PER_S);
      result.observe(max, delay.max / NS_PER_S);
      result.observe(mean, delay.mean / NS_PER_S);
      result.observe(p50, delay.percentile(50) / NS_PER_S);
      result.observe(p90, delay.percentile(90) / NS_PER_S);
      result.observe(p99, delay.percentile(99) / NS_PER_S);
      delay.reset();
    },
    [min, max, mean, p50, p90, p99],
  );
}
