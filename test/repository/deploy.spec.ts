import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { run_v1 } from '@googleapis/run';
import { loadEnv } from '../../src/platform/config/env.js';
import {
  knownAnnotations,
  parseJob,
  parseService,
  PLACEHOLDERS,
  readManifest,
  typeErrors,
} from '../support/manifests.js';
import { type Program, startProgram } from '../support/program.js';

/**
 * What the database allows, `SHOW max_connections`: PostgreSQL's own default. Cloud SQL goes by the machine's memory:
 * https://cloud.google.com/sql/docs/postgres/flags#postgres-m
 */
const MAX_CONNECTIONS = 100;
/** For people, backups and monitoring. */
const RESERVED_CONNECTIONS = 5;
/** Beside the pool's, the health check's own. */
const HEALTH_CONNECTIONS = 1;
/** dist/migrate.js: one connection holds the lock, one migrates. */
const JOB_CONNECTIONS = 2;
/** Cloud Run kills a container so long after SIGTERM: https://cloud.google.com/run/docs/container-contract#instance-shutdown */
const KILL_AFTER_MS = 10_000;
/** The longest that both of Google's documents on startup probes allow. */
const MAX_WINDOW_S = 240;

const SERVICE = readManifest('deploy/service.yaml');
const JOB = readManifest('deploy/migrate-job.yaml');

const service = parseService(SERVICE);
const revision = service.spec!.template!;
const container = revision.spec!.containers![0]!;
const task = parseJob(JOB).spec!.template!.spec!.template!.spec!;
const jobContainer = task.containers![0]!;

/** The numbers that the service runs with: its defaults, unless the manifest says otherwise. */
const env = loadEnv({ NODE_ENV: 'production', ...variables(container) });

function variables({ env: entries = [] }: run_v1.Schema$Container) {
  const secret = { DATABASE_URL: 'postgresql://user:password@/app?host=/cloudsql/project:region:instance' };
  return Object.fromEntries(entries.map(({ name, value }) => [name!, value ?? secret[name as 'DATABASE_URL']]));
}

/** A probe with Cloud Run's defaults. */
function probe(kind: 'startupProbe' | 'livenessProbe' | 'readinessProbe') {
  const { initialDelaySeconds, periodSeconds, timeoutSeconds, failureThreshold, httpGet } = container[kind]!;
  const period = periodSeconds ?? 10;
  return {
    path: httpGet?.path ?? '',
    port: httpGet?.port,
    period,
    timeout: timeoutSeconds ?? 1,
    window: (initialDelaySeconds ?? 0) + period * (failureThreshold ?? 3),
  };
}

const startup = probe('startupProbe');
const liveness = probe('livenessProbe');
const readiness = probe('readinessProbe');

describe.each([
  ['Service', SERVICE],
  ['Job', JOB],
] as const)('the %s', (type, text) => {
  it('has the fields of the API, with values of their types', () => {
    expect(typeErrors(type, text)).toEqual([]);
  });

  it.each([
    ['image:', 'imagine:'],
    ["cpu: '1'", 'cpu: 1'],
    ['containers:', 'container:'],
  ])('would be refused with %s written as %s', (field, mistake) => {
    expect(typeErrors(type, text.replace(field, mistake))).toHaveLength(1);
  });
});

describe('annotations', () => {
  it('are ones that Cloud Run knows on that resource', () => {
    const job = parseJob(JOB);
    expect(knownAnnotations('Service')).toEqual(expect.arrayContaining(namesOf(service.metadata)));
    expect(knownAnnotations('Revision')).toEqual(expect.arrayContaining(namesOf(revision.metadata)));
    expect(knownAnnotations('Job')).toEqual(expect.arrayContaining(namesOf(job.metadata)));
    expect(knownAnnotations('Execution')).toEqual(expect.arrayContaining(namesOf(job.spec!.template!.metadata)));
  });

  const namesOf = (metadata?: run_v1.Schema$ObjectMeta) => Object.keys(metadata?.annotations ?? {});
});

describe('the environment', () => {
  it.each([
    ['Service', container],
    ['Job', jobContainer],
  ])('of the %s is one that the program takes, and knows', (_, given) => {
    const known = new Set([...Object.keys(env), 'NODE_OPTIONS']);
    expect(Object.keys(variables(given)).filter((name) => !known.has(name))).toEqual([]);
    expect(() => loadEnv({ NODE_ENV: 'production', ...variables(given) })).not.toThrow();
  });

  it('leaves to the image and to Cloud Run what is theirs', () => {
    const reserved = new Set(['PORT', 'NODE_ENV', 'COMMIT_SHA', 'K_SERVICE', 'K_REVISION', 'K_CONFIGURATION']);
    const given = [...Object.keys(variables(container)), ...Object.keys(variables(jobContainer))];
    expect(given.filter((name) => reserved.has(name))).toEqual([]);
  });

  it('has secrets by numbered version', () => {
    const references = [container, jobContainer].flatMap(({ env: entries = [] }) =>
      entries.flatMap(({ valueFrom }) => (valueFrom?.secretKeyRef ? [valueFrom.secretKeyRef] : [])),
    );
    expect(references.map(({ name }) => name)).toEqual(['orders-api-database-url', 'orders-api-migrator-database-url']);
    for (const { key } of references) expect(key).toMatch(/^\d+$/);
  });
});

describe('the port', () => {
  it('is the one that the service listens on by default', () => {
    expect(container.ports).toEqual([{ name: 'http1', containerPort: env.PORT }]);
  });

  it('is the one that the probes ask', () => {
    for (const { port } of [startup, liveness, readiness]) expect([undefined, env.PORT]).toContain(port);
  });
});

describe('probes', () => {
  it('give a start twice the time that the database may take to connect, and what Cloud Run allows', () => {
    expect(startup.window * 1_000).toBeGreaterThanOrEqual(2 * env.DATABASE_STARTUP_WARN_AFTER_MS);
    expect(startup.window).toBeLessThanOrEqual(MAX_WINDOW_S);
  });

  it('let the service say what it waits for before the start is given up', () => {
    // The budget's last attempt may begin just before its end.
    const saidAfterMs = env.DATABASE_STARTUP_WARN_AFTER_MS + env.DATABASE_CONNECT_TIMEOUT_MS;
    expect(saidAfterMs).toBeLessThan(startup.window * 1_000);
  });

  it('time out within their period', () => {
    for (const { timeout, period } of [startup, liveness, readiness]) expect(timeout).toBeLessThanOrEqual(period);
  });

  it('do not take every instance out while a database fails over', () => {
    expect(readiness.window).toBeGreaterThanOrEqual(30);
  });

  it('ask no path that ends in z, which Google keeps to itself', () => {
    for (const { path } of [startup, liveness, readiness]) expect(path).toMatch(/^\/.*[^z]$/);
  });

  describe('without a database', () => {
    let sut: Program;
    beforeAll(async () => {
      sut = await startProgram({ DATABASE_URL: 'postgresql://127.0.0.1:1/none' });
    });
    afterAll(() => sut.stop());

    it.each([
      ['startup fails', startup, 503],
      ['liveness, which looks at nothing, succeeds', liveness, 200],
      ['readiness fails', readiness, 503],
    ])('%s', async (_, { path }, status) => {
      expect((await fetch(sut.url + path)).status).toBe(status);
    });
  });
});

describe('deadlines', () => {
  it('leave time to close the pools between the last request and SIGKILL', () => {
    expect(env.SHUTDOWN_TIMEOUT_MS).toBeLessThan(KILL_AFTER_MS);
  });

  it("end a request by the service's own answer before Cloud Run does", () => {
    expect(env.HANDLER_TIMEOUT_MS).toBeLessThan(Number(revision.spec!.timeoutSeconds) * 1_000);
    expect(env.DATABASE_STATEMENT_TIMEOUT_MS).toBeLessThan(Number(revision.spec!.timeoutSeconds) * 1_000);
  });
});

describe('capacity', () => {
  it('asks for no more connections than the database allows, also during a rollout', () => {
    const instances = Number(revision.metadata!.annotations!['autoscaling.knative.dev/maxScale']);
    const perRevision = instances * (env.DATABASE_POOL_MAX + HEALTH_CONNECTIONS);
    expect(2 * perRevision + JOB_CONNECTIONS + RESERVED_CONNECTIONS).toBeLessThanOrEqual(MAX_CONNECTIONS);
  });

  it('lets Cloud Run send no more requests at once than the service takes', () => {
    expect(revision.spec!.containerConcurrency).toBeLessThanOrEqual(env.CONCURRENCY_LIMIT);
  });

  it.each([
    ['Service', container],
    ['Job', jobContainer],
  ])('of the %s has a heap of 70 to 80 %% of the memory', (_, given) => {
    const heap = Number(/--max-old-space-size=(\d+)/.exec(variables(given).NODE_OPTIONS!)?.[1]);
    const memory = Number(/^(\d+)Mi$/.exec(given.resources!.limits!.memory!)?.[1]);
    expect(heap / memory).toBeGreaterThanOrEqual(0.7);
    expect(heap / memory).toBeLessThanOrEqual(0.8);
  });
});

describe('a rollout', () => {
  it('sends no traffic to the new revision, which has a tag to test it under', () => {
    expect(service.spec!.traffic).toEqual([
      { revisionName: 'orders-api-0123456-56', percent: 100 },
      { revisionName: revision.metadata!.name, percent: 0, tag: 'candidate' },
    ]);
    expect(revision.metadata!.name).toMatch(/^orders-api-/); // or Cloud Run refuses it
  });

  it('runs the migrations of the image that is deployed', () => {
    expect(jobContainer.image).toBe(container.image);
    expect(jobContainer.args).toEqual(['dist/migrate.js']);
  });

  it('migrates with another account than the service has', () => {
    expect(task.serviceAccountName).not.toBe(revision.spec!.serviceAccountName);
  });
});

it('DEPLOYMENT.md explains every placeholder', () => {
  const table = /\| placeholder .*?\n\n/s.exec(readFileSync('DEPLOYMENT.md', 'utf8'))?.[0];
  const explained = [...table!.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name);
  expect(new Set(explained)).toEqual(new Set(Object.keys(PLACEHOLDERS)));
});
