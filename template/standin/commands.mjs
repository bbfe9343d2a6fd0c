// The permissions that each gcloud command requires: permission, resource (resources.mjs), documentation page. The handlers
// check the permissions of optional effects, such as the use of a service account or public access.
const REGISTRY =
  'https://docs.cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories';
const RUN = 'https://docs.cloud.google.com/run/docs/reference/iam/permissions';
const RUN_ACT_AS = 'https://docs.cloud.google.com/run/docs/configuring/services/service-identity';
const RUN_IMAGE = 'https://docs.cloud.google.com/artifact-registry/docs/integrate-cloud-run';
const RUN_EXECUTE = 'https://docs.cloud.google.com/run/docs/execute/jobs';
const RUN_ACCESS = 'https://docs.cloud.google.com/run/docs/securing/managing-access';
const IAM = 'https://docs.cloud.google.com/iam/docs/reference/rest/v1';
const CREDENTIALS = 'https://docs.cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts';
const SCHEDULER = 'https://docs.cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs';
const SECRETS = 'https://docs.cloud.google.com/secret-manager/docs/access-control';
const STORAGE = 'https://docs.cloud.google.com/storage/docs/access-control/iam-json';
const PROJECTS = 'https://docs.cloud.google.com/resource-manager/docs/access-control-proj';
const SERVICES = 'https://docs.cloud.google.com/service-usage/docs/access-control';
const BUILDS = 'https://docs.cloud.google.com/build/docs/iam-roles-permissions';
const BUILDS_SUBMIT = 'https://docs.cloud.google.com/build/docs/running-builds/submit-build-via-cli-api';
const BUILDS_ACCOUNT =
  'https://docs.cloud.google.com/build/docs/securing-builds/configure-user-specified-service-accounts';
const LOGGING = 'https://docs.cloud.google.com/logging/docs/access-control';
const SQL = 'https://docs.cloud.google.com/sql/docs/postgres/iam-permissions';
const SQL_FROM_RUN = 'https://docs.cloud.google.com/sql/docs/postgres/connect-run';
const ORGANIZATION = 'https://docs.cloud.google.com/resource-manager/docs/organization-policy/using-constraints';
const BILLING = 'https://docs.cloud.google.com/billing/docs/how-to/modify-project';

export const COMMANDS = {
  'artifacts docker images list': [
    ['artifactregistry.dockerimages.list', 'repository', `${REGISTRY}.dockerImages/list`],
  ],
  'artifacts repositories create': [['artifactregistry.repositories.create', 'project', `${REGISTRY}/create`]],
  'artifacts repositories delete': [['artifactregistry.repositories.delete', 'repository', `${REGISTRY}/delete`]],
  'artifacts repositories describe': [['artifactregistry.repositories.get', 'repository', `${REGISTRY}/get`]],
  'artifacts repositories set-cleanup-policies': [
    ['artifactregistry.repositories.update', 'repository', `${REGISTRY}/patch`],
  ],
  'artifacts repositories update': [['artifactregistry.repositories.update', 'repository', `${REGISTRY}/patch`]],
  'artifacts tags create': [['artifactregistry.tags.create', 'repository', `${REGISTRY}.packages.tags/create`]],
  'artifacts tags delete': [['artifactregistry.tags.delete', 'repository', `${REGISTRY}.packages.tags/delete`]],
  'artifacts tags list': [['artifactregistry.tags.list', 'repository', `${REGISTRY}.packages.tags/list`]],
  'artifacts tags update': [
    ['artifactregistry.tags.get', 'repository', `${REGISTRY}.packages.tags/patch`],
    ['artifactregistry.tags.update', 'repository', `${REGISTRY}.packages.tags/patch`],
  ],
  'artifacts versions list': [['artifactregistry.versions.list', 'repository', `${REGISTRY}.packages.versions/list`]],
  'auth configure-docker': [],
  'auth list': [],
  'auth print-access-token': [],
  'billing projects describe': [['resourcemanager.projects.get', 'project', BILLING]],
  'config get': [],
  'builds submit': [
    ['serviceusage.services.use', 'project', BUILDS_SUBMIT],
    ['storage.buckets.get', 'source bucket', `${STORAGE}#buckets`],
    ['storage.objects.create', 'source bucket', `${STORAGE}#objects`],
    ['cloudbuild.builds.create', 'project', BUILDS],
    ['iam.serviceAccounts.actAs', 'account', BUILDS_ACCOUNT],
    ['cloudbuild.builds.get', 'project', BUILDS],
  ],
  'iam service-accounts create': [['iam.serviceAccounts.create', 'project', `${IAM}/projects.serviceAccounts/create`]],
  'iam service-accounts delete': [['iam.serviceAccounts.delete', 'account', `${IAM}/projects.serviceAccounts/delete`]],
  'iam service-accounts describe': [['iam.serviceAccounts.get', 'account', `${IAM}/projects.serviceAccounts/get`]],
  'iam service-accounts keys list': [
    ['iam.serviceAccountKeys.list', 'account', `${IAM}/projects.serviceAccounts.keys/list`],
  ],
  'iam service-accounts update': [['iam.serviceAccounts.update', 'account', `${IAM}/projects.serviceAccounts/patch`]],
  'iam workload-identity-pools create': pools('workloadIdentityPools.create'),
  'iam workload-identity-pools delete': pools('workloadIdentityPools.delete'),
  'iam workload-identity-pools describe': pools('workloadIdentityPools.get'),
  'iam workload-identity-pools undelete': pools('workloadIdentityPools.undelete'),
  'iam workload-identity-pools update': pools('workloadIdentityPools.update'),
  'iam workload-identity-pools providers create-oidc': pools('workloadIdentityPoolProviders.create'),
  'iam workload-identity-pools providers describe': pools('workloadIdentityPoolProviders.get'),
  'iam workload-identity-pools providers undelete': pools('workloadIdentityPoolProviders.undelete'),
  'iam workload-identity-pools providers update-oidc': pools('workloadIdentityPoolProviders.update'),
  'logging read': [['logging.logEntries.list', 'project', LOGGING]],
  'projects describe': [['resourcemanager.projects.get', 'project', PROJECTS]],
  'resource-manager org-policies describe': [['orgpolicy.policy.get', 'project', ORGANIZATION]],
  'run deploy': [
    ['run.services.get', 'service', RUN],
    ['run.services.create', 'project', RUN],
    ['iam.serviceAccounts.actAs', 'runtime account', RUN_ACT_AS],
    ['artifactregistry.repositories.downloadArtifacts', 'image', RUN_IMAGE],
    ['run.services.setIamPolicy', 'service', RUN_ACCESS],
  ],
  'run jobs create': [
    ['run.jobs.create', 'project', RUN],
    ['iam.serviceAccounts.actAs', 'runtime account', RUN_ACT_AS],
    ['artifactregistry.repositories.downloadArtifacts', 'image', RUN_IMAGE],
  ],
  'run jobs delete': [['run.jobs.delete', 'job', RUN]],
  'run jobs describe': [['run.jobs.get', 'job', RUN]],
  'run jobs execute': [
    ['run.jobs.get', 'job', RUN],
    ['run.jobs.run', 'job', RUN_EXECUTE],
    ['run.executions.get', 'job', RUN],
  ],
  'run jobs executions list': [['run.executions.list', 'job', RUN]],
  'run jobs replace': [
    ['run.jobs.get', 'job', RUN],
    ['run.jobs.update', 'job', RUN],
    ['iam.serviceAccounts.actAs', 'runtime account', RUN_ACT_AS],
    ['artifactregistry.repositories.downloadArtifacts', 'image', RUN_IMAGE],
  ],
  'run revisions describe': [['run.revisions.get', 'service', RUN]],
  'run revisions list': [['run.revisions.list', 'service', RUN]],
  'run services delete': [['run.services.delete', 'service', RUN]],
  'run services describe': [['run.services.get', 'service', RUN]],
  'run services replace': [
    ['run.services.get', 'service', RUN],
    ['run.services.update', 'service', RUN],
    ['iam.serviceAccounts.actAs', 'runtime account', RUN_ACT_AS],
    ['artifactregistry.repositories.downloadArtifacts', 'image', RUN_IMAGE],
  ],
  'run services update': [
    ['run.services.get', 'service', RUN],
    ['run.services.update', 'service', RUN],
    ['run.services.setIamPolicy', 'service', RUN_ACCESS],
  ],
  'run services update-traffic': [
    ['run.services.get', 'service', RUN],
    ['run.services.update', 'service', RUN],
    ['iam.serviceAccounts.actAs', 'runtime account', RUN_ACT_AS],
  ],
  'scheduler jobs create http': [
    ['cloudscheduler.jobs.create', 'project', `${SCHEDULER}/create`],
    ['iam.serviceAccounts.actAs', 'runtime account', `${SCHEDULER}/create`],
  ],
  'scheduler jobs delete': [['cloudscheduler.jobs.delete', 'schedule', `${SCHEDULER}/delete`]],
  'scheduler jobs describe': [['cloudscheduler.jobs.get', 'schedule', `${SCHEDULER}/get`]],
  'scheduler jobs run': [['cloudscheduler.jobs.run', 'schedule', `${SCHEDULER}/run`]],
  'scheduler jobs update http': [
    ['cloudscheduler.jobs.update', 'schedule', `${SCHEDULER}/patch`],
    ['iam.serviceAccounts.actAs', 'runtime account', `${SCHEDULER}/patch`],
  ],
  'secrets create': [['secretmanager.secrets.create', 'project', SECRETS]],
  'secrets delete': [['secretmanager.secrets.delete', 'secret', SECRETS]],
  'secrets describe': [['secretmanager.secrets.get', 'secret', SECRETS]],
  'secrets update': [['secretmanager.secrets.update', 'secret', SECRETS]],
  'secrets versions access': [['secretmanager.versions.access', 'secret', SECRETS]],
  'secrets versions add': [['secretmanager.versions.add', 'secret', SECRETS]],
  'secrets versions disable': [['secretmanager.versions.disable', 'secret', SECRETS]],
  'secrets versions list': [['secretmanager.versions.list', 'secret', SECRETS]],
  'services enable': [['serviceusage.services.enable', 'project', SERVICES]],
  'services list': [['serviceusage.services.list', 'project', SERVICES]],
  'sql databases create': [['cloudsql.databases.create', 'instance', SQL]],
  'sql databases describe': [['cloudsql.databases.get', 'instance', SQL]],
  'sql instances create': [['cloudsql.instances.create', 'project', SQL]],
  'sql instances delete': [['cloudsql.instances.delete', 'instance', SQL]],
  'sql instances describe': [['cloudsql.instances.get', 'instance', SQL]],
  'sql instances patch': [['cloudsql.instances.update', 'instance', SQL]],
  'sql users set-password': [['cloudsql.users.update', 'instance', SQL]],
  'storage buckets create': [['storage.buckets.create', 'project', `${STORAGE}#buckets`]],
  'storage buckets describe': [['storage.buckets.get', 'bucket', `${STORAGE}#buckets`]],
  'storage buckets list': [['storage.buckets.list', 'project', `${STORAGE}#buckets`]],
  'storage buckets update': [['storage.buckets.update', 'bucket', `${STORAGE}#buckets`]],
  'storage rm': [
    ['storage.objects.list', 'bucket', `${STORAGE}#objects`],
    ['storage.objects.delete', 'bucket', `${STORAGE}#objects`],
    ['storage.buckets.delete', 'bucket', `${STORAGE}#buckets`],
  ],
  ...policies('artifacts repositories', 'repository', 'artifactregistry.repositories', `${REGISTRY}/setIamPolicy`),
  ...policies('iam service-accounts', 'account', 'iam.serviceAccounts', `${IAM}/projects.serviceAccounts/setIamPolicy`),
  ...policies('projects', 'project', 'resourcemanager.projects', PROJECTS),
  ...policies('run jobs', 'job', 'run.jobs', RUN_ACCESS),
  ...policies('run services', 'service', 'run.services', RUN_ACCESS),
  ...policies('secrets', 'secret', 'secretmanager.secrets', SECRETS),
  ...policies('storage buckets', 'bucket', 'storage.buckets', `${STORAGE}#buckets`),
  version: [],
};

/** Permissions that other callers require: docker, workflows that sign in, revisions, jobs, and clients of a service. */
export const OTHERS = {
  // Operations belong to the project. For a job, gcloud polls the execution.
  'waiting for a service': [['run.operations.get', 'project', RUN]],
  'opening a service to everybody': [['run.services.setIamPolicy', 'service', RUN_ACCESS]],
  'the log of a build': [['storage.objects.get', 'log bucket', `${STORAGE}#objects`]],
  'docker push': [
    [
      'artifactregistry.repositories.uploadArtifacts',
      'repository',
      'https://docs.cloud.google.com/artifact-registry/docs/docker/pushing-and-pulling',
    ],
  ],
  'an access token': [['iam.serviceAccounts.getAccessToken', 'account', `${CREDENTIALS}/generateAccessToken`]],
  'an ID token': [['iam.serviceAccounts.getOpenIdToken', 'account', `${CREDENTIALS}/generateIdToken`]],
  'a build': [
    ['storage.objects.get', 'source bucket', BUILDS_ACCOUNT],
    ['storage.objects.create', 'log bucket', BUILDS_ACCOUNT],
  ],
  'a revision or an execution': [
    ['secretmanager.versions.access', 'secret', 'https://docs.cloud.google.com/run/docs/configuring/services/secrets'],
    ['cloudsql.instances.connect', 'instance', SQL_FROM_RUN],
  ],
  'an execution by Cloud Scheduler': [['run.jobs.run', 'job', RUN_EXECUTE]],
  'a call': [
    ['run.routes.invoke', 'service', 'https://docs.cloud.google.com/run/docs/authenticating/service-to-service'],
  ],
};

function pools(permission) {
  const [collection, method] = permission.split('.');
  const under = collection === 'workloadIdentityPools' ? collection : `workloadIdentityPools.providers`;
  return [
    [`iam.${permission}`, 'project', `${IAM}/projects.locations.${under}/${method === 'update' ? 'patch' : method}`],
  ];
}

function policies(group, on, collection, source) {
  const get = [`${collection}.getIamPolicy`, on, source];
  const set = [`${collection}.setIamPolicy`, on, source];
  return {
    [`${group} add-iam-policy-binding`]: [get, set],
    [`${group} get-iam-policy`]: [get],
    [`${group} remove-iam-policy-binding`]: [get, set],
  };
}
