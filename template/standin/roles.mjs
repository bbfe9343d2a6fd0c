// The permissions of each role that commands.mjs requires. `source` is the documentation page of the role.
const PAGES = 'https://docs.cloud.google.com/iam/docs/roles-permissions';

export const ROLES = {
  'roles/owner': {
    source: 'https://docs.cloud.google.com/iam/docs/roles-overview#legacy-basic',
    permissions: ['*'],
  },
  'roles/artifactregistry.writer': {
    source: `${PAGES}/artifactregistry#artifactregistry.writer`,
    permissions: [
      'artifactregistry.dockerimages.list',
      'artifactregistry.repositories.downloadArtifacts',
      'artifactregistry.repositories.get',
      'artifactregistry.repositories.uploadArtifacts',
      'artifactregistry.tags.create',
      'artifactregistry.tags.get',
      'artifactregistry.tags.list',
      'artifactregistry.tags.update',
      'artifactregistry.versions.list',
    ],
  },
  'roles/artifactregistry.reader': {
    source: `${PAGES}/artifactregistry#artifactregistry.reader`,
    permissions: [
      'artifactregistry.dockerimages.list',
      'artifactregistry.repositories.downloadArtifacts',
      'artifactregistry.repositories.get',
      'artifactregistry.tags.get',
      'artifactregistry.tags.list',
      'artifactregistry.versions.list',
    ],
  },
  'roles/cloudbuild.builds.editor': {
    source: `${PAGES}/cloudbuild#cloudbuild.builds.editor`,
    permissions: ['cloudbuild.builds.create', 'cloudbuild.builds.get', 'resourcemanager.projects.get'],
  },
  'roles/cloudsql.client': {
    source: `${PAGES}/cloudsql#cloudsql.client`,
    permissions: ['cloudsql.instances.connect', 'cloudsql.instances.get'],
  },
  'roles/cloudsql.viewer': {
    source: `${PAGES}/cloudsql#cloudsql.viewer`,
    permissions: ['cloudsql.instances.get', 'resourcemanager.projects.get'],
  },
  'roles/iam.serviceAccountUser': {
    source: `${PAGES}/iam#iam.serviceAccountUser`,
    permissions: ['iam.serviceAccounts.actAs', 'iam.serviceAccounts.get', 'resourcemanager.projects.get'],
  },
  'roles/iam.workloadIdentityUser': {
    source: `${PAGES}/iam#iam.workloadIdentityUser`,
    permissions: [
      'iam.serviceAccounts.get',
      'iam.serviceAccounts.getAccessToken',
      'iam.serviceAccounts.getOpenIdToken',
    ],
  },
  'roles/iam.serviceAccountTokenCreator': {
    source: `${PAGES}/iam#iam.serviceAccountTokenCreator`,
    permissions: ['iam.serviceAccounts.getAccessToken', 'iam.serviceAccounts.getOpenIdToken'],
  },
  'roles/logging.admin': {
    source: `${PAGES}/logging#logging.admin`,
    permissions: [
      'logging.logEntries.list',
      ...['create', 'delete', 'list', 'update'].map((verb) => `logging.logMetrics.${verb}`),
      ...['deleteShared', 'listShared', 'share', 'updateShared'].map((verb) => `logging.queries.${verb}`),
      'resourcemanager.projects.get',
    ],
  },
  'roles/monitoring.editor': {
    source: `${PAGES}/monitoring#monitoring.editor`,
    permissions: [
      ...['alertPolicies', 'dashboards', 'notificationChannels', 'services', 'slos', 'uptimeCheckConfigs'].flatMap(
        (collection) => ['create', 'delete', 'list', 'update'].map((verb) => `monitoring.${collection}.${verb}`),
      ),
      'resourcemanager.projects.get',
    ],
  },
  'roles/logging.viewer': {
    source: `${PAGES}/logging#logging.viewer`,
    permissions: ['logging.logEntries.list', 'resourcemanager.projects.get'],
  },
  'roles/run.admin': {
    source: `${PAGES}/run#run.admin`,
    permissions: [
      'resourcemanager.projects.get',
      'run.executions.get',
      'run.executions.list',
      'run.jobs.create',
      'run.jobs.delete',
      'run.jobs.get',
      'run.jobs.getIamPolicy',
      'run.jobs.run',
      'run.jobs.setIamPolicy',
      'run.jobs.update',
      'run.operations.get',
      'run.revisions.get',
      'run.revisions.list',
      'run.routes.invoke',
      'run.services.create',
      'run.services.delete',
      'run.services.get',
      'run.services.getIamPolicy',
      'run.services.setIamPolicy',
      'run.services.update',
    ],
  },
  'roles/run.developer': {
    source: `${PAGES}/run#run.developer`,
    permissions: [
      'resourcemanager.projects.get',
      'run.executions.get',
      'run.executions.list',
      'run.jobs.create',
      'run.jobs.delete',
      'run.jobs.get',
      'run.jobs.getIamPolicy',
      'run.jobs.run',
      'run.jobs.update',
      'run.operations.get',
      'run.revisions.get',
      'run.revisions.list',
      'run.routes.invoke',
      'run.services.create',
      'run.services.delete',
      'run.services.get',
      'run.services.getIamPolicy',
      'run.services.update',
    ],
  },
  'roles/run.invoker': {
    source: `${PAGES}/run#run.invoker`,
    permissions: ['run.jobs.run', 'run.routes.invoke'],
  },
  'roles/run.viewer': {
    source: `${PAGES}/run#run.viewer`,
    permissions: [
      'resourcemanager.projects.get',
      'run.executions.get',
      'run.executions.list',
      'run.jobs.get',
      'run.jobs.getIamPolicy',
      'run.operations.get',
      'run.revisions.get',
      'run.revisions.list',
      'run.services.get',
      'run.services.getIamPolicy',
    ],
  },
  'roles/secretmanager.secretAccessor': {
    source: `${PAGES}/secretmanager#secretmanager.secretAccessor`,
    permissions: ['resourcemanager.projects.get', 'secretmanager.versions.access'],
  },
  'roles/secretmanager.viewer': {
    source: `${PAGES}/secretmanager#secretmanager.viewer`,
    permissions: [
      'resourcemanager.projects.get',
      'secretmanager.secrets.get',
      'secretmanager.secrets.getIamPolicy',
      'secretmanager.versions.list',
    ],
  },
  'roles/serviceusage.serviceUsageConsumer': {
    source: `${PAGES}/serviceusage#serviceusage.serviceUsageConsumer`,
    permissions: ['serviceusage.services.list', 'serviceusage.services.use'],
  },
  'roles/storage.legacyBucketWriter': {
    source: `${PAGES}/storage#storage.legacyBucketWriter`,
    permissions: ['storage.buckets.get', 'storage.objects.create', 'storage.objects.delete', 'storage.objects.list'],
  },
  'roles/storage.objectUser': {
    source: `${PAGES}/storage#storage.objectUser`,
    permissions: [
      'resourcemanager.projects.get',
      'storage.objects.create',
      'storage.objects.delete',
      'storage.objects.get',
      'storage.objects.list',
    ],
  },
  'roles/storage.objectViewer': {
    source: `${PAGES}/storage#storage.objectViewer`,
    permissions: ['resourcemanager.projects.get', 'storage.objects.get', 'storage.objects.list'],
  },
};
