// The resources of permission checks: their names, and their messages for a missing permission.
import { projectOf } from './state.mjs';

/** By kind: the API, the collection in the state, and the full name. */
const KINDS = {
  account: { api: 'iam', collection: 'accounts', path: (name) => `serviceAccounts/${name}` },
  bucket: { api: 'storage', collection: 'buckets', path: (name) => `buckets/${name}` },
  instance: { api: 'sqladmin', collection: 'instances', path: (name) => `instances/${name}` },
  job: { api: 'run', collection: 'jobs', path: (name) => `jobs/${name.split('/')[1]}` },
  project: { api: 'cloudresourcemanager', path: () => '' },
  repository: {
    api: 'artifactregistry',
    collection: 'repositories',
    path: (name) => `locations/${name.replace('/', '/repositories/')}`,
  },
  schedule: {
    api: 'cloudscheduler',
    collection: 'schedules',
    path: (name) => `locations/${name.replace('/', '/jobs/')}`,
  },
  secret: { api: 'secretmanager', collection: 'secrets', path: (name) => `secrets/${name}` },
  service: { api: 'run', collection: 'services', path: (name) => `services/${name.split('/')[1]}` },
};

/** API names by the first part of a permission, where the two differ. */
const APIS = { cloudsql: 'sqladmin', orgpolicy: 'cloudresourcemanager', resourcemanager: 'cloudresourcemanager' };
const TITLES = {
  artifactregistry: 'Artifact Registry API',
  cloudbuild: 'Cloud Build API',
  cloudscheduler: 'Cloud Scheduler API',
  iam: 'Identity and Access Management (IAM) API',
  iamcredentials: 'IAM Service Account Credentials API',
  logging: 'Cloud Logging API',
  monitoring: 'Cloud Monitoring API',
  run: 'Cloud Run Admin API',
  secretmanager: 'Secret Manager API',
  sqladmin: 'Cloud SQL Admin API',
  sts: 'Security Token Service API',
};

/** Returns a resource by kind and name (LOCATION/NAME for a regional resource). Without `object`, it does not exist. */
export function resource(state, kind, projectId, name) {
  const project = projectOf(state, projectId);
  const { api, collection, path } = KINDS[kind];
  return {
    kind,
    name,
    project,
    projectId,
    object: kind === 'project' ? project : project?.[collection][name],
    /** The attributes of a condition. */
    service: `${api}.googleapis.com`,
    fullName: `projects/${projectId}${kind === 'project' ? '' : `/${path(name)}`}`,
  };
}

export function apiOf(permission) {
  const word = permission.split('.')[0];
  return APIS[word] ?? word;
}

export function apiIsOff(api, project) {
  const name = TITLES[api] ?? `${api}.googleapis.com`;
  return `PERMISSION_DENIED: ${name} has not been used in project ${project.number} before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/${api}.googleapis.com/overview?project=${project.number} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.`;
}

/** Returns the API's message for a missing permission. It does not reveal whether the resource exists. */
export function denial(permission, { kind, name, fullName, projectId }, caller) {
  const what = `Permission '${permission}' denied`;
  if (permission === 'iam.serviceAccounts.actAs') {
    return `PERMISSION_DENIED: Permission 'iam.serviceaccounts.actAs' denied on service account ${name} (or it may not exist).`;
  }
  switch (permission.split('.')[0]) {
    case 'artifactregistry':
      return `PERMISSION_DENIED: ${what} on resource '//artifactregistry.googleapis.com/${fullName}' (or it may not exist).`;
    case 'cloudbuild':
      return `PERMISSION_DENIED: The caller does not have permission. This command is authenticated as ${caller} which is the active account specified by the [core/account] property.`;
    case 'cloudsql':
      return 'HTTPError 403: The client is not authorized to make this request.';
    case 'resourcemanager':
      return `[${caller}] does not have permission to access projects instance [${projectId}] (or it may not exist): The caller does not have permission.`;
    case 'run':
      return `PERMISSION_DENIED: ${what} on resource '${fullName.replace('projects', 'namespaces')}' (or resource may not exist).`;
    case 'secretmanager':
      return `PERMISSION_DENIED: ${what} for resource '${fullName}' (or it may not exist).`;
    case 'storage':
      return `${caller} does not have ${permission} access to the Google Cloud Storage ${kind === 'bucket' && !permission.includes('objects') ? 'bucket' : 'object'}. Permission '${permission}' denied on resource (or it may not exist).`;
    default:
      return `PERMISSION_DENIED: ${what} on resource (or it may not exist).`;
  }
}
