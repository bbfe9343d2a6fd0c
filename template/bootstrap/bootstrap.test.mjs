// Runs deploy/bootstrap.sh and deploy/teardown.sh against the stand-in. BASH_UNDER_TEST selects another shell, such as
// bash 3.2.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { startCloud } from '../standin/cloud.mjs';
import { addProject } from '../standin/state.mjs';
import { fillBin, runScript } from '../standin/workbench.mjs';

/** The tools that the scripts need in addition to gcloud and gh. */
const TOOLS = ['basename', 'cat', 'dirname', 'grep', 'mktemp', 'rm', 'sed', 'tail', 'tr'];
const OPTIONS = ['--project', 'my-project', '--region', 'europe-west1', '--repo', 'acme/orders'];
const SQL = ['--cloud-sql', 'main'];
const BUILD = ['--with-cloud-build'];
const urlOf = (role, password) => `postgresql://orders_${role}:${password}@db.example/orders`;
const RUNTIME_URL = urlOf('runtime', 'first-secret');
const MIGRATOR_URL = urlOf('migrator', 'second-secret');

const account = (name) => `serviceAccount:orders-${name}@my-project.iam.gserviceaccount.com`;
const ONLY_MAIN = `expression=resource.service == 'sqladmin.googleapis.com' && resource.name == 'projects/my-project/instances/main',title=main`;

/** Grants: resource, role, member. */
const GRANTS = [
  `iam-service-accounts/orders-deploy roles/iam.workloadIdentityUser principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/orders-github/attribute.repository_id/4711`,
  `artifacts-repositories/orders roles/artifactregistry.writer ${account('deploy')}`,
  `run-services/orders roles/run.developer ${account('deploy')}`,
  `run-jobs/orders-migrate roles/run.developer ${account('deploy')}`,
  `iam-service-accounts/orders-runtime roles/iam.serviceAccountUser ${account('deploy')}`,
  `iam-service-accounts/orders-migrate roles/iam.serviceAccountUser ${account('deploy')}`,
  `secrets/orders-database-url roles/secretmanager.viewer ${account('deploy')}`,
  `secrets/orders-migrator-database-url roles/secretmanager.viewer ${account('deploy')}`,
  `secrets/orders-database-url roles/secretmanager.secretAccessor ${account('runtime')}`,
  `secrets/orders-migrator-database-url roles/secretmanager.secretAccessor ${account('migrate')}`,
  `projects/my-project roles/run.viewer ${account('deploy')}`,
  `projects/my-project roles/logging.viewer ${account('deploy')}`,
];
const SQL_GRANTS = [
  `projects/my-project roles/cloudsql.client ${account('runtime')} ${ONLY_MAIN}`,
  `projects/my-project roles/cloudsql.client ${account('migrate')} ${ONLY_MAIN}`,
];
const BUILD_GRANTS = [
  `projects/my-project roles/cloudbuild.builds.editor ${account('deploy')}`,
  `projects/my-project roles/serviceusage.serviceUsageConsumer ${account('deploy')}`,
  `iam-service-accounts/orders-build roles/iam.serviceAccountUser ${account('deploy')}`,
  `storage-buckets/my-project-orders-source roles/storage.legacyBucketWriter ${account('deploy')}`,
  `storage-buckets/my-project-orders-logs roles/storage.objectViewer ${account('deploy')}`,
  `storage-buckets/my-project-orders-source roles/storage.objectViewer ${account('build')}`,
  `storage-buckets/my-project-orders-logs roles/storage.objectUser ${account('build')}`,
  `artifacts-repositories/orders roles/artifactregistry.writer ${account('build')}`,
];

const root = mkdtempSync(join(tmpdir(), 'bootstrap-'));
const bin = join(root, 'bin');
mkdirSync(bin);
fillBin(bin, TOOLS);
after(() => rmSync(root, { recursive: true }));

let cloud;
let project;
let github;
let folder;
beforeEach(begin);
afterEach(async () => {
  // A real one would ask, and wait.
  for (const { program, environment } of cloud.calls.filter((call) => call.program === 'gcloud')) {
    assert.equal(environment.CLOUDSDK_CORE_DISABLE_PROMPTS, '1', program);
    assert.equal(environment.CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API, 'false', program);
  }
  await cloud.close();
});

async function begin() {
  folder = mkdtempSync(join(root, 'files-'));
  writeFileSync(join(folder, 'runtime-url'), `${RUNTIME_URL}\n`);
  writeFileSync(join(folder, 'migrator-url'), MIGRATOR_URL);
  cloud = await startCloud();
  cloud.faults = { youth: 'first', warns: true };
  project = addProject(cloud.state, 'my-project', { number: '123', apis: ['sqladmin.googleapis.com'] });
  project.instances.main = instance('POSTGRES_18', 'db-custom-1-3840');
  github = { id: '4711', ownerId: '815', isAdministered: true, variables: {} };
  cloud.state.github['acme/orders'] = github;
}

const instance = (databaseVersion, tier, databaseFlags) => ({
  connectionName: 'my-project:europe-west1:main',
  databaseVersion,
  settings: { tier, databaseFlags },
});
const sorted = (list) => list.toSorted((a, b) => (a < b ? -1 : 1));
const calls = () =>
  cloud.calls
    .filter(({ program }) => program !== 'sleep')
    .map(({ program, words }) => [...(program === 'gh' ? ['gh'] : []), ...words].join(' '));
const sleeps = () => cloud.calls.filter(({ program }) => program === 'sleep');
const conditionOf = () => project.pools['orders-github'].providers.github.attributeCondition;
const access = () => project.services['europe-west1/orders'].annotations['run.googleapis.com/invoker-iam-disabled'];
const valueOf = (secret) => project.secrets[secret].versions[1].value;

/** Resources by kind and name. */
const collections = () => ({
  'artifacts-repositories': project.repositories,
  'iam-service-accounts': project.accounts,
  'run-jobs': project.jobs,
  'run-services': project.services,
  secrets: project.secrets,
  'storage-buckets': project.buckets,
});
const nameOf = (key) => key.split('/').at(-1).split('@')[0];
const things = () => {
  const found = Object.entries(collections()).flatMap(([kind, all]) =>
    Object.keys(all).map((key) => `${kind}/${nameOf(key)}`),
  );
  for (const [pool, { state, providers }] of Object.entries(project.pools)) {
    found.push(`pools/${pool} ${state}`);
    for (const [name, provider] of Object.entries(providers)) found.push(`pools/${pool}/${name} ${provider.state}`);
  }
  return sorted(found);
};
const grantsOn = (name, policy) =>
  policy.flatMap(({ role, members, condition }) =>
    members.map(
      (member) =>
        `${name} ${role} ${member}${condition ? ` expression=${condition.expression},title=${condition.title}` : ''}`,
    ),
  );
/** All grants except the owner's. */
const grants = () =>
  sorted([
    ...grantsOn('projects/my-project', project.policy).filter((grant) => !grant.includes('roles/owner')),
    ...Object.entries(collections()).flatMap(([kind, found]) =>
      Object.entries(found).flatMap(([key, { policy }]) => grantsOn(`${kind}/${nameOf(key)}`, policy)),
    ),
  ]);
const whole = () => [things(), grants(), sorted(project.apis)];
const changes = (list = calls()) =>
  list.filter((call) => !/ (describe|list|get-iam-policy) ?/.test(call) && !call.startsWith('gh api'));

const run = (script, args, { path = bin } = {}) =>
  runScript(join(bin, 'bash'), [`deploy/${script}.sh`, ...args], {
    env: { PATH: path, STANDIN: cloud.url, HOME: folder },
  });
const urls = () => [
  '--database-url-file',
  join(folder, 'runtime-url'),
  '--migrator-url-file',
  join(folder, 'migrator-url'),
];
const bootstrap = (args = [], env) => run('bootstrap', [...OPTIONS, ...args], env);
const teardown = (args = []) => run('teardown', [...OPTIONS, '--yes', ...args]);

async function succeeds(running) {
  const result = await running;
  assert.equal(result.status, 0, result.output);
  return result;
}
/** Fails with one line: the problem and the fix. */
async function fails(running, message) {
  const result = await running;
  assert.notEqual(result.status, 0, result.output);
  assert.match(result.stderr, message);
  assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
  return result;
}

/** Repeats the command until it is no longer interrupted. @returns {Promise<number>} the number of interruptions */
async function interruptions(attempt) {
  for (let count = 0; ; count++) {
    const result = await attempt();
    if (result.status === 0) return count;
    await fails(result, /connection reset/);
  }
}

describe('the first run', () => {
  test('creates the resources and grants of the pipeline', async () => {
    const { stdout } = await succeeds(bootstrap(urls()));
    assert.deepEqual(things(), [
      'artifacts-repositories/orders',
      'iam-service-accounts/orders-deploy',
      'iam-service-accounts/orders-migrate',
      'iam-service-accounts/orders-runtime',
      'pools/orders-github ACTIVE',
      'pools/orders-github/github ACTIVE',
      'run-jobs/orders-migrate',
      'run-services/orders',
      'secrets/orders-database-url',
      'secrets/orders-migrator-database-url',
    ]);
    assert.deepEqual(grants(), sorted(GRANTS));
    assert.deepEqual(sorted(project.apis), [
      'artifactregistry.googleapis.com',
      'iam.googleapis.com',
      'iamcredentials.googleapis.com',
      'logging.googleapis.com',
      'run.googleapis.com',
      'secretmanager.googleapis.com',
      'sqladmin.googleapis.com',
      'sts.googleapis.com',
    ]);
    assert.match(stdout, /^\(1\/12\) APIs: /m);
    assert.match(stdout, /^\(12\/12\) GitHub: /m);
  });

  test('trusts two manually started workflows on main of one repository', async () => {
    await succeeds(bootstrap(urls()));
    assert.equal(
      conditionOf(),
      [
        `assertion.repository_id=='4711'`,
        `assertion.repository_owner_id=='815'`,
        `assertion.ref=='refs/heads/main'`,
        `assertion.event_name=='workflow_dispatch'`,
        `(assertion.workflow_ref.endsWith('/.github/workflows/deploy.yml@refs/heads/main') || assertion.workflow_ref.endsWith('/.github/workflows/rollback.yml@refs/heads/main'))`,
      ].join(' && '),
    );
  });

  test('runs the expected commands', async () => {
    await succeeds(bootstrap([...urls(), ...SQL, ...BUILD]));
    const there = '--location=europe-west1 --project=my-project';
    const onRun = '--region=europe-west1 --project=my-project';
    const bucket = `--project=my-project --location=europe-west1 --uniform-bucket-level-access --public-access-prevention --lifecycle-file=deploy/bucket-lifecycle.json`;
    assert.deepEqual(
      changes().filter((call) => !call.includes(' add-iam-policy-binding ')),
      [
        'services enable run.googleapis.com artifactregistry.googleapis.com iam.googleapis.com iamcredentials.googleapis.com sts.googleapis.com secretmanager.googleapis.com logging.googleapis.com cloudbuild.googleapis.com storage.googleapis.com --project=my-project',
        `artifacts repositories create orders ${there} --repository-format=docker --description=Images of orders`,
        `artifacts repositories set-cleanup-policies orders ${there} --policy=deploy/cleanup-policy.json --no-dry-run`,
        'iam service-accounts create orders-deploy --project=my-project --display-name=Deploys orders from GitHub',
        'iam service-accounts create orders-runtime --project=my-project --display-name=orders',
        'iam service-accounts create orders-migrate --project=my-project --display-name=Migrations of orders',
        'iam workload-identity-pools create orders-github --location=global --project=my-project --display-name=GitHub Actions',
        `iam workload-identity-pools providers create-oidc github --workload-identity-pool=orders-github --location=global --project=my-project --issuer-uri=https://token.actions.githubusercontent.com --attribute-mapping=google.subject='run:' + assertion.run_id,attribute.repository_id=assertion.repository_id --attribute-condition=${conditionOf()}`,
        'secrets create orders-database-url --project=my-project --replication-policy=automatic',
        'secrets create orders-migrator-database-url --project=my-project --replication-policy=automatic',
        `run deploy orders ${onRun} --image=us-docker.pkg.dev/cloudrun/container/hello --service-account=orders-runtime@my-project.iam.gserviceaccount.com --max-instances=1 --no-invoker-iam-check`,
        `run jobs create orders-migrate ${onRun} --image=us-docker.pkg.dev/cloudrun/container/job --service-account=orders-migrate@my-project.iam.gserviceaccount.com`,
        'iam service-accounts create orders-build --project=my-project --display-name=Builds of orders',
        `storage buckets create gs://my-project-orders-source ${bucket}`,
        `storage buckets create gs://my-project-orders-logs ${bucket}`,
        'secrets versions add orders-database-url --project=my-project --data-file=-',
        'secrets versions add orders-migrator-database-url --project=my-project --data-file=-',
      ],
    );
  });

  test('with --private requires authenticated callers and adds no grant', async () => {
    await succeeds(bootstrap([...urls(), '--private']));
    assert.match(
      calls().find((call) => call.startsWith('run deploy')),
      / --invoker-iam-check --no-allow-unauthenticated$/,
    );
    assert.deepEqual(grants(), sorted(GRANTS));
  });

  test('with --cloud-sql grants access to one instance', async () => {
    const { stdout } = await succeeds(bootstrap([...urls(), ...SQL]));
    assert.deepEqual(grants(), sorted([...GRANTS, ...SQL_GRANTS]));
    assert.match(stdout, /^ {2}GCP_CLOUD_SQL_INSTANCE=my-project:europe-west1:main$/m);
  });

  test('with --with-cloud-build creates the build account and buckets', async () => {
    const { stdout } = await succeeds(bootstrap([...urls(), ...BUILD]));
    assert.deepEqual(grants(), sorted([...GRANTS, ...BUILD_GRANTS]));
    assert.deepEqual(
      things().filter((thing) => /buckets|build/.test(thing)),
      [
        'iam-service-accounts/orders-build',
        'storage-buckets/my-project-orders-logs',
        'storage-buckets/my-project-orders-source',
      ],
    );
    assert.match(
      stdout,
      /^ {2}GCP_BUILD_ACCOUNT=orders-build@.*\n {2}GCP_BUILD_BUCKET=my-project-orders-source\n {2}GCP_BUILD_LOG_BUCKET=my-project-orders-logs$/m,
    );
  });

  test('prints the repository variables', async () => {
    const { stdout } = await succeeds(bootstrap(urls()));
    assert.deepEqual(stdout.match(/^ {2}GCP_.*$/gm), [
      '  GCP_PROJECT_ID=my-project',
      '  GCP_REGION=europe-west1',
      '  GCP_SERVICE=orders',
      '  GCP_ARTIFACT_REPOSITORY=orders',
      '  GCP_WIF_PROVIDER=projects/123/locations/global/workloadIdentityPools/orders-github/providers/github',
      '  GCP_DEPLOY_SERVICE_ACCOUNT=orders-deploy@my-project.iam.gserviceaccount.com',
      '  GCP_RUNTIME_ACCOUNT=orders-runtime@my-project.iam.gserviceaccount.com',
      '  GCP_MIGRATOR_ACCOUNT=orders-migrate@my-project.iam.gserviceaccount.com',
    ]);
  });

  test('with --set-vars sets the variables, with the prefix of the environment', async () => {
    const { stdout } = await succeeds(bootstrap([...urls(), '--set-vars', '--environment', 'pre-prod']));
    assert.doesNotMatch(stdout, /GCP_/);
    const { variables } = github;
    assert.equal(Object.keys(variables).length, 8);
    assert.equal(variables.PRE_PROD_GCP_SERVICE, 'orders-pre-prod');
  });

  test('accepts the repository IDs as options, without gh', async () => {
    cloud.state.github = null;
    await succeeds(bootstrap([...urls(), '--repo-id', '42', '--owner-id', '43']));
    assert.match(conditionOf(), /repository_id=='42' && assertion.repository_owner_id=='43'/);
  });

  test('waits until new resources have propagated', async () => {
    const { stdout } = await succeeds(bootstrap(urls()));
    assert.match(stdout, /waiting for the change to propagate/);
    assert.ok(sleeps().length > 0);
  });

  test('stops waiting after 30 attempts', async () => {
    cloud.faults.youth = 'eternal';
    await fails(bootstrap(urls()), /Identity Pool does not exist/);
    assert.equal(sleeps().length, 30);
  });
});

describe('secrets', () => {
  test('appear in no argument and no output, and have no trailing line break', async () => {
    const { output } = await succeeds(bootstrap(urls()));
    for (const text of [output, ...calls()]) assert.doesNotMatch(text, /-secret@/);
    assert.equal(valueOf('orders-database-url'), RUNTIME_URL);
    assert.equal(valueOf('orders-migrator-database-url'), MIGRATOR_URL);
  });

  test('without a value stay empty until a later run adds one', async () => {
    const { stdout } = await succeeds(bootstrap());
    assert.match(stdout, /orders-database-url stays empty. Before the first deployment: gcloud secrets versions add/);
    assert.match(
      stdout,
      /Add a value to these secrets before the first deployment: orders-database-url orders-migrator-database-url\nDone/,
    );
    assert.deepEqual(project.secrets['orders-database-url'].versions, {});
    await succeeds(bootstrap(urls()));
    assert.equal(valueOf('orders-database-url'), RUNTIME_URL);
  });

  test('are rejected when one is not a URL, or when both are the same', async () => {
    writeFileSync(join(folder, 'runtime-url'), 'hunter2');
    const result = await fails(bootstrap(urls()), /runtime-url has no database URL: postgresql:/);
    assert.doesNotMatch(result.output, /hunter2/);
    writeFileSync(join(folder, 'runtime-url'), MIGRATOR_URL);
    await fails(bootstrap(urls()), /Both database URLs are the same/);
    assert.deepEqual(changes(), []);
  });

  test('are rejected as arguments without printing them', async () => {
    const result = await fails(
      bootstrap([`--database-url=${urlOf('runtime', 'hunter2')}`]),
      /Unknown option --database-url\./,
    );
    assert.doesNotMatch(result.output, /hunter2/);
  });
});

describe('a second run', () => {
  test('creates and enables nothing', async () => {
    const all = [...urls(), ...SQL, ...BUILD, '--private'];
    await succeeds(bootstrap(all));
    const before = whole();
    cloud.calls = [];
    await succeeds(bootstrap(all));
    assert.deepEqual(whole(), before);
    const others = changes().filter((call) => !/ (add-iam-policy-binding|set-cleanup-policies) /.test(call));
    assert.deepEqual(others, []); // the two filtered commands are idempotent
  });

  test('continues after an interruption at any command', async () => {
    const all = [...urls(), ...SQL, ...BUILD, '--private'];
    await succeeds(bootstrap(all));
    const uninterrupted = whole();
    const commands = new Set(changes()).size;
    await cloud.close();
    await begin();
    cloud.faults.interrupt = true;
    assert.equal(await interruptions(() => bootstrap(all)), commands);
    assert.deepEqual(whole(), uninterrupted);
  });

  test('keeps the access of the service', async () => {
    await succeeds(bootstrap([...urls(), '--private']));
    await succeeds(bootstrap(urls()));
    assert.equal(access(), 'False');
  });

  test('with --private fails if the service is public', async () => {
    await succeeds(bootstrap(urls()));
    cloud.calls = [];
    await fails(
      bootstrap(['--private']),
      /orders is public. Close it first: gcloud run services update orders --invoker-iam-check/,
    );
    assert.deepEqual(changes(), []);
  });

  test('updates the provider for a recreated repository', async () => {
    await succeeds(bootstrap(urls()));
    github.id = '4712';
    const { stdout } = await succeeds(bootstrap());
    assert.match(stdout, /replaces the condition: assertion.repository_id=='4711'/);
    assert.match(conditionOf(), /^assertion.repository_id=='4712'/);
  });
});

describe('--dry-run', () => {
  test('prints the commands and changes nothing in a new project', async () => {
    const { stdout } = await succeeds(bootstrap([...urls(), ...SQL, ...BUILD, '--private', '--set-vars', '--dry-run']));
    assert.deepEqual(changes(), []);
    for (const command of ['services enable', 'run deploy orders', 'storage buckets create', 'gh variable set']) {
      assert.match(stdout, new RegExp(`^  would run: .*${command}`, 'm'));
    }
    assert.match(stdout, /Nothing was changed/);
    assert.doesNotMatch(stdout, /-secret@/);
    assert.deepEqual(sleeps(), []);
  });

  test('prints no create command in a complete project', async () => {
    await succeeds(bootstrap(urls()));
    cloud.calls = [];
    const { stdout } = await succeeds(bootstrap(['--dry-run']));
    assert.deepEqual(changes(), []);
    assert.doesNotMatch(stdout, /would run: gcloud .*(create|deploy|enable) /);
  });
});

describe('before any change it rejects', () => {
  for (const [args, message] of [
    [[], /--project, --region and --repo are required/],
    [['--project'], /--project needs a value/],
    [['--project', '--region', 'europe-west1'], /--project needs a value/],
    [['--regoin', 'europe-west1'], /Unknown option --regoin/],
    [[...OPTIONS, '--project', 'My Project'], /--project must be a project's id, not 'My Project'/],
    [[...OPTIONS, '--region', 'europe'], /--region must be a region such as/],
    [[...OPTIONS, '--repo', 'orders'], /--repo must be OWNER\/NAME/],
    [[...OPTIONS, '--repo', 'https://github.com/acme/orders'], /--repo must be OWNER\/NAME/],
    [[...OPTIONS, '--service', 'a-name-that-is-far-too-long'], /--service must be 2 to 22 lower-case/],
    [[...OPTIONS, '--service', 'gcp-orders'], /--service must not begin with gcp-/],
    [[...OPTIONS, '--environment', 'Staging'], /--environment must be lower-case/],
    [[...OPTIONS, '--cloud-sql', 'my-project:europe-west1:main'], /--cloud-sql must be the name of an instance/],
    [[...OPTIONS, '--repo-id', 'acme', '--owner-id', '1'], /--repo-id must be a number/],
    [[...OPTIONS, '--repo-id', '1', '--owner-id', "1' || true"], /--owner-id must be a number/],
    [[...OPTIONS, '--database-url-file', '/nowhere'], /The file \/nowhere has no database URL/],
  ]) {
    test(args.join(' ') || 'no options', async () => {
      await fails(run('bootstrap', args), message);
      assert.deepEqual(changes(), []);
    });
  }

  for (const [what, prepare, message, args = []] of [
    [
      'a gcloud that is not signed in',
      () => (cloud.state.operator = null),
      /gcloud is not signed in. Run: gcloud auth login/,
    ],
    ['an unknown project', () => delete cloud.state.projects['my-project'], /Cannot read the project my-project/],
    [
      'a project without billing',
      () => (project.billing = false),
      /no billing account. Run: gcloud billing projects link my-project/,
    ],
    [
      'a gh that is not signed in',
      () => (cloud.state.github = null),
      /gh cannot read acme\/orders. Run gh auth login, or pass --repo-id/,
    ],
    [
      '--set-vars without administrator access',
      () => (github.isAdministered = false),
      /--set-vars needs gh, signed in as an administrator of acme\/orders/,
      ['--set-vars'],
    ],
    [
      'a MySQL instance',
      () => (project.instances.main = instance('MYSQL_8_4', 'db-custom-1-3840')),
      /main is MYSQL_8_4/,
      SQL,
    ],
    [
      'a PostgreSQL version that this gcloud does not support',
      () => (project.instances.main = instance(undefined, 'db-custom-1-3840')),
      /gcloud components update/,
      SQL,
    ],
    [
      'an instance that does not exist',
      () => delete project.instances.main,
      /Cannot read the Cloud SQL instance main/,
      SQL,
    ],
    [
      'an instance with too few connections',
      () => (project.instances.main = instance('POSTGRES_18', 'db-g1-small')),
      /main allows 50 connections, and a rollout needs 95/,
      SQL,
    ],
    [
      'a max_connections flag that is too low',
      () =>
        (project.instances.main = instance('POSTGRES_18', 'db-custom-4-15360', [
          { name: 'log_min_duration_statement', value: '500' },
          { name: 'max_connections', value: '90' },
        ])),
      /main allows 90 connections/,
      SQL,
    ],
  ]) {
    test(what, async () => {
      prepare();
      await fails(bootstrap(args), message);
      assert.deepEqual(changes(), []);
    });
  }

  test('a machine without gcloud or gh', async () => {
    const path = mkdtempSync(join(root, 'bin-'));
    fillBin(path, TOOLS, []);
    await fails(bootstrap([], { path }), /gcloud is not installed/);
    symlinkSync(join(bin, 'gcloud'), join(path, 'gcloud'));
    await fails(bootstrap([], { path }), /gh is not installed. Pass --repo-id and --owner-id/);
    assert.deepEqual(changes(), []);
  });

  test('a denied request instead of treating it as a missing resource', async () => {
    await succeeds(bootstrap(urls()));
    cloud.calls = [];
    project.policy = ['roles/run.viewer', 'roles/serviceusage.serviceUsageConsumer'].map((role) => ({
      role,
      members: ['user:me@example.com'],
    }));
    await fails(bootstrap(urls()), /Permission 'artifactregistry.repositories.get' denied/);
    assert.ok(!changes().some((call) => call.includes('create')));
  });
});

describe('teardown', () => {
  const all = () => [...urls(), ...SQL, ...BUILD, '--private'];

  test('removes the resources of bootstrap and lists the remaining ones', async () => {
    await succeeds(bootstrap(all()));
    const { stdout } = await succeeds(teardown());
    assert.deepEqual(things(), ['pools/orders-github DELETED', 'pools/orders-github/github ACTIVE']);
    assert.deepEqual(
      grants().filter((grant) => grant.startsWith('projects/')),
      [],
    );
    assert.match(stdout, /costs money until you delete it:\n {4}gcloud sql instances delete/);
  });

  test('continues after an interruption, and is idempotent', async () => {
    await succeeds(bootstrap(all()));
    cloud.faults.interrupt = true;
    assert.ok((await interruptions(() => teardown())) > 10);
    cloud.calls = [];
    await succeeds(teardown());
    assert.deepEqual(changes(), []);
  });

  test('is reverted by bootstrap', async () => {
    await succeeds(bootstrap(all()));
    const before = things();
    await succeeds(teardown());
    await succeeds(bootstrap(all()));
    assert.deepEqual(things(), before);
  });

  test('with --dry-run removes nothing', async () => {
    await succeeds(bootstrap(all()));
    cloud.calls = [];
    const { stdout } = await succeeds(teardown(['--dry-run']));
    assert.deepEqual(changes(), []);
    assert.match(stdout, /would run: gcloud run services delete orders/);
  });

  test('does nothing without confirmation', async () => {
    await succeeds(bootstrap(all()));
    cloud.calls = [];
    await fails(run('teardown', OPTIONS), /There is no terminal to confirm this. Add --yes/);
    assert.deepEqual(changes(), []);
  });
});

test('the scripts use only features of bash 3.2', async () => {
  const newer =
    /\b(mapfile|readarray|coproc)\b|\b(declare|local|typeset) -[a-zA-Z]*[Agn]|\$\{[^}]*(\^|,,|@[A-Za-z]\})|&>>|\|&|;;?&|\[\[ -v|\bwait -n|\$EPOCH|printf '%\(|\$\{\w+: -\d/;
  for (const script of ['bootstrap.sh', 'teardown.sh', 'lib/gcloud.sh']) {
    for (const line of readFileSync(`deploy/${script}`, 'utf8').split('\n')) assert.doesNotMatch(line, newer, script);
  }
});
