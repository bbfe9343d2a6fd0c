import { readFileSync } from 'node:fs';
import type { run_v1 } from '@googleapis/run';
import { parse } from 'yaml';
import { readSettings } from '../../tools/doctor/lists.mjs';

/** The repository variables that deploy/settings.txt names, with examples. */
const VARIABLES: Record<string, string> = {
  GCP_PROJECT_ID: 'my-project',
  APP_OIDC_ISSUERS: 'https://accounts.google.com',
  APP_OIDC_AUDIENCE: 'https://orders.example.com',
  APP_OIDC_SCOPE_GRANTS: 'deployer@my-project.iam.gserviceaccount.com=orders:read orders:write',
  APP_CORS_ORIGINS: '',
};

/** Every placeholder of deploy/*.yaml with an example, or the setting of the environment. */
export function placeholders(environment: string): Record<string, string> {
  const env = [...readSettings(environment).values()].map(({ name, kind, value }) =>
    kind === 'secret'
      ? { name, valueFrom: { secretKeyRef: { name: `orders-api-${value}`, key: '3' } } }
      : { name, value: fill(value, VARIABLES) },
  );
  const limits = ['MAX_INSTANCES', 'MIN_INSTANCES', 'MEMORY'];
  const ofJob = env.filter(({ name }) => /^(NODE_OPTIONS$|DATABASE_|LOG_)/.test(name));
  return {
    GCP_SERVICE: 'orders-api',
    GCP_RUNTIME_ACCOUNT: 'runtime@my-project.iam.gserviceaccount.com',
    GCP_MIGRATOR_ACCOUNT: 'migrator@my-project.iam.gserviceaccount.com',
    GCP_CLOUD_SQL_INSTANCE: 'my-project:europe-west1:main',
    IMAGE: `europe-west1-docker.pkg.dev/my-project/images/orders-api@sha256:${'0'.repeat(64)}`,
    REVISION: 'orders-api-abc1234-57',
    PREVIOUS_REVISION: 'orders-api-0123456-56',
    COMMIT_SHA: 'abc1234567890abc1234567890abc1234567890a',
    NEWEST_MIGRATION: '1795478400002',
    SERVICE_LABELS: '{"team":"orders"}',
    SERVICE_ANNOTATIONS: '{"run.googleapis.com/invoker-iam-disabled":"true","run.googleapis.com/ingress":"all"}',
    JOB_LABELS: '{}',
    JOB_ANNOTATIONS: '{}',
    ...Object.fromEntries(limits.map((name) => [name, readSettings(environment).get(name)?.value ?? ''])),
    SERVICE_ENV: JSON.stringify(env.filter(({ name }) => !limits.includes(name))),
    JOB_ENV: JSON.stringify(ofJob),
  };
}

function fill(line: string, values: Record<string, string>): string {
  return line.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`Unknown placeholder: ${name}`);
    return value;
  });
}

/** A manifest as the pipeline renders it. */
export function readManifest(file: string, environment = 'production'): string {
  const values = placeholders(environment);
  return readFileSync(file, 'utf8').replaceAll(/^(?!\s*#).*$/gm, (line) => fill(line, values));
}

/** `<<` merges the labels and annotations that the pipeline passes on. */
export const parseManifest = (text: string): unknown => parse(text, { merge: true });
export const parseService = (text: string) => parseManifest(text) as run_v1.Schema$Service;
export const parseJob = (text: string) => parseManifest(text) as run_v1.Schema$Job;
