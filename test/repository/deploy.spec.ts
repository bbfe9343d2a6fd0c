import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { run_v1 } from '@googleapis/run';
import { loadDatabaseEnv, loadEnv } from '../../src/platform/config/env.js';
import { requiredEnv } from '../support/required-env.mjs';
import { readEnvironments, readSchedules } from '../../tools/doctor/lists.mjs';
import { knownAnnotations, typeErrors } from '../support/manifest-types.js';
import { parseJob, parseService, readManifest } from '../support/manifests.js';

/**
 * `SHOW max_connections` of the database: PostgreSQL's default. Cloud SQL's depends on the memory of the machine:
 * https://cloud.google.com/sql/docs/postgres/flags#postgres-m
 */
const MAX_CONNECTIONS = 100;
/** For people, backups and monitoring. */
const RESERVED_CONNECTIONS = 5;
/** The health check's connection, in addition to the pool. */
const HEALTH_CONNECTIONS = 1;
/** dist/migrate.js: one connection holds the lock, the other migrates. */
const JOB_CONNECTIONS = 2;
/** The time from SIGTERM to SIGKILL: https://cloud.google.com/run/docs/container-contract#instance-shutdown */
const KILL_AFTER_MS = 10_000;
/** The longest startup window that Google's documents on probes allow. */
const MAX_WINDOW_S = 240;

/** Production, and every environment that deploy/settings.txt names. */
const ENVIRONMENTS = readEnvironments();

/** The jobs that `nest generate job` wrote. */
const OWN_JOBS = globSync('deploy/jobs/*.yaml').map((file) => ({ file, name: basename(file, '.yaml') }));

describe.each(ENVIRONMENTS)('in %s', (environment) => {
  const SERVICE = readManifest('deploy/service.yaml', environment);
  const JOB = readManifest('deploy/migrate-job.yaml', environment);

  const service = parseService(SERVICE);
  const revision = service.spec!.template!;
  const container = revision.spec!.containers![0]!;
  const job = parseJob(JOB);
  const task = job.spec!.template!.spec!.template!.spec!;
  const jobContainer = task.containers![0]!;

  function variables({ env: entries = [] }: run_v1.Schema$Container) {
    const secrets: NodeJS.ProcessEnv = {
      ...requiredEnv,
      DATABASE_URL: 'postgresql://user:password@/app?host=/cloudsql/project:region:instance',
    };
    return Object.fromEntries(entries.map(({ name, value }) => [name!, value ?? secrets[name!]]));
  }

  /** The configuration of the deployed service. */
  const env = loadEnv({ NODE_ENV: 'production', ...variables(container) });

  /** A probe with Cloud Run's defaults. */
  function probe(kind: 'startupProbe' | 'livenessProbe' | 'readinessProbe') {
    const { initialDelaySeconds, periodSeconds, timeoutSeconds, failureThreshold, httpGet } = container[kind]!;
    const period = periodSeconds ?? 10;
    return {
      path: httpGet?.path,
      port: httpGet?.port ?? env.PORT,
      period,
      timeout: timeoutSeconds ?? 1,
      window: (initialDelaySeconds ?? 0) + period * (failureThreshold ?? 3),
    };
  }

  const startup = probe('startupProbe');
  const liveness = probe('livenessProbe');
  const readiness = probe('readinessProbe');

  const ownJobs = OWN_JOBS.map(({ file, name }) => {
    const text = readManifest(file, environment);
    const { metadata, spec } = parseJob(text);
    return { text, name, metadata, execution: spec!.template!, task: spec!.template!.spec!.template!.spec! };
  });

  describe.each([
    ['service', container, 'Service', SERVICE, loadEnv],
    ['job', jobContainer, 'Job', JOB, loadDatabaseEnv],
    ...ownJobs.map(({ name, text, task: own }) => [`job ${name}`, own.containers![0]!, 'Job', text, loadEnv] as const),
  ] as const)('the manifest of the %s', (_, given, type, text, load) => {
    it('has only fields of the API, with values of their types', () => {
      expect(typeErrors(type, text)).toEqual([]);
    });

    it('sets a valid environment, and only variables that the program reads', () => {
      const known = new Set([...Object.keys(env), 'NODE_OPTIONS']);
      expect(Object.keys(variables(given)).filter((name) => !known.has(name))).toEqual([]);
      expect(() => load({ NODE_ENV: 'production', ...variables(given) })).not.toThrow();
    });

    it('does not set the variables of the image and of Cloud Run', () => {
      const reserved = new Set(['PORT', 'NODE_ENV', 'COMMIT_SHA', 'K_SERVICE', 'K_REVISION', 'K_CONFIGURATION']);
      expect(Object.keys(variables(given)).filter((name) => reserved.has(name))).toEqual([]);
    });

    it('refers to secrets by a numbered version', () => {
      const secrets = (given.env ?? []).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []);
      expect(secrets).toContainEqual({ name: 'orders-api-database-url', key: '3' });
      for (const { key } of secrets) expect(key).toMatch(/^\d+$/);
    });

    it('limits the heap to 70 to 80 % of the memory', () => {
      const heap = Number(/--max-old-space-size=(\d+)/.exec(variables(given).NODE_OPTIONS!)?.[1]);
      const [, size, unit] = /^(\d+)([MG])i$/.exec(given.resources!.limits!.memory!)!;
      const memory = Number(size) * (unit === 'G' ? 1_024 : 1);
      expect(heap / memory).toBeGreaterThanOrEqual(0.7);
      expect(heap / memory).toBeLessThanOrEqual(0.8);
    });
  });

  describe('annotations', () => {
    it.each([
      ['Service', service.metadata],
      ['Revision', revision.metadata],
      ['Job', job.metadata],
      ['Execution', job.spec!.template!.metadata],
      ...ownJobs.map(({ metadata }) => ['Job', metadata] as const),
      ...ownJobs.map(({ execution }) => ['Execution', execution.metadata] as const),
    ] as const)('of the %s are known to Cloud Run', (resource, metadata) => {
      expect(knownAnnotations(resource)).toEqual(expect.arrayContaining(Object.keys(metadata?.annotations ?? {})));
    });
  });

  describe('the port', () => {
    it('is the default port of the service, also for the probes', () => {
      expect(container.ports).toEqual([{ name: 'http1', containerPort: env.PORT }]);
      expect([startup, liveness, readiness].map(({ port }) => port)).toEqual([env.PORT, env.PORT, env.PORT]);
    });
  });

  describe('probes', () => {
    it('request the health endpoint of their kind', () => {
      const paths = ['/health/startup', '/health/live', '/health/ready'];
      expect([startup, liveness, readiness].map(({ path }) => path)).toEqual(paths);
    });

    it('give a start twice the time that the database may take to connect, and what Cloud Run allows', () => {
      expect(startup.window * 1_000).toBeGreaterThanOrEqual(2 * env.DATABASE_STARTUP_WARN_AFTER_MS);
      expect(startup.window).toBeLessThanOrEqual(MAX_WINDOW_S);
    });

    it('let the service log its reason before the startup window ends', () => {
      // An attempt may begin just before DATABASE_STARTUP_WARN_AFTER_MS.
      const loggedAfterMs = env.DATABASE_STARTUP_WARN_AFTER_MS + env.DATABASE_CONNECT_TIMEOUT_MS;
      expect(loggedAfterMs).toBeLessThan(startup.window * 1_000);
    });

    it('time out within their period', () => {
      for (const { timeout, period } of [startup, liveness, readiness]) expect(timeout).toBeLessThanOrEqual(period);
    });

    it('keep the instances in service during a database failover of 30 s', () => {
      expect(readiness.window).toBeGreaterThanOrEqual(30);
    });
  });

  describe('timeouts', () => {
    it('leave time to close the pools between the last request and SIGKILL', () => {
      expect(env.SHUTDOWN_TIMEOUT_MS).toBeLessThan(KILL_AFTER_MS);
    });

    it('of the service end a request before Cloud Run does', () => {
      expect(env.HANDLER_TIMEOUT_MS).toBeLessThan(Number(revision.spec!.timeoutSeconds) * 1_000);
      expect(env.DATABASE_STATEMENT_TIMEOUT_MS).toBeLessThan(Number(revision.spec!.timeoutSeconds) * 1_000);
    });
  });

  describe('capacity', () => {
    it('limits all revisions together as one revision', () => {
      const instances = revision.metadata!.annotations!['autoscaling.knative.dev/maxScale'];
      expect(service.metadata!.annotations!['run.googleapis.com/maxScale']).toBe(instances);
    });

    it('needs no more connections than the database allows, also during a rollout', () => {
      const instances = Number(revision.metadata!.annotations!['autoscaling.knative.dev/maxScale']);
      const perRevision = instances * (env.DATABASE_POOL_MAX + HEALTH_CONNECTIONS);
      expect(2 * perRevision + JOB_CONNECTIONS + RESERVED_CONNECTIONS).toBeLessThanOrEqual(MAX_CONNECTIONS);
    });

    it('allows Cloud Run no more concurrent requests than CONCURRENCY_LIMIT', () => {
      expect(revision.spec!.containerConcurrency).toBeLessThanOrEqual(env.CONCURRENCY_LIMIT);
    });
  });

  describe('a rollout', () => {
    it('sends no traffic to the new revision, which has a tag', () => {
      expect(service.spec!.traffic).toEqual([
        { revisionName: 'orders-api-0123456-56', percent: 100 },
        { revisionName: revision.metadata!.name, percent: 0, tag: 'candidate' },
      ]);
      expect(revision.metadata!.name).toMatch(/^orders-api-/); // or Cloud Run rejects it
    });

    it('runs the migrations of the deployed image, with another service account', () => {
      expect(jobContainer.image).toBe(container.image);
      expect(jobContainer.args).toEqual(['dist/migrate.js']);
      expect(task.serviceAccountName).not.toBe(revision.spec!.serviceAccountName);
    });
  });

  it('runs each job of deploy/jobs/ with the image and the account of the service', () => {
    for (const { name, metadata, task: own } of ownJobs) {
      expect(metadata!.name).toBe(`orders-api-${name}`); // deploy/bootstrap.sh creates it
      expect(own.serviceAccountName).toBe(revision.spec!.serviceAccountName);
      expect(own.containers).toMatchObject([{ image: container.image, args: [`dist/${name}.js`] }]);
    }
  });

  it('schedules only jobs of deploy/jobs/', () => {
    const names = new Set(OWN_JOBS.map(({ name }) => name));
    expect(readSchedules(environment).filter(({ job: scheduled }) => !names.has(scheduled))).toEqual([]);
  });
});
