import { readFileSync } from 'node:fs';

/** Every placeholder of deploy/observability/ with an example. */
export const PLACEHOLDERS: Record<string, string> = {
  GCP_PROJECT_ID: 'my-project',
  GCP_REGION: 'europe-west1',
  GCP_SERVICE: 'orders',
  HOST: 'orders-123.europe-west1.run.app',
  RUNBOOK_URL: 'https://github.com/acme/orders/blob/main/docs/runbook.md',
  CLOUD_SQL_DATABASE_ID: 'my-project:main',
  CONNECTIONS_THRESHOLD: '80',
};

/** A file of deploy/observability/ after the replacement of its placeholders. */
export function readObservability(name: string): unknown {
  const text = readFileSync(`deploy/observability/${name}.json`, 'utf8');
  return JSON.parse(
    text.replaceAll(/\$\{(\w*)\}/g, (placeholder, key) => {
      const value = PLACEHOLDERS[key];
      if (value === undefined) throw new Error(`${name}.json has an unknown placeholder: ${placeholder}`);
      return value;
    }),
  );
}

// ── Types ────────────────────────────────────────────────────────────────────────────────────────────────────────────

type Type = string | [Type] | { map: Type } | { enum: string[] };

/** The writable fields of the messages, from the discovery document of each API. */
const APIS = JSON.parse(readFileSync('test/support/google-api-types.json', 'utf8')) as Record<
  string,
  { messages: Record<string, Record<string, Type>> }
>;

/** JSON values by type: https://protobuf.dev/programming-guides/json/ */
const SCALARS: Record<string, (value: unknown) => boolean> = {
  any: () => true,
  boolean: (value) => typeof value === 'boolean',
  duration: (value) => /^\d+s$/.test(String(value)),
  int64: (value) => /^-?\d+$/.test(String(value)),
  integer: Number.isInteger,
  // A placeholder makes a number a string, which the API accepts.
  number: (value) => value !== '' && Number.isFinite(Number(value)),
  string: (value) => typeof value === 'string',
};

/** Unknown fields, unknown enum values and values of the wrong type in a message or a list of them, each with its path. */
export const typeErrors = (api: string, message: string, value: unknown): string[] =>
  [value].flat().flatMap((item) => errorsOf(api, message, item, message));

function errorsOf(api: string, type: Type, value: unknown, path: string): string[] {
  if (Array.isArray(type)) {
    return Array.isArray(value)
      ? value.flatMap((item, index) => errorsOf(api, type[0], item, `${path}[${index}]`))
      : [`${path} must be a list`];
  }
  if (typeof type === 'string' && SCALARS[type]) return SCALARS[type](value) ? [] : [`${path} must be a ${type}`];
  if (typeof type === 'object' && 'enum' in type) {
    return type.enum.includes(String(value)) ? [] : [`${path} must be one of ${type.enum.join(', ')}`];
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${path} must be an object`];
  const fields = typeof type === 'string' ? APIS[api]!.messages[type]! : undefined;
  return Object.entries(value).flatMap(([key, item]) => {
    const typeOfItem = fields ? fields[key] : (type as { map: Type }).map;
    return typeOfItem ? errorsOf(api, typeOfItem, item, `${path}.${key}`) : [`${path}.${key} is unknown`];
  });
}

// ── Metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Metric {
  resource: string;
  kind: 'DELTA' | 'GAUGE';
  value: 'BOOL' | 'DISTRIBUTION' | 'INT64';
  labels?: string[];
}

const run = (kind: Metric['kind'], value: Metric['value'], labels?: string[]): Metric => ({
  resource: 'cloud_run_revision',
  kind,
  value,
  labels,
});
const PROBE_LABELS = ['probe_type', 'is_healthy', 'probe_action', 'container_name', 'is_default'];

/**
 * The built-in metrics that deploy/observability/ may use, with the labels that Google documents.
 * https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run
 * https://cloud.google.com/monitoring/api/metrics_gcp_c#gcp-cloudsql
 * https://cloud.google.com/monitoring/api/metrics_gcp_i_o#gcp-monitoring
 */
export const METRICS: Record<string, Metric> = {
  'run.googleapis.com/request_count': run('DELTA', 'INT64', ['response_code', 'response_code_class']),
  'run.googleapis.com/request_latencies': run('DELTA', 'DISTRIBUTION', ['response_code', 'response_code_class']),
  'run.googleapis.com/container/completed_probe_count': run('DELTA', 'INT64', PROBE_LABELS),
  'run.googleapis.com/container/cpu/utilizations': run('DELTA', 'DISTRIBUTION', ['container_name']),
  'run.googleapis.com/container/instance_count': run('GAUGE', 'INT64', ['state']),
  'run.googleapis.com/container/max_request_concurrencies': run('DELTA', 'DISTRIBUTION', ['state']),
  'run.googleapis.com/container/memory/utilizations': run('DELTA', 'DISTRIBUTION', ['container_name']),
  'run.googleapis.com/container/startup_latencies': run('DELTA', 'DISTRIBUTION'),
  'run.googleapis.com/job/completed_execution_count': {
    resource: 'cloud_run_job',
    kind: 'DELTA',
    value: 'INT64',
    labels: ['result'],
  },
  'cloudsql.googleapis.com/database/postgresql/num_backends': {
    resource: 'cloudsql_database',
    kind: 'GAUGE',
    value: 'INT64',
    labels: ['database'],
  },
  'monitoring.googleapis.com/uptime_check/check_passed': {
    resource: 'uptime_url',
    kind: 'GAUGE',
    value: 'BOOL',
    labels: ['checker_location', 'checked_resource_id', 'check_id'],
  },
};

/** The labels of each resource type: https://cloud.google.com/monitoring/api/resources */
export const RESOURCE_LABELS: Record<string, string[]> = {
  cloud_run_revision: ['project_id', 'service_name', 'revision_name', 'location', 'configuration_name'],
  cloud_run_job: ['project_id', 'job_name', 'location'],
  cloudsql_database: ['project_id', 'database_id', 'region'],
  uptime_url: ['project_id', 'host'],
};

/** https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies#Aligner */
export const ALIGNERS: Record<string, RegExp> = {
  'DELTA INT64': /^ALIGN_(DELTA|RATE)$/,
  'DELTA DISTRIBUTION': /^ALIGN_(DELTA|PERCENTILE_\d\d)$/,
  'GAUGE INT64': /^ALIGN_(MIN|MAX|MEAN|NEXT_OLDER)$/,
  'GAUGE BOOL': /^ALIGN_(NEXT_OLDER|COUNT_TRUE|COUNT_FALSE|FRACTION_TRUE)$/,
};
