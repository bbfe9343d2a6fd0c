import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseService, readManifest } from '../support/manifests.js';
import {
  ALIGNERS,
  METRICS,
  PLACEHOLDERS,
  readObservability,
  RESOURCE_LABELS,
  typeErrors,
} from '../support/observability.js';

interface Aggregation {
  alignmentPeriod: string;
  perSeriesAligner: string;
  crossSeriesReducer?: string;
  groupByFields?: string[];
}
interface Threshold {
  filter: string;
  aggregations?: Aggregation[];
  comparison: string;
  thresholdValue: number | string;
  duration: string;
}
interface Policy {
  displayName: string;
  severity: string;
  combiner: string;
  conditions: { displayName: string; conditionThreshold: Threshold }[];
  documentation: { content: string; links: { displayName: string; url: string }[] };
  userLabels: Record<string, string>;
}
interface Chart {
  xyChart?: { dataSets: { timeSeriesQuery: { timeSeriesFilter: { filter: string; aggregation: Aggregation } } }[] };
}
interface Dashboard {
  name: string;
  labels: Record<string, string>;
  mosaicLayout: {
    columns: number;
    tiles: { xPos?: number; yPos?: number; width: number; height: number; widget: Chart }[];
  };
}
interface Labeled {
  name: string;
  userLabels: Record<string, string>;
}
interface LogMetric {
  name: string;
  description: string;
  filter: string;
  metricDescriptor: { valueType: string; metricKind: string; labels?: { key: string }[] };
  labelExtractors?: Record<string, string>;
  valueExtractor?: string;
}

const alerts = readObservability('alerts') as Policy[];
const dashboard = readObservability('dashboard') as Dashboard;
const service = readObservability('service') as Labeled;
const objectives = readObservability('objectives') as Labeled[];
const metrics = readObservability('metrics') as LogMetric[];
const queries = readObservability('queries') as {
  name: string;
  description: string;
  loggingQuery: { filter: string };
}[];
const uptime = readObservability('uptime') as { userLabels: Record<string, string>; httpCheck: { path: string } }[];

const container = parseService(readManifest('deploy/service.yaml')).spec!.template!.spec!.containers![0]!;
const runbook = readFileSync('docs/runbook.md', 'utf8');
const MARK = `Managed by deploy/observability.sh for ${PLACEHOLDERS.GCP_SERVICE}.`;

/** The metrics of metrics.json, as the other files name them. */
const logMetrics = Object.fromEntries(
  metrics.map(({ name, metricDescriptor: { metricKind, valueType, labels = [] } }) => [
    `logging.googleapis.com/user/${name}`,
    { resource: 'cloud_run_revision', kind: metricKind, value: valueType, labels: labels.map(({ key }) => key) },
  ]),
);
const known: Record<string, { resource: string; kind: string; value: string; labels?: string[] }> = {
  ...METRICS,
  ...logMetrics,
};

/** The comparisons of a filter: metric.labels.result="failed" is ['metric.labels.result', 'failed']. */
function comparisons(filter: string): [string, string][] {
  return filter.split(' AND ').map((term) => {
    const [, path, quoted, bare] = /^([\w.]+)=(?:"([^"]+)"|(true|false))$/.exec(term) ?? [];
    if (path === undefined) throw new Error(`Unknown syntax: ${term}`);
    return [path, quoted ?? bare!];
  });
}

/** Mistakes in a filter for time series and its aggregation. */
function filterErrors(filter: string, aggregation?: Aggregation): string[] {
  const [, slo] = /^select_slo_\w+\("([^"]+)"(?:, "\d+s")?\)$/.exec(filter) ?? [];
  if (slo) return objectives.some(({ name }) => name === slo) ? [] : [`There is no ${slo}`];
  const pairs = comparisons(filter);
  const { 'metric.type': type = '', 'resource.type': resource = '' } = Object.fromEntries(pairs);
  const metric = known[type];
  if (!metric) return [`Unknown metric ${type}`];
  const names = [...pairs.map(([path]) => path), ...(aggregation?.groupByFields ?? [])];
  const labels = names.filter((name) => /\.labels?\./.test(name)).map((name) => name.replace(/\.labels?\./, '.'));
  return [
    ...(metric.resource === resource ? [] : [`${type} is not on ${resource}`]),
    ...labels.filter((label) => {
      const [kind, key = ''] = label.split('.');
      return !(kind === 'metric' ? metric.labels : RESOURCE_LABELS[resource])?.includes(key);
    }),
    ...(!aggregation || ALIGNERS[`${metric.kind} ${metric.value}`]!.test(aggregation.perSeriesAligner)
      ? []
      : [`${aggregation.perSeriesAligner} cannot align ${type}`]),
  ];
}

const charts = dashboard.mosaicLayout.tiles.flatMap(({ widget }) => widget.xyChart?.dataSets ?? []);
const thresholds = alerts.flatMap(({ conditions }) => conditions.map(({ conditionThreshold }) => conditionThreshold));

describe('deploy/observability/', () => {
  it.each([
    ['monitoring.v3', 'AlertPolicy', alerts],
    ['monitoring.v1', 'Dashboard', dashboard],
    ['monitoring.v3', 'Service', service],
    ['monitoring.v3', 'ServiceLevelObjective', objectives],
    ['monitoring.v3', 'UptimeCheckConfig', uptime],
    ['logging.v2', 'LogMetric', metrics],
    ['logging.v2', 'SavedQuery', queries],
  ] as const)('has only fields and enum values of the API: %s %s', (api, type, value) => {
    expect(typeErrors(api, type, value)).toEqual([]);
  });

  it('uses metrics, labels and aligners that exist', () => {
    const errors = [
      ...charts.flatMap(({ timeSeriesQuery: { timeSeriesFilter } }) =>
        filterErrors(timeSeriesFilter.filter, timeSeriesFilter.aggregation),
      ),
      ...thresholds.flatMap(({ filter, aggregations }) => filterErrors(filter, aggregations?.[0])),
      ...[...JSON.stringify(objectives).matchAll(/"(?:\w+Filter)":"((?:\\.|[^"\\])+)"/g)].flatMap(([, filter]) =>
        filterErrors(JSON.parse(`"${filter}"`)),
      ),
    ];
    expect(charts.length + thresholds.length).toBeGreaterThan(40);
    expect(errors).toEqual([]);
  });

  it('restricts every filter to the service', () => {
    const filters = [
      ...charts.map(({ timeSeriesQuery }) => timeSeriesQuery.timeSeriesFilter),
      ...thresholds,
      ...metrics,
    ];
    const own = /"(orders|orders-migrate|my-project:main|orders-123\.europe-west1\.run\.app)"|\/orders(\/|-)/;
    expect(filters.map(({ filter }) => filter).filter((filter) => !own.test(filter))).toEqual([]);
  });

  it('extracts each label and value of the log-based metrics', () => {
    for (const { metricDescriptor, labelExtractors = {}, valueExtractor } of metrics) {
      expect(Object.keys(labelExtractors)).toEqual((metricDescriptor.labels ?? []).map(({ key }) => key));
      expect(valueExtractor !== undefined).toBe(metricDescriptor.valueType === 'DISTRIBUTION');
    }
  });

  it('marks each resource as managed by the service', () => {
    const labeled = [
      dashboard.labels,
      service.userLabels,
      ...[...objectives, ...alerts, ...uptime].map(({ userLabels }) => userLabels),
    ];
    expect(new Set(labeled.map((labels) => labels['managed-by']))).toEqual(new Set([PLACEHOLDERS.GCP_SERVICE]));
    for (const { description } of [...metrics, ...queries]) expect(description).toMatch(new RegExp(`${MARK}$`));
  });

  it('can be read by templatefile() of Terraform: no other placeholder or directive', () => {
    for (const file of readdirSync('deploy/observability')) {
      const text = readFileSync(`deploy/observability/${file}`, 'utf8');
      expect(text.match(/\$\{(?!\w+\})|%\{/g)).toBeNull();
    }
  });
});

describe('the dashboard', () => {
  it('has tiles that fill its columns without overlap', () => {
    const { columns, tiles } = dashboard.mosaicLayout;
    const blocks = tiles.flatMap(({ xPos = 0, yPos = 0, width, height }) =>
      Array.from({ length: width * height }, (_, n) => `${xPos + (n % width)},${yPos + Math.floor(n / width)}`),
    );
    const bottom = Math.max(...tiles.map(({ yPos = 0, height }) => yPos + height));
    expect(new Set(blocks).size).toBe(blocks.length);
    expect(blocks).toHaveLength(columns * bottom);
  });

  it('shows the window of the startup probe and the alert for it', () => {
    const windowMs = container.startupProbe!.periodSeconds! * container.startupProbe!.failureThreshold! * 1_000;
    const text = JSON.stringify(dashboard);
    expect(text).toContain(`{"value":${windowMs},"label":"window of the startup probe"}`);
    expect(
      alerts.find(({ userLabels }) => userLabels.id === 'slow-start')!.conditions[0]!.conditionThreshold.thresholdValue,
    ).toBe(0.6 * windowMs);
  });
});

describe('the alert policies', () => {
  it('have one type of condition each, and unique ids', () => {
    for (const { conditions } of alerts) {
      for (const condition of conditions) {
        expect(Object.keys(condition).filter((key) => key.startsWith('condition'))).toHaveLength(1);
      }
    }
    expect(new Set(alerts.map(({ userLabels }) => userLabels.id)).size).toBe(alerts.length);
  });

  it('about burn rates also require a minimum of requests in the long window', () => {
    const burning = alerts.filter(({ userLabels }) => userLabels.id!.endsWith('-burn'));
    expect(burning).toHaveLength(4);
    for (const { combiner, conditions } of burning) {
      expect(combiner).toBe('AND');
      const [long, short, traffic] = conditions.map(({ conditionThreshold }) => conditionThreshold);
      const seconds = [long, short].map(({ filter } = long!) => Number(/"(\d+)s"\)$/.exec(filter)?.[1]));
      expect(seconds[0]).toBe(12 * seconds[1]!);
      expect(traffic!.filter).toContain('"run.googleapis.com/request_count"');
      expect(traffic!.aggregations![0]!.alignmentPeriod).toBe(`${seconds[0]}s`);
      // The uptime check sends six requests a minute from its regions. They must not suffice.
      expect(Number(traffic!.thresholdValue)).toBeGreaterThan(1.5 * 6 * (seconds[0]! / 60));
    }
  });

  it('never count a 4xx response as a failure', () => {
    const classes = [...JSON.stringify([objectives, alerts]).matchAll(/response_code_class=\\\\?"(\w+)/g)].map(
      ([, name]) => name,
    );
    expect(new Set(classes)).toEqual(new Set(['5xx']));
    expect(JSON.stringify([objectives, alerts])).not.toMatch(/response_code=|4xx/);
  });

  it.each(alerts.map((policy) => [policy.userLabels.id!, policy] as const))(
    '%s links its runbook section, the dashboard and the log query of that section',
    (id, { documentation: { content, links } }) => {
      const section = runbook.split(/^## /m).find((text) => text.startsWith(`${id}\n`));
      expect(section).toBeDefined();
      const [toRunbook, toDashboard, toLogs] = links.map(({ url }) => url);
      expect(links.map(({ displayName }) => displayName)).toEqual(['Runbook', 'Dashboard', 'Logs']);
      expect(toRunbook).toBe(`${PLACEHOLDERS.RUNBOOK_URL}#${id}`);
      expect(toDashboard).toContain(`/builder/${dashboard.name.split('/').at(-1)}?project=my-project`);
      const query = decodeURIComponent(/;query=([^;]+);duration=PT1H\?project=my-project$/.exec(toLogs!)![1]!);
      expect(section).toContain(query.replaceAll(PLACEHOLDERS.GCP_SERVICE!, 'SERVICE'));
      expect(content.length).toBeGreaterThan(40);
    },
  );

  it('are the sections of docs/runbook.md', () => {
    const sections = [...runbook.matchAll(/^## ([a-z-]+)$/gm)].map(([, id]) => id);
    expect(sections).toEqual(alerts.map(({ userLabels }) => userLabels.id));
  });

  it.each(alerts.map(({ userLabels }) => userLabels.id!))(
    '%s has meaning, first look, fix and rollback in its section',
    (id) => {
      const section = runbook.split(/^## /m).find((text) => text.startsWith(`${id}\n`))!;
      const headings = [...section.matchAll(/^\*\*(\w+(?: \w+)*)\*\*/gm)].map(([, heading]) => heading);
      expect(headings).toEqual(['Meaning', 'First look', 'Fix', 'Roll back']);
      expect(section).toMatch(/^```sh$[^]*?gcloud /m);
    },
  );
});

describe('typeErrors', () => {
  it.each([
    [{ displayNam: 'x' }, 'AlertPolicy.displayNam is unknown'],
    [{ severity: 'PAGE' }, 'AlertPolicy.severity must be one of CRITICAL, ERROR, WARNING'],
    [{ alertStrategy: { autoClose: '30m' } }, 'AlertPolicy.alertStrategy.autoClose must be a duration'],
    [{ conditions: {} }, 'AlertPolicy.conditions must be a list'],
    [{ userLabels: { id: 1 } }, 'AlertPolicy.userLabels.id must be a string'],
    [
      { conditions: [{ conditionThreshold: { thresholdvalue: 1 } }] },
      'AlertPolicy.conditions[0].conditionThreshold.thresholdvalue is unknown',
    ],
  ])('rejects %j', (policy, error) => {
    expect(typeErrors('monitoring.v3', 'AlertPolicy', policy)).toEqual([error]);
  });
});
