import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { readSettings } from '../../tools/doctor/lists.mjs';
import { loadEnv } from '../../src/platform/config/env.js';

interface ComposeService {
  image: string;
  build: { context: string; dockerfile: string };
  command?: string[];
  environment: Record<string, string>;
  mem_limit: string;
  ports: string[];
  depends_on: Record<string, { condition: string }>;
  healthcheck: { test: string[] };
  profiles?: string[];
}

// Compose reads YAML 1.1, which has `<<`.
const { services, configs } = parse(
  // ${NAME:-DEFAULT} is the default.
  readFileSync('docker/compose.yaml', 'utf8').replaceAll(/\$\{\w+:-(.*?)\}/g, '$1'),
  { merge: true },
) as {
  services: Record<'database' | 'migrate' | 'service' | 'collector' | 'jaeger', ComposeService>;
  configs: { collector: { content: string } };
};
const { database, migrate, service, collector, jaeger } = services;
const env = loadEnv({ NODE_ENV: 'production', ...service.environment });
const settings = readSettings('production');

describe('docker/compose.yaml', () => {
  it('builds docker/Dockerfile with the repository as its context', () => {
    for (const { build } of [migrate, service]) {
      expect(resolve('docker', build.context)).toBe(process.cwd());
      expect(existsSync(build.dockerfile)).toBe(true);
    }
  });

  it('starts the migrations after the database, and the service after the migrations', () => {
    expect(migrate.command).toEqual(['dist/migrate.js']);
    expect(migrate.depends_on).toEqual({ database: { condition: 'service_healthy' } });
    expect(service.depends_on).toEqual({ migrate: { condition: 'service_completed_successfully' } });
    expect(service.command).toBeUndefined();
  });

  it('publishes the port of the service and checks its health there', () => {
    expect(service.ports).toEqual([`127.0.0.1:8080:${env.PORT}`]);
    expect(service.healthcheck.test.at(-1)).toContain(`http://127.0.0.1:${env.PORT}/health/ready`);
  });

  it('connects to the database of the same file', () => {
    const { POSTGRES_USER: user, POSTGRES_PASSWORD: password, POSTGRES_DB: name } = database.environment;
    expect(env.DATABASE_URL).toBe(`postgresql://${user}:${password}@database:5432/${name}`);
  });

  it('starts the collector and Jaeger only with the profile observability', () => {
    const optional = Object.entries(services).filter(([, { profiles }]) => profiles);
    expect(optional.map(([name]) => name)).toEqual(['collector', 'jaeger']);
    expect([collector.profiles, jaeger.profiles]).toEqual([['observability'], ['observability']]);
  });

  it('leads traces from the port that the comment names to Jaeger', () => {
    const {
      receivers,
      exporters,
      service: pipes,
    } = parse(configs.collector.content) as Record<string, unknown> as {
      receivers: { otlp: { protocols: { http: { endpoint: string } } } };
      exporters: { otlp: { endpoint: string } };
      service: { pipelines: { traces: { receivers: string[]; exporters: string[] } } };
    };
    const [, port] = /http:\/\/collector:(\d+)/.exec(readFileSync('docker/compose.yaml', 'utf8'))!;
    expect(receivers.otlp.protocols.http.endpoint).toBe(`0.0.0.0:${port}`);
    expect(exporters.otlp.endpoint).toBe('jaeger:4317');
    expect(pipes.pipelines.traces).toEqual({ receivers: ['otlp'], exporters: ['otlp'] });
  });

  it('sets the memory and the heap of deploy/settings.txt', () => {
    expect(settings.get('MEMORY')?.value).toBe(service.mem_limit.replace('m', 'Mi'));
    expect(settings.get('NODE_OPTIONS')?.value).toBe(service.environment.NODE_OPTIONS);
  });
});
