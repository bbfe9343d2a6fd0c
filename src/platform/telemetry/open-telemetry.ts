// Loads OpenTelemetry. Only telemetry.module.ts imports it, and only if it is on.
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { context, metrics, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { DataSource } from 'typeorm';
import { type Env, metricsExporter, parsePairs, tracesExporter } from '../config/env.js';
import { packageInfo } from '../config/package-info.js';
import { ConsoleSpanProcessor } from './console-span-processor.js';
import { createMeterProvider, recordMetrics } from './metrics.js';
import { traceExporter } from './otlp-exporter.js';
import { propagateTraces } from './propagation.js';
import type { Telemetry } from './telemetry.module.js';
import { redactExceptions, traceRequests, traceStatements } from './tracing.js';

/** Starts tracing and metrics for the process. */
export function startOpenTelemetry(env: Env, dataSource: DataSource): Telemetry {
  const resource = resourceOf(env);
  const meterProvider = metricsExporter(env) === 'otlp' ? createMeterProvider(env, resource) : undefined;
  const tracerProvider = new TracerProvider({
    resource,
    sampler: tracesExporter(env) === 'none' ? new AlwaysOffSampler() : samplerOf(env),
    spanProcessors: [redactExceptions, spanProcessorOf(env)],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(tracerProvider);
  if (meterProvider) metrics.setGlobalMeterProvider(meterProvider);

  const tracer = trace.getTracer(packageInfo.name);
  let stopPropagation: (() => void) | undefined;
  if (tracesExporter(env) !== 'none') {
    traceStatements(tracer);
    stopPropagation = propagateTraces();
  }
  return {
    middleware: traceRequests(tracer, meterProvider && recordMetrics(dataSource)),
    async shutdown(timeoutMs) {
      stopPropagation?.();
      const done = Promise.allSettled([tracerProvider.shutdown(), meterProvider?.shutdown()]);
      await Promise.race([done, setTimeout(timeoutMs, undefined, { ref: false })]);
    },
  };
}

/** https://opentelemetry.io/docs/specs/semconv/resource/ */
function resourceOf(env: Env) {
  const { K_SERVICE, K_REVISION, GOOGLE_CLOUD_PROJECT, COMMIT_SHA } = env;
  return resourceFromAttributes({
    'service.name': K_SERVICE ?? packageInfo.name,
    'service.version': COMMIT_SHA ?? packageInfo.version,
    'service.instance.id': randomUUID(),
    ...(K_SERVICE && { 'cloud.provider': 'gcp', 'cloud.platform': 'gcp_cloud_run', 'faas.name': K_SERVICE }),
    ...(K_REVISION && { 'faas.version': K_REVISION }),
    ...(GOOGLE_CLOUD_PROJECT && { 'gcp.project_id': GOOGLE_CLOUD_PROJECT }), // required by Google's endpoint
    ...parsePairs(env.OTEL_RESOURCE_ATTRIBUTES),
    ...(env.OTEL_SERVICE_NAME && { 'service.name': env.OTEL_SERVICE_NAME }),
  });
}

/** https://opentelemetry.io/docs/languages/sdk-configuration/general/#otel_traces_sampler */
function samplerOf({ OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG: ratio }: Env): Sampler {
  const [, isParentBased, name] = /^(parentbased_)?(.*)$/.exec(OTEL_TRACES_SAMPLER) ?? [];
  const root =
    name === 'always_on'
      ? new AlwaysOnSampler()
      : name === 'always_off'
        ? new AlwaysOffSampler()
        : new TraceIdRatioBasedSampler(ratio);
  return isParentBased ? new ParentBasedSampler({ root }) : root;
}

/** A batch is sent OTEL_BSP_SCHEDULE_DELAY after its first span, or when it is full. */
function spanProcessorOf(env: Env): SpanProcessor {
  if (tracesExporter(env) === 'console') return new ConsoleSpanProcessor();
  return new BatchSpanProcessor({
    exporter: traceExporter(env),
    scheduledDelayMillis: env.OTEL_BSP_SCHEDULE_DELAY,
  });
}
