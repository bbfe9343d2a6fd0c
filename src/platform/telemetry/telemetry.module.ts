import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { RequestHandler } from 'express';
import { DataSource } from 'typeorm';
import { Env, metricsExporter, tracesExporter } from '../config/env.js';
import { GracefulShutdown } from '../lifecycle/graceful-shutdown.js';

/** Tracing and OTLP metrics. */
export interface Telemetry {
  /** Records each request. */
  middleware: RequestHandler;
  /** Exports the rest, within `timeoutMs`. Never throws. */
  shutdown(timeoutMs: number): Promise<void>;
}

/** The injection token of {@link Telemetry}, which is undefined while tracing and metrics are off. */
export const TELEMETRY = Symbol('telemetry');

/** The longest wait for a collector at shutdown. */
const MAX_FLUSH_MS = 3_000;
/** Kept for the steps of the shutdown that follow. */
const SHUTDOWN_RESERVE_MS = 100;

/** OpenTelemetry is loaded only if the configuration turns it on, because it slows down a cold start. */
async function startTelemetry(env: Env, dataSource: DataSource): Promise<Telemetry | undefined> {
  if (tracesExporter(env) === 'none' && metricsExporter(env) === 'none') return undefined;
  const { startOpenTelemetry } = await import('./open-telemetry.js');
  return startOpenTelemetry(env, dataSource);
}

@Module({
  providers: [{ provide: TELEMETRY, inject: [Env, DataSource], useFactory: startTelemetry }],
  exports: [TELEMETRY],
})
export class TelemetryModule implements OnApplicationShutdown {
  constructor(
    @Inject(TELEMETRY) private readonly telemetry: Telemetry | undefined,
    private readonly gracefulShutdown: GracefulShutdown,
  ) {}

  /** After the last request. */
  async onApplicationShutdown(): Promise<void> {
    const remainingMs = this.gracefulShutdown.exitAt - performance.now() - SHUTDOWN_RESERVE_MS;
    await this.telemetry?.shutdown(Math.min(MAX_FLUSH_MS, remainingMs));
  }
}
