import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
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
}

// Compose reads YAML 1.1, which has `<<`.
const { services } = parse(readFileSync('docker/compose.yaml', 'utf8'), { merge: true }) as {
  services: Record<'database' | 'migrate' | 'service', ComposeService>;
};
const { database, migrate, service } = services;
const env = loadEnv({ NODE_ENV: 'production', ...service.environment });
const manifest = readFileSync('deploy/service.yaml', 'utf8');

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

  it('sets the memory and the heap of deploy/service.yaml', () => {
    expect(manifest).toContain(`memory: ${service.mem_limit.replace('m', 'Mi')}\n`);
    expect(manifest).toContain(`value: ${service.environment.NODE_OPTIONS}\n`);
  });
});
