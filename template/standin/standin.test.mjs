// Tests of the stand-in: accepted calls, permissions and error messages. The messages are gcloud's, or from public reports.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { startCloud } from './cloud.mjs';
import { COMMANDS, OTHERS } from './commands.mjs';
import { docker } from './docker.mjs';
import { gcloud, HANDLERS } from './gcloud.mjs';
import { idToken } from './permissions.mjs';
import { REST_PERMISSIONS } from './rest.mjs';
import { ROLES } from './roles.mjs';
import { addProject } from './state.mjs';
import { answer } from './traffic.mjs';

const folder = mkdtempSync(join(tmpdir(), 'standin-'));
const cloud = await startCloud();
after(async () => {
  await cloud.close();
  rmSync(folder, { recursive: true });
});

const DEPLOYER = 'orders-deploy@my-project.iam.gserviceaccount.com';
const RUNTIME = 'orders-runtime@my-project.iam.gserviceaccount.com';
const MIGRATOR = 'orders-migrate@my-project.iam.gserviceaccount.com';
const BUILDER = 'orders-build@my-project.iam.gserviceaccount.com';
const COMMIT = 'c0ffee0000000000000000000000000000000000';
const HERE = ['--region=europe-west1', '--project=my-project'];
const IMAGE = 'europe-west1-docker.pkg.dev/my-project/orders/orders';
const PROVIDER = 'projects/123/locations/global/workloadIdentityPools/orders-github/providers/github';
const ASSERTION = {
  iss: 'https://token.actions.githubusercontent.com',
  ref: 'refs/heads/main',
  repository_id: '4711',
  run_id: '1',
};

let project;
let environment;

/** A project in which the deployer has every permission of the pipeline, and an image of COMMIT. */
beforeEach(() => {
  const { state } = cloud;
  cloud.faults = {};
  Object.assign(state, { operator: 'me@example.com', projects: {}, images: {}, behaviours: {}, machines: {} });
  const apis = [
    'artifactregistry',
    'cloudbuild',
    'iam',
    'iamcredentials',
    'logging',
    'run',
    'secretmanager',
    'sqladmin',
    'storage',
    'sts',
  ];
  project = addProject(state, 'my-project', { number: '123', apis: apis.map((api) => `${api}.googleapis.com`) });
  environment = { HOME: folder, CLOUDSDK_CORE_DISABLE_PROMPTS: '1' };
  const grant = (email, ...roles) => roles.map((role) => ({ role, members: [`serviceAccount:${email}`] }));
  const signIn = [
    {
      role: 'roles/iam.workloadIdentityUser',
      members: [
        'principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/orders-github/attribute.repository_id/4711',
      ],
    },
  ];
  project.accounts = {
    [DEPLOYER]: { policy: signIn },
    [RUNTIME]: { policy: grant(DEPLOYER, 'roles/iam.serviceAccountUser') },
    [MIGRATOR]: { policy: grant(DEPLOYER, 'roles/iam.serviceAccountUser') },
    [BUILDER]: { policy: grant(DEPLOYER, 'roles/iam.serviceAccountUser') },
  };
  project.pools['orders-github'] = {
    state: 'ACTIVE',
    providers: {
      github: {
        state: 'ACTIVE',
        oidc: { issuerUri: ASSERTION.iss },
        attributeCondition: "assertion.repository_id=='4711' && assertion.ref=='refs/heads/main'",
        attributeMapping: {
          'google.subject': "'run:' + assertion.run_id",
          'attribute.repository_id': 'assertion.repository_id',
        },
      },
    },
  };
  project.repositories['europe-west1/orders'] = {
    format: 'docker',
    policy: [...grant(DEPLOYER, 'roles/artifactregistry.writer'), ...grant(BUILDER, 'roles/artifactregistry.writer')],
    packages: {},
  };
  project.secrets['orders-database-url'] = {
    policy: [...grant(DEPLOYER, 'roles/secretmanager.viewer'), ...grant(RUNTIME, 'roles/secretmanager.secretAccessor')],
    versions: { 1: { state: 'ENABLED' } },
  };
  project.instances.main = { connectionName: 'my-project:europe-west1:main' };
  project.buckets.source = {
    policy: [...grant(DEPLOYER, 'roles/storage.legacyBucketWriter'), ...grant(BUILDER, 'roles/storage.objectViewer')],
  };
  project.buckets.logs = {
    policy: [...grant(DEPLOYER, 'roles/storage.objectViewer'), ...grant(BUILDER, 'roles/storage.objectUser')],
  };
  project.policy.push(
    ...grant(
      DEPLOYER,
      'roles/run.viewer',
      'roles/logging.viewer',
      'roles/cloudbuild.builds.editor',
      'roles/serviceusage.serviceUsageConsumer',
    ),
    ...grant(RUNTIME, 'roles/cloudsql.client'),
  );
  assert.equal(
    asOperator(
      'run',
      'deploy',
      'orders',
      ...HERE,
      '--image=us-docker.pkg.dev/cloudrun/container/hello',
      `--service-account=${RUNTIME}`,
    ).status,
    0,
  );
  assert.equal(
    asOperator(
      'run',
      'jobs',
      'create',
      'orders-migrate',
      ...HERE,
      '--image=us-docker.pkg.dev/cloudrun/container/job',
      `--service-account=${MIGRATOR}`,
    ).status,
    0,
  );
  service().policy = grant(DEPLOYER, 'roles/run.developer');
  project.jobs['europe-west1/orders-migrate'].policy = grant(DEPLOYER, 'roles/run.developer');
  writeFileSync(join(folder, 'token'), JSON.stringify(ASSERTION));
  writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch');
  writeFileSync(
    join(folder, 'cloudbuild.yaml'),
    'steps: [{ name: gcr.io/cloud-builders/docker, args: [build, --file, Dockerfile, --build-arg, "COMMIT_SHA=${_COMMIT_SHA}", --tag, "${_IMAGE}", .] }]\nimages: ["${_IMAGE}"]\n',
  );
  writeFileSync(
    join(folder, 'credential.json'),
    JSON.stringify({
      audience: `//iam.googleapis.com/${PROVIDER}`,
      credential_source: { file: join(folder, 'token') },
      service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${DEPLOYER}:generateAccessToken`,
    }),
  );
});

const service = () => project.services['europe-west1/orders'];
const call = (words, more) => ({ words, cwd: folder, environment: { ...environment, ...more } });
const asOperator = (...words) => gcloud(cloud, call(words));
const asDeployer = (...words) =>
  gcloud(cloud, call(words, { CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE: join(folder, 'credential.json') }));
const dockerAsDeployer = (...words) =>
  docker(cloud, call(words, { CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE: join(folder, 'credential.json') }));
const forget = (policy, role) =>
  policy.splice(
    policy.findIndex((binding) => binding.role === role && binding.members[0].includes('-')),
    1,
  );
const digest = () => Object.keys(cloud.state.images)[0];

function pushImage() {
  for (const result of [
    asDeployer('auth', 'configure-docker', 'europe-west1-docker.pkg.dev'),
    dockerAsDeployer(
      'build',
      '--file',
      'Dockerfile',
      '--build-arg',
      `COMMIT_SHA=${COMMIT}`,
      '--tag',
      `${IMAGE}:${COMMIT}`,
      '.',
    ),
    dockerAsDeployer('push', `${IMAGE}:${COMMIT}`),
  ])
    assert.equal(result.status, 0, result.stderr);
}

function manifest({ name = 'orders-1', annotations = {}, connection = '', traffic } = {}) {
  const serving = Object.keys(service().revisions)[0];
  writeFileSync(
    join(folder, 'service.yaml'),
    JSON.stringify({
      kind: 'Service',
      metadata: { name: 'orders', annotations },
      spec: {
        template: {
          metadata: { name, annotations: { 'run.googleapis.com/cloudsql-instances': connection } },
          spec: {
            serviceAccountName: RUNTIME,
            containers: [
              {
                image: `${IMAGE}@${digest()}`,
                env: [{ name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'orders-database-url', key: '1' } } }],
              },
            ],
          },
        },
        traffic: traffic ?? [
          { revisionName: serving, percent: 100 },
          { revisionName: name, percent: 0, tag: 'candidate' },
        ],
      },
    }),
  );
  return ['run', 'services', 'replace', 'service.yaml', ...HERE];
}
const submit = (more = ['--gcs-log-dir=gs://logs']) =>
  asDeployer(
    'builds',
    'submit',
    '.',
    '--config=cloudbuild.yaml',
    ...HERE,
    `--service-account=projects/my-project/serviceAccounts/${BUILDER}`,
    '--gcs-source-staging-dir=gs://source/source',
    `--substitutions=_IMAGE=${IMAGE}:${COMMIT},_COMMIT_SHA=${COMMIT}`,
    ...more,
  );
const tagsList = () =>
  asDeployer(
    'artifacts',
    'tags',
    'list',
    '--package=orders',
    '--repository=orders',
    '--location=europe-west1',
    '--project=my-project',
  );

/** Asserts that the command fails with the message. */
function refuses({ status, stdout, stderr }, message) {
  assert.notEqual(status, 0, stdout);
  assert.match(stdout + stderr, message);
}

/** Returns the response of a service or a traffic tag. */
const at = (url, headers = {}) => answer(cloud, { host: new URL(url).host, path: '/', headers });

describe('permission data', () => {
  test('covers every command and links each permission to Google’s documentation', () => {
    assert.deepEqual(Object.keys(COMMANDS).toSorted(), Object.keys(HANDLERS).toSorted());
    for (const [permission, where, source] of Object.values({ ...COMMANDS, ...OTHERS }).flat()) {
      assert.match(permission, /^[a-z]+\.[A-Za-z]+\.[A-Za-z]+$/);
      assert.ok(where);
      assert.match(source, /^https:\/\/docs\.cloud\.google\.com\/\S+$/);
    }
  });

  test('lists only required permissions for each role', () => {
    const asked = new Set([
      ...Object.values({ ...COMMANDS, ...OTHERS }).flatMap((needs) => needs.map(([permission]) => permission)),
      ...REST_PERMISSIONS,
    ]);
    for (const [role, { source, permissions }] of Object.entries(ROLES)) {
      assert.match(source, /^https:\/\/docs\.cloud\.google\.com\/iam\//);
      for (const permission of permissions)
        assert.ok(permission === '*' || asked.has(permission), `${role}: ${permission}`);
    }
  });
});

describe('argument parser rejects', () => {
  for (const [words, message] of [
    [['run', 'servces', 'list'], /^ERROR: \(gcloud\.run\) Invalid choice: 'servces'/],
    [
      ['run', 'services', 'describe', 'orders', '--regoin=x'],
      /^ERROR: \(gcloud\.run\.services\.describe\) unrecognized arguments:\n {2}--regoin=x/,
    ],
    [['run', 'services', 'describe', 'orders', 'invoices', ...HERE], /unrecognized arguments:\n {2}invoices/],
    [['secrets', 'describe', '--project=my-project'], /argument SECRET: Must be specified/],
    [['artifacts', 'tags', 'list', '--location=x', '--repository=x'], /argument --package: Must be specified/],
    [['secrets', 'versions', 'list', 'orders-database-url'], /The required property \[project\] is not currently set/],
  ]) {
    test(words.join(' '), () => refuses(asOperator(...words), message));
  }

  test('an unsupported format and filter', () => {
    const list = ['secrets', 'versions', 'list', 'orders-database-url', '--project=my-project'];
    refuses(asOperator(...list, '--format=table(name)'), /does not support --format=table/);
    refuses(asOperator(...list, '--format=value(name.segment(1))'), /--format|does not support/);
    refuses(asOperator(...list, '--filter=state IN (ENABLED)'), /cannot read the filter/);
  });
});

describe('workload identity federation rejects', () => {
  const token = (claims) => writeFileSync(join(folder, 'token'), JSON.stringify({ ...ASSERTION, ...claims }));

  test('a token of another branch', () => {
    token({ ref: 'refs/heads/topic' });
    refuses(tagsList(), /unauthorized_client.*rejected by the attribute condition/);
  });
  test('a missing or deleted pool', () => {
    project.pools['orders-github'].state = 'DELETED';
    refuses(tagsList(), /invalid_target/);
    project.pools = {};
    refuses(tagsList(), /invalid_target/);
  });
  test('the project ID instead of the project number', () => {
    const path = join(folder, 'credential.json');
    writeFileSync(
      path,
      JSON.stringify({
        audience: `//iam.googleapis.com/${PROVIDER.replace('123', 'my-project')}`,
        credential_source: { file: join(folder, 'token') },
        service_account_impersonation_url: `x/serviceAccounts/${DEPLOYER}:generateAccessToken`,
      }),
    );
    refuses(tagsList(), /invalid_target/);
  });
  test('a principal without workloadIdentityUser', () => {
    project.accounts[DEPLOYER].policy = [];
    refuses(tagsList(), /Permission 'iam\.serviceAccounts\.getAccessToken' denied on resource \(or it may not exist\)/);
  });
  test('a sign-in while the IAM Service Account Credentials API is disabled', () => {
    project.apis = project.apis.filter((api) => api !== 'iamcredentials.googleapis.com');
    refuses(
      tagsList(),
      /IAM Service Account Credentials API has not been used in project 123 before or it is disabled/,
    );
  });
  test('a subject that is too long', () => {
    token({ run_id: 'x'.repeat(128) });
    refuses(tagsList(), /mapped attribute google\.subject exceeds the 127 bytes limit/);
  });
});

describe('Artifact Registry', () => {
  test('accepts a push and a moved tag, and denies the writer the deletion of a tag', () => {
    pushImage();
    const tag = (verb, name) =>
      asDeployer(
        'artifacts',
        'tags',
        verb,
        name,
        ...(verb === 'delete' ? [] : [`--version=${digest()}`]),
        '--package=orders',
        '--repository=orders',
        '--location=europe-west1',
        '--project=my-project',
      );
    assert.equal(tag('create', 'serving-production').status, 0);
    refuses(tag('create', 'serving-production'), /ALREADY_EXISTS/);
    assert.equal(tag('update', 'serving-production').status, 0);
    refuses(tag('delete', 'serving-production'), /Permission 'artifactregistry\.tags\.delete' denied/);
  });

  for (const [what, prepare, message, image = IMAGE] of [
    [
      'from an unauthenticated docker',
      () => (cloud.state.machines[folder].registries = []),
      /denied: Unauthenticated request\. Unauthenticated requests do not have permission "artifactregistry\.repositories\.uploadArtifacts"/,
    ],
    [
      'without permission',
      () => forget(project.repositories['europe-west1/orders'].policy, 'roles/artifactregistry.writer'),
      /denied: Permission "artifactregistry\.repositories\.uploadArtifacts" denied on resource "projects\/my-project\/locations\/europe-west1\/repositories\/orders" \(or it may not exist\)/,
    ],
    ['to a missing repository', () => (project.repositories = {}), /uploadArtifacts" denied.*\(or it may not exist\)/],
    [
      'to another region',
      () => cloud.state.machines[folder].registries.push('us-central1-docker.pkg.dev'),
      /uploadArtifacts" denied on resource "projects\/my-project\/locations\/us-central1/,
      IMAGE.replace('europe-west1', 'us-central1'),
    ],
    [
      'while the API is disabled',
      () => (project.apis = project.apis.filter((api) => !api.startsWith('artifactregistry'))),
      /Artifact Registry API has not been used in project 123/,
    ],
  ]) {
    test(`rejects a push ${what}`, () => {
      asDeployer('auth', 'configure-docker', 'europe-west1-docker.pkg.dev');
      dockerAsDeployer('build', '--file', 'Dockerfile', '--tag', `${image}:${COMMIT}`, '.');
      prepare();
      refuses(dockerAsDeployer('push', `${image}:${COMMIT}`), message);
    });
  }

  test('returns NOT_FOUND to the owner for a missing repository or package', () => {
    refuses(
      asOperator('artifacts', 'repositories', 'describe', 'other', '--location=europe-west1', '--project=my-project'),
      /NOT_FOUND/,
    );
    refuses(tagsList(), /NOT_FOUND/);
  });
});

describe('Cloud Build', () => {
  test('builds and pushes the image, and streams the log', () => {
    const { status, stdout, stderr } = submit();
    assert.equal(status, 0, stderr);
    assert.match(stdout, /Successfully tagged[^]*digest: sha256:/);
  });

  for (const [what, prepare, message] of [
    [
      'permission to use the project',
      () => forget(project.policy, 'roles/serviceusage.serviceUsageConsumer'),
      /The user is forbidden from accessing the bucket/,
    ],
    [
      'write access to the source bucket',
      () => forget(project.buckets.source.policy, 'roles/storage.legacyBucketWriter'),
      /forbidden from accessing the bucket \[source\]/,
    ],
    [
      'permission to create builds',
      () => forget(project.policy, 'roles/cloudbuild.builds.editor'),
      /PERMISSION_DENIED: The caller does not have permission/,
    ],
    [
      'permission to act as the build account',
      () => (project.accounts[BUILDER].policy = []),
      /iam\.serviceaccounts\.actAs' denied on service account orders-build/,
    ],
    [
      'read access to the log',
      () => forget(project.buckets.logs.policy, 'roles/storage.objectViewer'),
      /does not have storage\.objects\.get access to the Google Cloud Storage object/,
    ],
  ]) {
    test(`rejects a deployer without ${what}`, () => {
      prepare();
      refuses(submit(), message);
    });
  }
  for (const [what, prepare, message] of [
    [
      'cannot read its sources',
      () => forget(project.buckets.source.policy, 'roles/storage.objectViewer'),
      /could not resolve source: googleapi: Error 403: orders-build\S+ does not have storage\.objects\.get access/,
    ],
    [
      'cannot write its log',
      () => forget(project.buckets.logs.policy, 'roles/storage.objectUser'),
      /does not have storage\.objects\.create access[^]*completed with status "FAILURE"/,
    ],
    [
      'cannot push its image',
      () => project.repositories['europe-west1/orders'].policy.pop(),
      /uploadArtifacts" denied[^]*completed with status "FAILURE"/,
    ],
    [
      'requires BuildKit',
      () => writeFileSync(join(folder, 'Dockerfile'), 'RUN --mount=type=cache,target=/x true'),
      /the --mount option requires BuildKit/,
    ],
  ]) {
    test(`fails a build that ${what}`, () => {
      prepare();
      refuses(submit(), message);
    });
  }
  test('requires a log bucket or a logging option, and streams only from a bucket', () => {
    refuses(submit([]), /if 'build\.service_account' is specified, the build must either/);
    writeFileSync(
      join(folder, 'cloudbuild.yaml'),
      'options: { logging: CLOUD_LOGGING_ONLY }\nsteps: [] # ${_IMAGE} ${_COMMIT_SHA}',
    );
    refuses(submit([]), /This tool can only stream logs if you are Viewer\/Owner of the project/);
  });
});

describe('Cloud Run', () => {
  beforeEach(pushImage);

  test('serves a revision without traffic under its tag, and moves the traffic', () => {
    const { status, stderr } = asDeployer(...manifest());
    assert.equal(status, 0, stderr);
    const described = JSON.parse(asDeployer('run', 'services', 'describe', 'orders', ...HERE, '--format=json').stdout);
    const { url } = described.status.traffic.find(({ tag }) => tag === 'candidate');
    service().annotations['run.googleapis.com/invoker-iam-disabled'] = 'true';
    assert.equal(JSON.parse(at(url).body).commit, COMMIT);
    assert.match(at(described.status.url).body, /Congratulations/);
    assert.equal(
      asDeployer('run', 'services', 'update-traffic', 'orders', ...HERE, '--to-revisions=orders-1=100').status,
      0,
    );
    assert.deepEqual(service().statusTraffic, [
      { revisionName: 'orders-1', percent: 100 },
      { revisionName: 'orders-1', tag: 'candidate' },
    ]);
  });

  for (const [what, prepare, message] of [
    [
      'permission to update the service',
      () => (service().policy = []),
      /PERMISSION_DENIED: Permission 'run\.services\.update' denied on resource 'namespaces\/my-project\/services\/orders' \(or resource may not exist\)/,
    ],
    [
      'permission to act as the account',
      () => (project.accounts[RUNTIME].policy = []),
      /Permission 'iam\.serviceaccounts\.actAs' denied on service account orders-runtime@my-project\.iam\.gserviceaccount\.com \(or it may not exist\)/,
    ],
    [
      'permission to read the image',
      () => forget(project.repositories['europe-west1/orders'].policy, 'roles/artifactregistry.writer'),
      /Permission 'artifactregistry\.repositories\.downloadArtifacts' denied/,
    ],
    [
      'the enabled API',
      () => (project.apis = project.apis.filter((api) => !api.startsWith('run.'))),
      /Cloud Run Admin API has not been used in project 123 before or it is disabled/,
    ],
  ]) {
    test(`rejects a replace without ${what}`, () => {
      const words = manifest();
      prepare();
      refuses(asDeployer(...words), message);
      assert.equal(Object.keys(service().revisions).length, 1);
    });
  }

  for (const [what, prepare, message] of [
    [
      'whose account cannot read the secret',
      () => project.secrets['orders-database-url'].policy.pop(),
      /Revision 'orders-1' is not ready and cannot serve traffic\..*Permission denied on secret: projects\/123\/secrets\/orders-database-url\/versions\/1 for Revision service account orders-runtime/,
    ],
    [
      'with a disabled secret version',
      () => asOperator('secrets', 'versions', 'disable', '1', '--secret=orders-database-url', '--project=my-project'),
      /Secret projects\/123\/secrets\/orders-database-url\/versions\/1 was not found/,
    ],
    [
      'whose account cannot connect to Cloud SQL',
      () => forget(project.policy, 'roles/cloudsql.client'),
      /failed the configured startup probe checks/,
    ],
    [
      'that never listens',
      () => (cloud.state.behaviours[COMMIT] = { neverListens: 'Invalid configuration' }),
      /failed to start and listen on the port defined provided by the PORT=8080/,
    ],
    [
      'that never becomes ready',
      () => (cloud.state.behaviours[COMMIT] = { neverReady: 'Waiting for database' }),
      /failed the configured startup probe checks/,
    ],
  ]) {
    test(`does not move the traffic to a revision ${what}`, () => {
      const before = service().statusTraffic;
      const words = manifest({ connection: 'my-project:europe-west1:main' });
      prepare();
      refuses(asDeployer(...words), message);
      assert.equal(service().statusTraffic, before);
    });
  }

  test('evaluates a condition that limits an account to one Cloud SQL instance', () => {
    const binding = project.policy.find(({ role }) => role === 'roles/cloudsql.client');
    binding.condition = {
      expression:
        "resource.service == 'sqladmin.googleapis.com' && resource.name == 'projects/my-project/instances/other'",
    };
    refuses(asDeployer(...manifest({ connection: 'my-project:europe-west1:main' })), /startup probe/);
    binding.condition.expression = binding.condition.expression.replace('other', 'main');
    assert.equal(asDeployer(...manifest({ name: 'orders-2', connection: 'my-project:europe-west1:main' })).status, 0);
  });

  test('creates the revision and reports the missing permission to poll the operation', () => {
    const words = manifest();
    forget(project.policy, 'roles/run.viewer');
    refuses(asDeployer(...words), /Permission 'run\.operations\.get' denied/);
    assert.ok(service().revisions['orders-1']);
  });

  test('does not move the traffic while a tagged revision is not ready, and fails if the newest revision is not ready', () => {
    assert.equal(asDeployer(...manifest()).status, 0);
    cloud.state.behaviours[COMMIT] = { neverReady: 'Waiting for database' };
    refuses(asDeployer(...manifest({ name: 'orders-2' })), /Revision 'orders-2' is not ready/);
    const before = service().statusTraffic;
    const shift = ['run', 'services', 'update-traffic', 'orders', ...HERE, '--to-revisions=orders-1=100'];
    refuses(asDeployer(...shift), /Revision 'orders-2' is not ready/);
    assert.equal(service().statusTraffic, before);
    refuses(asDeployer(...shift, '--clear-tags'), /Revision 'orders-2' is not ready/);
    assert.deepEqual(service().statusTraffic, [{ revisionName: 'orders-1', percent: 100 }]);
  });

  test('rejects a duplicate revision name, a traffic sum other than 100 and a long tag', () => {
    const words = manifest();
    assert.equal(asDeployer(...words).status, 0);
    refuses(asDeployer(...words), /Revision named 'orders-1' with different configuration already exists/);
    const serving = Object.keys(service().revisions)[0];
    refuses(
      asDeployer(...manifest({ name: 'orders-2', traffic: [{ revisionName: serving, percent: 90 }] })),
      /Traffic targets sum to 90/,
    );
    refuses(
      asDeployer(
        ...manifest({ name: 'orders-2', traffic: [{ revisionName: serving, percent: 100, tag: 'c'.repeat(41) }] }),
      ),
      /tag/,
    );
  });

  test('resets fields missing from the manifest, and requires setIamPolicy for public access', () => {
    const OPEN = 'run.googleapis.com/invoker-iam-disabled';
    service().annotations = { [OPEN]: 'true' };
    assert.equal(asDeployer(...manifest()).status, 0);
    assert.deepEqual(service().annotations, {});
    refuses(
      asDeployer(...manifest({ name: 'orders-2', annotations: { [OPEN]: 'true' } })),
      /Permission 'run\.services\.setIamPolicy' denied/,
    );
  });

  for (const setting of ['true', 'True']) {
    test(`accepts or rejects unchanged public access (${setting})`, () => {
      const annotations = { 'run.googleapis.com/invoker-iam-disabled': setting };
      service().annotations = annotations;
      assert.equal(asDeployer(...manifest({ annotations }), '--dry-run').status, 0);
      cloud.faults.checksPublicAccess = true;
      const refusal = /Permission 'run\.services\.setIamPolicy' denied/;
      refuses(asDeployer(...manifest({ annotations }), '--dry-run'), refusal);
      refuses(asDeployer('run', 'services', 'update-traffic', 'orders', ...HERE, '--clear-tags'), refusal);
    });
  }

  test('validates a service with --dry-run, and changes nothing', () => {
    const before = structuredClone(service());
    assert.equal(asDeployer(...manifest(), '--dry-run').status, 0);
    assert.deepEqual(service(), before);
    project.accounts[RUNTIME].policy = [];
    refuses(asDeployer(...manifest(), '--dry-run'), /actAs' denied/);
  });

  test('tags a revision without moving the traffic; --set-tags removes the other tags', () => {
    assert.equal(asDeployer(...manifest()).status, 0);
    const [serving] = Object.keys(service().revisions);
    const words = ['run', 'services', 'update-traffic', 'orders', ...HERE];
    assert.equal(asDeployer(...words, '--set-tags=rollback=orders-1').status, 0);
    assert.deepEqual(service().statusTraffic, [
      { revisionName: serving, percent: 100 },
      { revisionName: 'orders-1', tag: 'rollback' },
    ]);
    refuses(asDeployer(...words, '--set-tags=rollback=orders-9'), /Revision 'orders-9' not found/);
  });

  test('starts an instance with the version of the secret that the revision has', () => {
    assert.equal(asDeployer(...manifest()).status, 0);
    service().annotations['run.googleapis.com/invoker-iam-disabled'] = 'true';
    const candidate = cloud.serviceUrl('123', 'europe-west1', 'orders', 'candidate');
    assert.equal(at(candidate).status, 200);
    project.secrets['orders-database-url'].versions[1].state = 'DISABLED';
    assert.equal(at(candidate).status, 503);
  });

  test('executes a job and logs the reason of a failure', () => {
    const job = {
      kind: 'Job',
      metadata: { name: 'orders-migrate' },
      spec: {
        template: {
          metadata: {},
          spec: {
            template: { spec: { serviceAccountName: MIGRATOR, containers: [{ image: `${IMAGE}@${digest()}` }] } },
          },
        },
      },
    };
    writeFileSync(join(folder, 'job.yaml'), JSON.stringify(job));
    const execute = () => asDeployer('run', 'jobs', 'execute', 'orders-migrate', ...HERE, '--wait');
    assert.equal(asDeployer('run', 'jobs', 'replace', 'job.yaml', ...HERE).status, 0);
    assert.equal(execute().status, 0);
    cloud.state.behaviours[COMMIT] = { migration: 'relation "vouchers" already exists' };
    refuses(execute(), /The execution failed\./);
    const { stdout } = asDeployer(
      'logging',
      'read',
      'resource.type="cloud_run_job" AND resource.labels.job_name="orders-migrate" AND timestamp>="2020-01-01T00:00:00Z"',
      '--project=my-project',
      '--limit=1',
      '--format=value(jsonPayload.message)',
    );
    assert.equal(stdout, 'relation "vouchers" already exists\n');
    Object.assign(project.jobs['europe-west1/orders-migrate'], { labels: { a: 'b' }, annotations: { c: 'd' } });
    assert.equal(asDeployer('run', 'jobs', 'replace', 'job.yaml', ...HERE).status, 0);
    const { metadata } = JSON.parse(asDeployer('run', 'jobs', 'describe', 'orders-migrate', ...HERE).stdout);
    assert.deepEqual(metadata, { name: 'orders-migrate', labels: {}, annotations: {} });
    project.accounts[MIGRATOR].policy = [];
    refuses(
      asDeployer('run', 'jobs', 'replace', 'job.yaml', ...HERE),
      /actAs' denied on service account orders-migrate/,
    );
    project.jobs['europe-west1/orders-migrate'].policy = [];
    refuses(execute(), /Permission 'run\.jobs\.run' denied on resource 'namespaces\/my-project\/jobs\/orders-migrate'/);
  });

  test('denies a caller without list permission access to secrets and logs', () => {
    forget(project.secrets['orders-database-url'].policy, 'roles/secretmanager.viewer');
    refuses(
      asDeployer('secrets', 'versions', 'list', 'orders-database-url', '--project=my-project'),
      /Permission 'secretmanager\.versions\.list' denied for resource 'projects\/my-project\/secrets\/orders-database-url' \(or it may not exist\)/,
    );
    forget(project.policy, 'roles/logging.viewer');
    refuses(
      asDeployer('logging', 'read', 'severity>=ERROR', '--project=my-project'),
      /Permission 'logging\.logEntries\.list' denied/,
    );
  });

  test('requires an ID token of an invoker, for the audience of a private service', () => {
    const url = cloud.serviceUrl('123', 'europe-west1', 'orders');
    const bearer = (...token) => ({ authorization: `Bearer ${idToken(...token)}` });
    assert.match(at(url).body, /Your client does not have permission to get URL/);
    assert.equal(at(url, bearer(DEPLOYER, 'https://elsewhere.example')).status, 403);
    assert.equal(at(url, bearer(MIGRATOR, url)).status, 403);
    assert.equal(at(url, bearer(DEPLOYER, url)).status, 200);
  });
});
