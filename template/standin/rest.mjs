// The REST APIs that deploy/observability.sh calls: Cloud Monitoring, log-based metrics, saved queries and
// testIamPermissions. They validate each message with the types of the discovery documents.
import { typeErrors } from '../../test/support/observability.ts';
import { accountOfToken, allows, authorize } from './permissions.mjs';
import { Refusal } from './refusal.mjs';
import { resource } from './resources.mjs';
import { unique } from './state.mjs';

const MONITORING = 'https://cloud.google.com/monitoring/api/ref_v3/rest/v3';
const LOGGING = 'https://cloud.google.com/logging/docs/reference/v2/rest/v2';

/** By the last word of the collection's path. `id` is the query parameter of the id; without it, the API assigns one. */
const COLLECTIONS = {
  alertPolicies: {
    type: 'AlertPolicy',
    permissions: 'monitoring.alertPolicies',
    source: `${MONITORING}/projects.alertPolicies`,
  },
  dashboards: {
    api: 'monitoring.v1',
    type: 'Dashboard',
    permissions: 'monitoring.dashboards',
    id: 'name',
    source: 'https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards',
  },
  metrics: {
    api: 'logging.v2',
    type: 'LogMetric',
    permissions: 'logging.logMetrics',
    id: 'name',
    source: `${LOGGING}/projects.metrics`,
  },
  notificationChannels: {
    type: 'NotificationChannel',
    permissions: 'monitoring.notificationChannels',
    source: `${MONITORING}/projects.notificationChannels`,
  },
  savedQueries: {
    api: 'logging.v2',
    type: 'SavedQuery',
    permissions: 'logging.queries',
    id: 'savedQueryId',
    source: `${LOGGING}/projects.locations.savedQueries`,
  },
  serviceLevelObjectives: {
    type: 'ServiceLevelObjective',
    permissions: 'monitoring.slos',
    id: 'serviceLevelObjectiveId',
    source: `${MONITORING}/services.serviceLevelObjectives`,
  },
  services: {
    type: 'Service',
    permissions: 'monitoring.services',
    id: 'serviceId',
    source: `${MONITORING}/services`,
  },
  uptimeCheckConfigs: {
    type: 'UptimeCheckConfig',
    permissions: 'monitoring.uptimeCheckConfigs',
    source: `${MONITORING}/projects.uptimeCheckConfigs`,
  },
};
const VERBS = { DELETE: 'delete', GET: 'list', PATCH: 'update', POST: 'create', PUT: 'update' };
/** https://cloud.google.com/logging/docs/view/building-queries#expandable-3 */
const SHARED_QUERIES = { create: 'share', delete: 'deleteShared', list: 'listShared', update: 'updateShared' };

/** The permissions that the methods of all collections require. */
export const REST_PERMISSIONS = Object.keys(COLLECTIONS).flatMap((kind) =>
  Object.values(VERBS).map((verb) => permissionFor(kind, verb)),
);

function permissionFor(kind, verb) {
  return `${COLLECTIONS[kind].permissions}.${kind === 'savedQueries' ? SHARED_QUERIES[verb] : verb}`;
}

/** Pages are shorter than requested, as the APIs allow. */
const PAGE_SIZE = 3;
const CODES = {
  ABORTED: 409,
  ALREADY_EXISTS: 409,
  INTERNAL: 500,
  INVALID_ARGUMENT: 400,
  NOT_FOUND: 404,
  PERMISSION_DENIED: 403,
  UNAUTHENTICATED: 401,
};

/** @returns {{ status: number, result: object }} */
export function rest(cloud, { words: [method, url], body, authorization }) {
  try {
    return { status: 200, result: handle(cloud, method, new URL(url, 'http://api'), body, authorization) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const [, status, message] = /^([A-Z_]+): ([^]*)$/.exec(error.message);
    return { status: CODES[status], result: { error: { code: CODES[status], message, status } } };
  }
}

function handle(cloud, method, url, body, authorization) {
  const { state } = cloud;
  const caller = accountOfToken(authorization);
  if (!caller) throw new Refusal('UNAUTHENTICATED: Request had invalid authentication credentials.');
  const [, version, projectId, path] = /^\/(v\d)\/projects\/([^/:]+)[/:](.+)$/.exec(url.pathname);
  const project = resource(state, 'project', projectId);
  if (path === 'testIamPermissions') {
    return { permissions: JSON.parse(body).permissions.filter((permission) => allows(caller, permission, project)) };
  }
  const parts = path.split('/');
  // A collection has an odd number of parts. v2/projects/P/locations/global/savedQueries is one, too.
  const collectionPath = (parts.length % 2 === 1 ? parts : parts.slice(0, -1)).join('/');
  const kind = collectionPath.split('/').at(-1);
  const collection = COLLECTIONS[kind];
  if (!collection) throw new Refusal(`INVALID_ARGUMENT: The stand-in does not support ${url.pathname}`);
  authorize(caller, permissionFor(kind, VERBS[method]), project);

  const { rest: all } = project.object;
  const parent = parts.slice(0, 2).join('/');
  if (kind === 'serviceLevelObjectives' && !all.services?.[parts[1]]) throw notFound(parent);
  const found = (all[collectionPath] ??= {});
  const context = { cloud, project: project.object, all, found, kind, collection, version, collectionPath };
  if (method === 'GET') return page(found, kind, url.searchParams);
  const id = parts.length % 2 === 0 ? parts.at(-1) : undefined;
  const result = change(context, method, id, body && JSON.parse(body), url.searchParams);
  if (cloud.interrupts([method, url.pathname, body])) throw new Refusal('INTERNAL: connection reset');
  return result;
}

function page(found, kind, query) {
  if (kind === 'savedQueries' && query.get('filter') !== 'visibility = SHARED') return {};
  const all = Object.values(found);
  const start = Number(query.get('pageToken') ?? 0);
  const end = start + PAGE_SIZE;
  return {
    ...(all.length > 0 && { [kind]: all.slice(start, end) }),
    ...(end < all.length && { nextPageToken: String(end) }),
  };
}

function change(context, method, id, message, query) {
  const { found, kind, collection } = context;
  if (method === 'DELETE') {
    if (!found[id]) throw notFound(id);
    const users = Object.values(context.all.alertPolicies ?? {}).filter(({ notificationChannels = [] }) =>
      notificationChannels.includes(found[id].name),
    );
    if (kind === 'notificationChannels' && users.length > 0 && query.get('force') !== 'true') {
      throw new Refusal('INVALID_ARGUMENT: The notification channel is referenced by alerting policies.');
    }
    for (const user of users) {
      user.notificationChannels = user.notificationChannels.filter((name) => name !== found[id].name);
    }
    delete found[id];
    return {};
  }
  const errors = typeErrors(collection.api ?? 'monitoring.v3', collection.type, message);
  if (errors.length > 0) throw new Refusal(`INVALID_ARGUMENT: Invalid JSON payload received. ${errors.join('; ')}`);
  if (method === 'POST') {
    const created =
      collection.id === 'name'
        ? message.name.split('/').at(-1)
        : (query.get(collection.id) ?? unique(context.cloud.state));
    if (found[created]) throw new Refusal(`ALREADY_EXISTS: ${kind} ${created} already exists.`);
    return store(context, created, message);
  }
  if (method === 'PATCH') {
    if (!found[id]) throw notFound(id);
    if (kind === 'savedQueries' && query.get('updateMask') !== '*') {
      throw new Refusal('INVALID_ARGUMENT: update_mask is required.');
    }
    if (kind === 'dashboards' && message.etag !== found[id].etag) {
      throw new Refusal('ABORTED: The etag provided does not match the current one.');
    }
  }
  return store(context, id, message);
}

function store(context, id, message) {
  const { cloud, project, found, kind, collectionPath } = context;
  for (const name of message.notificationChannels ?? []) {
    if (!context.all.notificationChannels?.[name.split('/').at(-1)]) throw notFound(name);
  }
  for (const { conditionThreshold } of message.conditions ?? []) {
    const [, objective] = /\/services\/([^"]+)"/.exec(conditionThreshold.filter) ?? [];
    const [service, , slo] = objective?.split('/') ?? [];
    if (objective && !context.all[`services/${service}/serviceLevelObjectives`]?.[slo]) throw notFound(objective);
  }
  // Dashboards have the number of the project.
  const name = `projects/${kind === 'dashboards' ? project.number : project.id}/${collectionPath}/${id}`;
  found[id] = {
    ...asReturned(message),
    name: kind === 'metrics' ? id : name,
    ...(kind === 'dashboards' && { etag: unique(cloud.state) }),
    ...(kind === 'alertPolicies' && { enabled: true }),
  };
  if (kind === 'uptimeCheckConfigs') {
    const agent = `service-${project.number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com`;
    if (!project.accounts[agent]) cloud.makeYoung(agent);
    project.accounts[agent] ??= { policy: [] };
  }
  return found[id];
}

/** Zeros are the defaults of Protocol Buffers, which JSON omits. A number in a string becomes a number. */
function asReturned(value, key) {
  if (Array.isArray(value)) return value.map((item) => asReturned(item));
  if (typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value)
        .map(([name, item]) => [name, asReturned(item, name)])
        .filter(([, item]) => item !== 0 && item !== false && item !== ''),
    );
  }
  return key === 'thresholdValue' ? Number(value) : value;
}

const notFound = (name) => new Refusal(`NOT_FOUND: Could not find ${name}.`);
