// Runs deploy/bootstrap.sh and deploy/teardown.sh against the stand-in. BASH_UNDER_TEST selects another shell, such as
// bash 3.2.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import pg from 'pg';
import { startPostgres } from '../../tools/dev/postgres.mjs';
import { startCloud } from '../standin/cloud.mjs';
import { addProject } from '../standin/state.mjs';
import { fails, fillBin, runScript, succeeds } from '../standin/workbench.mjs';

/** The tools that the scripts need in addition to gcloud and gh. */
const TOOLS = ['awk', 'basename', 'cat', 'dirname', 'grep', 'jq', 'mktemp', 'od', 'rm', 'sed', 'tail', 'tr'];
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
    // Its log files would keep passwords.
    assert.equal(environment.CLOUDSDK_CORE_DISABLE_FILE_LOGGING, 'true', program);
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
  region: 'europe-west1',
  state: 'RUNNABLE',
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
const READS =
  / (describe|list|get-iam-policy|access)( |$)|^(version|config get|gh api|gh repo view|GET) |^auth print-access-token$|:testIamPermissions$/;
const changes = (list = calls()) => list.filter((call) => !READS.test(call));

const run = (script, args, { path = bin, ...options } = {}) =>
  runScript(join(bin, 'bash'), [`deploy/${script}.sh`, ...args], {
    env: { PATH: path, ...cloud.environment, HOME: folder, TMPDIR: folder },
    ...options,
  });
const urls = () => [
  '--database-url-file',
  join(folder, 'runtime-url'),
  '--migrator-url-file',
  join(folder, 'migrator-url'),
];
const bootstrap = (args = [], env) => run('bootstrap', [...OPTIONS, ...args], env);
const teardown = (args = []) => run('teardown', [...OPTIONS, '--yes', ...args]);

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
    const mark = '--description=Managed by deploy/bootstrap.sh for orders';
    const replication = '--replication-policy=user-managed --locations=europe-west1 --labels=managed-by=orders';
    const onRun = '--region=europe-west1 --project=my-project';
    const bucket = `--project=my-project --location=europe-west1 --uniform-bucket-level-access --public-access-prevention --lifecycle-file=deploy/bucket-lifecycle.json`;
    assert.deepEqual(
      changes().filter((call) => !call.includes(' add-iam-policy-binding ')),
      [
        'services enable run.googleapis.com artifactregistry.googleapis.com iam.googleapis.com iamcredentials.googleapis.com sts.googleapis.com secretmanager.googleapis.com logging.googleapis.com cloudbuild.googleapis.com storage.googleapis.com --project=my-project',
        `secrets create orders-database-url --project=my-project ${replication}`,
        `secrets create orders-migrator-database-url --project=my-project ${replication}`,
        `artifacts repositories create orders ${there} --repository-format=docker --description=Images of orders --labels=managed-by=orders`,
        `artifacts repositories set-cleanup-policies orders ${there} --policy=deploy/cleanup-policy.json --no-dry-run`,
        `iam service-accounts create orders-deploy --project=my-project --display-name=Deploys orders from GitHub ${mark}`,
        `iam service-accounts create orders-runtime --project=my-project --display-name=orders ${mark}`,
        `iam service-accounts create orders-migrate --project=my-project --display-name=Migrations of orders ${mark}`,
        `iam workload-identity-pools create orders-github --location=global --project=my-project --display-name=GitHub Actions ${mark}`,
        `iam workload-identity-pools providers create-oidc github --workload-identity-pool=orders-github --location=global --project=my-project ${mark} --issuer-uri=https://token.actions.githubusercontent.com --attribute-mapping=google.subject='run:' + assertion.run_id,attribute.repository_id=assertion.repository_id --attribute-condition=${conditionOf()}`,
        `run deploy orders ${onRun} --image=us-docker.pkg.dev/cloudrun/container/hello --service-account=orders-runtime@my-project.iam.gserviceaccount.com --max-instances=1 --no-invoker-iam-check`,
        `run jobs create orders-migrate ${onRun} --image=us-docker.pkg.dev/cloudrun/container/job --service-account=orders-migrate@my-project.iam.gserviceaccount.com`,
        `iam service-accounts create orders-build --project=my-project --display-name=Builds of orders ${mark}`,
        `storage buckets create gs://my-project-orders-source ${bucket}`,
        'storage buckets update gs://my-project-orders-source --project=my-project --update-labels=managed-by=orders',
        `storage buckets create gs://my-project-orders-logs ${bucket}`,
        'storage buckets update gs://my-project-orders-logs --project=my-project --update-labels=managed-by=orders',
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
    const { stdout } = await succeeds(bootstrap([...urls(), '--set-vars', '--environment', 'staging']));
    assert.doesNotMatch(stdout, /GCP_/);
    const { variables } = github;
    assert.equal(Object.keys(variables).length, 8);
    assert.equal(variables.STAGING_GCP_SERVICE, 'orders-staging');
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
    assert.match(stdout, /orders-database-url stays empty. Before the next deployment: gcloud secrets versions add/);
    assert.match(
      stdout,
      /Add a value to these secrets before the next deployment: orders-database-url orders-migrator-database-url\nDone/,
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
    await fails(bootstrap(urls()), /Both database URLs have the user orders_migrator. Create a role for each/);
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

describe('settings and secrets of deploy/settings.txt', () => {
  /** Returns a copy of deploy/ with these lines in settings.txt. */
  const withSettings = (lines) => {
    cpSync('deploy', join(folder, 'deploy'), { recursive: true });
    const settings = readFileSync('deploy/settings.txt', 'utf8');
    writeFileSync(join(folder, 'deploy/settings.txt'), `${settings}${lines.join('\n')}\n`);
    return { cwd: folder };
  };

  test('of the environment are created, granted to two accounts and removed', async () => {
    const own = withSettings(['STRIPE_KEY production secret stripe-key', 'OTHER_KEY staging secret other-key']);
    const { stdout } = await succeeds(bootstrap(urls(), own));
    assert.match(stdout, /^Add a value to these secrets before the next deployment: orders-stripe-key$/m);
    assert.deepEqual(
      grants().filter((grant) => grant.includes('stripe-key')),
      [
        `secrets/orders-stripe-key roles/secretmanager.secretAccessor ${account('runtime')}`,
        `secrets/orders-stripe-key roles/secretmanager.viewer ${account('deploy')}`,
      ],
    );
    assert.equal(project.secrets['orders-stripe-key'].labels['managed-by'], 'orders');
    assert.ok(!Object.keys(project.secrets).some((name) => name.includes('other-key')));
    await succeeds(run('teardown', [...OPTIONS, '--yes'], own));
    assert.deepEqual(project.secrets, {});
  });

  test('are not adopted from another owner', async () => {
    project.apis.push('secretmanager.googleapis.com');
    project.secrets['orders-stripe-key'] = { labels: {}, policy: [], versions: {} };
    const own = withSettings(['STRIPE_KEY all secret stripe-key']);
    await fails(bootstrap(urls(), own), /Not created by .*the secret orders-stripe-key of an unknown owner/);
    assert.deepEqual(changes(), []);
  });

  for (const [what, line, message] of [
    ['without a kind', 'STRIPE_KEY production hunter2', /invalid line for STRIPE_KEY\. A line is NAME/],
    ['with a name in lower case', 'stripe_key all plain hunter2', /invalid line for stripe_key/],
    [
      'with a secret value in place of its name',
      'STRIPE_KEY all secret sk_live_hunter2',
      /invalid line for STRIPE_KEY/,
    ],
    ['that repeats a name', 'MEMORY all plain 1Gi', /two lines for MEMORY and the same environment/],
    ['with the URL of the migrations', 'ADMIN_URL all secret migrator-database-url', /a secret of the migrations/],
    ['with instances that are no number', 'MAX_INSTANCES production plain many', /must be numbers for production/],
  ]) {
    test(`are rejected before any change: a line ${what}`, async () => {
      const result = await fails(bootstrap([...urls(), ...SQL], withSettings([line])), message);
      assert.doesNotMatch(result.output, /hunter2/);
      assert.deepEqual(changes(), []);
    });
  }
});

describe('jobs of deploy/jobs/', () => {
  /** Returns a copy of deploy/ with the job `drafts` and these lines in schedules.txt. */
  const withJob = (lines) => {
    cpSync('deploy', join(folder, 'deploy'), { recursive: true });
    mkdirSync(join(folder, 'deploy/jobs'), { recursive: true });
    writeFileSync(join(folder, 'deploy/jobs/drafts.yaml'), '');
    appendFileSync(join(folder, 'deploy/schedules.txt'), `${lines.join('\n')}\n`);
    return { cwd: folder };
  };
  const NIGHTLY = 'drafts  all  Europe/Zurich  0 3 * * 1-5';
  const schedules = () =>
    Object.fromEntries(
      Object.entries(project.schedules).map(([key, { schedule, timeZone }]) => [key, `${schedule} ${timeZone}`]),
    );

  test('are created with their grants and schedules, and removed', async () => {
    const own = withJob([NIGHTLY, 'drafts  staging  Etc/UTC  0 4 * * *']);
    await succeeds(bootstrap(urls(), own));
    assert.deepEqual(
      grants().filter((grant) => grant.includes('drafts')),
      [
        `run-jobs/orders-drafts roles/run.developer ${account('deploy')}`,
        `run-jobs/orders-drafts roles/run.invoker ${account('cron')}`,
      ],
    );
    assert.deepEqual(schedules(), { 'europe-west1/orders-drafts': '0 3 * * 1-5 Europe/Zurich' });
    const { httpTarget } = project.schedules['europe-west1/orders-drafts'];
    assert.deepEqual(httpTarget, {
      uri: 'https://run.googleapis.com/v2/projects/my-project/locations/europe-west1/jobs/orders-drafts:run',
      httpMethod: 'POST',
      oauthToken: { serviceAccountEmail: 'orders-cron@my-project.iam.gserviceaccount.com' },
    });
    assert.ok(project.apis.includes('cloudscheduler.googleapis.com'));
    await succeeds(run('teardown', [...OPTIONS, '--yes'], own));
    assert.deepEqual([project.jobs, project.schedules, project.accounts], [{}, {}, {}]);
  });

  test('are changed by a second run only if the schedule differs', async () => {
    await succeeds(bootstrap(urls(), withJob([NIGHTLY])));
    const changed = () => calls().filter((call) => /^scheduler jobs (create|update)/.test(call)).length;
    await succeeds(bootstrap([], withJob([])));
    assert.equal(changed(), 1);
    rmSync(join(folder, 'deploy'), { recursive: true });
    await succeeds(bootstrap([], withJob([NIGHTLY.replace('1-5', '*')])));
    assert.deepEqual(schedules(), { 'europe-west1/orders-drafts': '0 3 * * * Europe/Zurich' });
    assert.equal(changed(), 2);
  });

  test('are not adopted from another owner', async () => {
    project.apis.push('cloudscheduler.googleapis.com');
    project.schedules['europe-west1/orders-drafts'] = { policy: [], description: 'Reports' };
    await fails(bootstrap(urls(), withJob([NIGHTLY])), /Not created by .*the schedule orders-drafts of Reports/);
    assert.deepEqual(changes(), []);
  });

  for (const [what, line, message] of [
    ['four fields', 'drafts all Etc/UTC 0 3 * *', /invalid line for drafts\. A line is JOB/],
    ['words', 'drafts all Etc/UTC every day at 3 a.m.', /invalid line for drafts/],
    [
      'two schedules',
      `${NIGHTLY}\ndrafts production Etc/UTC 0 4 * * *`,
      /two lines for drafts and the environment production/,
    ],
  ]) {
    test(`are rejected before any change: ${what}`, async () => {
      await fails(bootstrap(urls(), withJob([line])), message);
      assert.deepEqual(changes(), []);
    });
  }
});

describe('with --rehearse', () => {
  const tools = join(root, 'tools');
  mkdirSync(tools);
  fillBin(tools, [...TOOLS, 'cut', 'envsubst', 'head', 'jq', 'paste', 'sort', 'tee']);
  const rehearse = () => bootstrap([...urls(), '--rehearse'], { path: tools });
  const ofDeployer = () => project.accounts['orders-deploy@my-project.iam.gserviceaccount.com'].policy;
  const asDeployer = () =>
    cloud.calls.filter(({ environment }) => environment.CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT);

  test('acts as the deployer for the rehearsal only, and changes nothing', async () => {
    const { stdout } = await succeeds(rehearse());
    assert.equal(stdout.match(/^ {2}ok {4}/gm).length, 7);
    assert.match(stdout, /ok {4}Cloud Run accepts the service\nDone/);
    assert.ok(ofDeployer().every(({ members }) => members.every((member) => member.startsWith('principalSet:'))));
    const words = asDeployer().map((call) => call.words.join(' '));
    assert.ok(words.some((call) => /^run services replace .* --dry-run$/.test(call)));
    assert.deepEqual(changes(words.filter((call) => !/ --dry-run$|^logging read /.test(call))), []);
  });

  test('reports why Cloud Run rejects the service', async () => {
    cloud.faults.checksPublicAccess = true;
    const { stdout } = await fails(rehearse(), /1 checks of the rehearsal failed\. .*npm run doctor -- --explain/);
    assert.match(stdout, /fail {2}Cloud Run accepts the service: ERROR: .*run\.services\.setIamPolicy/);
    assert.ok(ofDeployer().every(({ members }) => members.every((member) => member.startsWith('principalSet:'))));
  });

  test('reports secrets without a value', async () => {
    const { stdout } = await fails(bootstrap(['--rehearse'], { path: tools }), /3 checks of the rehearsal failed/);
    assert.match(stdout, /fail {2}finds a version of orders-database-url: ERROR: .* has no enabled version/);
  });

  test('needs the tools of the pipeline', async () => {
    await fails(bootstrap([...urls(), '--rehearse']), /--rehearse needs envsubst, which is not installed/);
    assert.deepEqual(changes(), []);
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

  test('updates the provider for a recreated repository only with --adopt', async () => {
    await succeeds(bootstrap(urls()));
    github.id = '4712';
    cloud.calls = [];
    await fails(bootstrap(), /the provider github of the repository 4711 instead of 4712\. .*--adopt/);
    assert.deepEqual(changes(), []);
    const { stdout } = await succeeds(bootstrap(['--adopt']));
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
    [[...OPTIONS, '--service', 'a-name-that-is-far-too-long'], /--service must be 2 to 22 lowercase/],
    [[...OPTIONS, '--service', 'gcp-orders'], /--service must not begin with gcp-/],
    [[...OPTIONS, '--environment', 'Staging'], /--environment must be lowercase/],
    [[...OPTIONS, '--environment', 'pre-prod'], /--environment must be lowercase/],
    [[...OPTIONS, '--cloud-sql', 'my-project:europe-west1:main'], /--cloud-sql must be the name of an instance/],
    [[...OPTIONS, '--repo-id', 'acme', '--owner-id', '1'], /--repo-id must be a number/],
    [[...OPTIONS, '--repo-id', '1', '--owner-id', "1' || true"], /--owner-id must be a number/],
    [[...OPTIONS, '--database-url-file', '/nowhere'], /The file \/nowhere has no database URL/],
    [[...OPTIONS, '--github-environment', "production' || true"], /--github-environment must be letters/],
    [[...OPTIONS, '--tier', 'small'], /--tier needs --create-database/],
    [[...OPTIONS, '--create-database', '--tier', 'db-n1-standard-1'], /--tier must be small, db-f1-micro/],
    [[...OPTIONS, '--create-database', '--database-url-file', '/x'], /--create-database generates the URLs/],
    [[...OPTIONS, '--create-database'], /There is no terminal to confirm the costs. Add --yes/],
    [
      [...OPTIONS, '--create-database', '--yes', '--tier', 'db-g1-small'],
      /db-g1-small allows 50 connections, and a rollout needs 95/,
    ],
  ]) {
    test(args.join(' ') || 'no options', async () => {
      await fails(run('bootstrap', args), message);
      assert.deepEqual(changes(), []);
    });
  }

  for (const [what, prepare, message, args = []] of [
    [
      'a gcloud that is too old',
      () => (cloud.state.version = '495.0.0'),
      /gcloud 495\.0\.0 is too old: 496 is the minimum\. Run: gcloud components update/,
    ],
    [
      'a gcloud that is too old for the new database',
      () => (cloud.state.version = '541.0.0'),
      /gcloud 541\.0\.0 is too old: 542 is the minimum/,
      ['--create-database', '--yes'],
    ],
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

describe('organization policies', () => {
  for (const [constraint, permitted, message] of [
    [
      'gcp.resourceLocations',
      ['us-central1'],
      /gcp\.resourceLocations forbids europe-west1\. Choose a permitted --region/,
    ],
    ['iam.workloadIdentityPoolProviders', ['https://accounts.example.com'], /forbids https:\/\/token\.actions\.github/],
  ]) {
    test(`${constraint} is rejected before any change`, async () => {
      project.orgPolicies[constraint] = permitted;
      await fails(bootstrap(urls()), message);
      assert.deepEqual(changes(), []);
    });
  }

  test('that permit the region and the issuer are accepted', async () => {
    project.orgPolicies['gcp.resourceLocations'] = ['in:europe-locations'];
    project.orgPolicies['iam.workloadIdentityPoolProviders'] = ['https://token.actions.githubusercontent.com'];
    await succeeds(bootstrap(urls()));
  });
});

describe('database URLs that it rejects before any change', () => {
  const socket = (name) => `orders_runtime:pw@/orders?host=/cloudsql/my-project:europe-west1:${name}`;
  for (const [rest, message, args = [], scheme = 'postgresql'] of [
    ['orders_runtime:p@ss@db.example/orders', /no database URL.*Percent-encode/],
    ['orders_runtime:p/ss@db.example/orders', /no database URL/],
    ['orders_runtime:p#ss@db.example/orders', /no database URL/],
    ['orders_runtime:p?ss@db.example/orders', /no database URL/],
    ['orders_runtime:p:ss@db.example/orders', /no database URL/],
    ['orders_runtime:100%@db.example/orders', /no database URL/],
    ['orders_runtime:p%zz@db.example/orders', /no database URL/],
    ['orders_runtime:p ss@db.example/orders', /no database URL/],
    ['orders_runtime:pw@db.example/', /no database URL/],
    ['orders_runtime:pw@db.example/orders\r', /no database URL/],
    ['orders_runtime:pw@db.example/orders', /no database URL/, [], 'mysql'],
    ['orders_runtime:pw@/orders', /has no host/],
    ['postgres:pw@db.example/orders', /has the user postgres, an administrator/],
    ['%70ostgres:pw@db.example/orders', /has the user postgres, an administrator/],
    ['cloudsqladmin:pw@db.example/orders', /has the user cloudsqladmin, an administrator/],
    ['orders_runtime:pw@db.example/orders?user=postgres', /has the parameter user, which would override/],
    ['orders_runtime:pw@db.example/orders?%75ser=postgres', /has the parameter %75ser/],
    ['orders_migrator:pw@other.example/orders?x=1', /Both database URLs have the user orders_migrator/],
    ['orders%5Fmigrator:pw@db.example/orders', /Both database URLs have the user orders_migrator/],
    [socket('main'), /Add --cloud-sql INSTANCE/],
    [socket('other'), /The socket of main is \/cloudsql\/my-project:europe-west1:main/, SQL],
    ['orders_runtime:pw@%2Fcloudsql%2Fp:r:other/orders', /no database URL/, SQL],
    [`${socket('main')}&host=/cloudsql/p:r:other`, /has several hosts/, SQL],
    ['orders_runtime:pw@/orders?host=/tmp', /The socket of main is/, SQL],
  ]) {
    test(`${scheme}: ${rest}`, async () => {
      writeFileSync(join(folder, 'runtime-url'), `${scheme}://${rest}`);
      const result = await fails(bootstrap([...urls(), ...args]), message);
      assert.doesNotMatch(result.output, /:p.?s?s?@/);
      assert.deepEqual(changes(), []);
    });
  }

  test('a URL with the user of a stored one', async () => {
    await succeeds(bootstrap(['--migrator-url-file', join(folder, 'migrator-url')]));
    cloud.calls = [];
    await fails(
      bootstrap(['--database-url-file', join(folder, 'migrator-url')]),
      /Both database URLs have the user orders_migrator/,
    );
    assert.deepEqual(changes(), []);
  });

  test('and it accepts the socket of the instance and encoded characters', async () => {
    const rest = `orders_runtime:p%40%23%2F%25@localhost/orders?host=%2Fcloudsql%2Fmy-project%3Aeurope-west1%3Amain&application_name=x`;
    const url = `postgresql://${rest}`;
    writeFileSync(join(folder, 'runtime-url'), url);
    await succeeds(bootstrap([...urls(), ...SQL]));
    assert.equal(valueOf('orders-database-url'), url);
  });
});

test('creates secrets where an organization policy rejects automatic replication', async () => {
  project.orgPolicies['gcp.resourceLocations'] = true;
  await succeeds(bootstrap(urls()));
});

describe('with --github-environment', () => {
  test('accepts only jobs of the environment, also after a run without the option', async () => {
    await succeeds(bootstrap([...urls(), '--github-environment', 'production', '--set-vars']));
    assert.match(conditionOf(), / && assertion\.environment=='production'$/);
    assert.equal(github.variables.GCP_GITHUB_ENVIRONMENT, 'production');
    await succeeds(bootstrap());
    assert.match(conditionOf(), / && assertion\.environment=='production'$/);
    await succeeds(bootstrap(['--github-environment', 'live']));
    assert.match(conditionOf(), / && assertion\.environment=='live'$/);
  });
});

/** An existing resource of each kind, without the mark of bootstrap. */
const FOREIGN = {
  registry: () =>
    (project.repositories['europe-west1/orders'] = { format: 'docker', labels: {}, policy: [], packages: {} }),
  account: () =>
    (project.accounts['orders-runtime@my-project.iam.gserviceaccount.com'] = { description: 'Terraform', policy: [] }),
  pool: () => (project.pools['orders-github'] = { state: 'ACTIVE', providers: {} }),
  provider: () =>
    (project.pools['orders-github'] = {
      state: 'ACTIVE',
      description: 'Managed by deploy/bootstrap.sh for orders',
      providers: { github: { state: 'ACTIVE', description: 'Terraform', oidc: {} } },
    }),
  secret: () =>
    (project.secrets['orders-database-url'] = { labels: { 'managed-by': 'terraform' }, policy: [], versions: {} }),
  service: () => addRun(project.services, 'orders'),
  job: () => addRun(project.jobs, 'orders-migrate'),
  bucket: () =>
    (project.buckets['my-project-orders-source'] = { location: 'europe-west1', labels: {}, policy: [], objects: {} }),
};
/** Adds a service or a job that runs as the default account. */
function addRun(collection, name) {
  const spec = { serviceAccountName: '123-compute@developer.gserviceaccount.com', containers: [{ image: 'x' }] };
  collection[`europe-west1/${name}`] = {
    annotations: {},
    executions: {},
    generation: 1,
    policy: [],
    revisions: { [`${name}-1`]: { template: { metadata: {}, spec }, ready: true } },
    statusTraffic: [],
    traffic: [],
    template: name === 'orders' ? { metadata: {}, spec } : { metadata: {}, spec: { template: { spec } } },
  };
}
const APIS = ['artifactregistry', 'iam', 'run', 'secretmanager', 'sqladmin', 'storage'].map(
  (name) => `${name}.googleapis.com`,
);

describe('a resource without the mark of bootstrap', () => {
  const all = () => [...urls(), ...SQL, ...BUILD];
  beforeEach(() => project.apis.push(...APIS));

  for (const [kind, create] of Object.entries(FOREIGN)) {
    test(`${kind}: is rejected by both scripts`, async () => {
      create();
      const before = structuredClone(project);
      const message = new RegExp(`Not created by deploy/bootstrap.sh for orders: the ${kind} .* of .+--adopt`);
      await fails(bootstrap(all()), message);
      await fails(teardown(), message);
      assert.deepEqual(project, before);
    });
  }

  test('is adopted with --adopt, and belongs to the service from then on', async () => {
    for (const kind of ['registry', 'account', 'provider', 'secret', 'bucket']) FOREIGN[kind]();
    await succeeds(bootstrap([...all(), '--adopt']));
    await succeeds(bootstrap(all()));
    await succeeds(teardown());
    assert.deepEqual(
      things().filter((thing) => !thing.startsWith('pools/')),
      [],
    );
  });

  test('of another service with the same prefix is not removed', async () => {
    await succeeds(bootstrap([...urls(), '--service', 'orders-2']));
    const before = things();
    await succeeds(bootstrap(urls()));
    await succeeds(teardown());
    assert.deepEqual(
      things().filter((thing) => !thing.includes('pools/orders-github')),
      before,
    );
  });
});

describe('with --create-database', () => {
  const DATABASE = ['--create-database', '--yes'];
  const users = () => project.instances.orders.users;
  const secretsOf = (text) => text.match(/\b[0-9a-f]{48}\b/g) ?? [];
  /** Checks that the stored URLs have the passwords of the roles, and that nothing temporary remains. */
  function assertComplete() {
    const newest = (secret) => Object.values(project.secrets[secret].versions).at(-1).value;
    for (const [secret, role] of [
      ['orders-database-url', 'orders_runtime'],
      ['orders-migrator-database-url', 'orders_migrator'],
    ]) {
      assert.match(users()[role], /^[0-9a-f]{48}$/);
      assert.equal(
        newest(secret),
        `postgresql://${role}:${users()[role]}@/orders?host=/cloudsql/my-project:europe-west1:orders`,
      );
    }
    assert.equal(new Set([users().postgres, users().orders_runtime, users().orders_migrator]).size, 3);
    assert.deepEqual(Object.keys(project.secrets), ['orders-database-url', 'orders-migrator-database-url']);
    assert.deepEqual(Object.keys(project.jobs), ['europe-west1/orders-migrate']);
    assert.deepEqual(project.instances.orders.databases, ['orders']);
  }

  function assertNoSecretInFiles() {
    for (const name of readdirSync(folder)) assert.deepEqual(secretsOf(readFileSync(join(folder, name), 'utf8')), []);
  }

  test('an empty project needs no other option', async () => {
    project.apis = [];
    project.instances = {};
    cloud.state.config = { project: 'my-project', 'run/region': 'europe-west1' };
    cloud.state.folderRepository = 'acme/orders';
    const { stdout } = await succeeds(run('bootstrap', DATABASE));
    assertComplete();
    assert.match(stdout, /the Cloud SQL instance orders, db-custom-1-3840 with 10 GB: about \$51 a month/);
    assert.equal(github.variables.GCP_CLOUD_SQL_INSTANCE, 'my-project:europe-west1:orders');
    assert.deepEqual(grants(), sorted([...GRANTS, ...SQL_GRANTS.map((grant) => grant.replaceAll('main', 'orders'))]));
  });

  test('creates the instance first, with backups, point-in-time recovery, TLS and deletion protection', async () => {
    await succeeds(bootstrap(DATABASE));
    const creations = changes().filter((call) => / (create|deploy) /.test(call));
    assert.match(creations[2], /^sql instances create orders .*--deletion-protection --async$/);
    assert.deepEqual(project.instances.orders.settings, {
      tier: 'db-custom-1-3840',
      edition: 'enterprise',
      deletionProtectionEnabled: true,
      backupConfiguration: { pointInTimeRecoveryEnabled: true },
      ipConfiguration: { sslMode: 'ENCRYPTED_ONLY' },
    });
  });

  test('no password appears in an argument, in the output or in a file', async () => {
    const { output } = await succeeds(bootstrap(DATABASE));
    for (const text of [output, ...calls()]) assert.deepEqual(secretsOf(text), []);
    assertNoSecretInFiles();
  });

  test('a second run changes nothing and asks nothing', async () => {
    await succeeds(bootstrap(DATABASE));
    const before = structuredClone(project);
    cloud.calls = [];
    await succeeds(bootstrap(['--create-database']));
    assert.deepEqual(project, before);
    assert.ok(!changes().some((call) => /^(sql|secrets versions|run jobs execute)/.test(call)));
  });

  test('continues after it is killed at any command', async () => {
    const killed = new Set();
    for (let done = false; !done;) {
      let child;
      const kill = ({ program, words }) => {
        const call = words.join(' ');
        if (program !== 'gcloud' || killed.has(call) || changes([call]).length === 0) return;
        killed.add(call);
        process.kill(-child.pid, 'SIGKILL');
      };
      cloud.listeners.add(kill);
      const { status, output } = await run('bootstrap', [...OPTIONS, ...DATABASE, ...BUILD], {
        detached: true,
        started: (process_) => (child = process_),
      });
      cloud.listeners.delete(kill);
      done = status === 0;
      assert.ok(done || status === null, output);
    }
    assert.ok(killed.size > 40, String(killed.size));
    assertComplete();
    assertNoSecretInFiles();
  });

  test('the script of the job creates both roles on PostgreSQL, as an administrator without superuser rights', async () => {
    let script;
    cloud.listeners.add(({ words }) => {
      if (words.join(' ').startsWith('run jobs execute'))
        script = project.secrets['orders-database-roles'].versions[1].value;
    });
    await succeeds(bootstrap(DATABASE));
    const server = await startPostgres(join(folder, 'postgres'), { durable: false });
    try {
      const { hostname, port } = new URL(server.url);
      const query = async (url, sql) => {
        const client = new pg.Client({ connectionString: url });
        await client.connect();
        return client.query(sql).finally(() => client.end());
      };
      await query(server.url, `CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD '${users().postgres}'`);
      await query(server.url, 'CREATE DATABASE orders OWNER admin');
      const here = script
        .replace('PGHOST=/cloudsql/my-project:europe-west1:orders', `PGHOST=${hostname} PGPORT=${port}`)
        .replace('PGUSER=postgres', 'PGUSER=admin');
      writeFileSync(join(folder, 'roles.sh'), here);
      const { status, output } = await runScript('sh', [join(folder, 'roles.sh')]);
      assert.deepEqual([status, output], [0, '']);
      const as = (role, sql) => query(`postgresql://${role}:${users()[role]}@${hostname}:${port}/orders`, sql);
      await as('orders_migrator', 'CREATE TABLE rows (id int)');
      await as('orders_runtime', 'INSERT INTO rows VALUES (1)');
      await assert.rejects(as('orders_runtime', 'DROP TABLE rows'), { code: '42501' });
    } finally {
      await server.stop();
    }
  });

  test('--rotate-passwords keeps the deployed password valid until the rotation after the next deployment', async () => {
    await succeeds(bootstrap(DATABASE));
    const [revision] = Object.values(project.services['europe-west1/orders'].revisions);
    const deployVersion = (key) => {
      revision.template.spec.containers[0].env = [
        { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'orders-database-url', key } } },
      ];
    };
    deployVersion('1');
    const first = users().orders_runtime;
    const { stdout, output } = await succeeds(bootstrap(['--rotate-passwords']));
    assert.match(stdout, /take effect with the next deployment/);
    assert.deepEqual(secretsOf(output), []);
    assert.equal(users().orders_runtime, first);
    assert.match(
      project.secrets['orders-database-url'].versions[2].value,
      new RegExp(`//orders_runtime_2:${users().orders_runtime_2}@`),
    );
    await fails(
      bootstrap(['--rotate-passwords']),
      /has version 1 of orders-database-url, and 2 is the newest. Deploy it/,
    );
    assert.equal(users().orders_runtime, first);
    deployVersion('2');
    await succeeds(bootstrap(['--rotate-passwords']));
    assert.notEqual(users().orders_runtime, first);
    assert.match(project.secrets['orders-database-url'].versions[3].value, /\/\/orders_runtime:/);
  });

  test('--tier small chooses the cheapest machine type with enough connections', async () => {
    const small = [...OPTIONS, ...DATABASE, '--tier', 'small', '--dry-run'];
    assert.match((await succeeds(run('bootstrap', small))).stdout, /db-custom-1-3840 with 10 GB: about \$51/);
    cpSync('deploy', join(folder, 'deploy'), { recursive: true });
    const settings = readFileSync('deploy/settings.txt', 'utf8');
    for (const [instances, price] of [
      ['2', /db-f1-micro with 10 GB: about \$10/],
      ['5', /db-g1-small with 10 GB: about \$28/],
    ]) {
      const own = `MAX_INSTANCES production plain ${instances}\nDATABASE_POOL_MAX production plain 3\n`;
      writeFileSync(join(folder, 'deploy/settings.txt'), settings + own);
      assert.match((await succeeds(run('bootstrap', small, { cwd: folder }))).stdout, price);
    }
  });

  for (const [what, prepare, message] of [
    [
      'an instance without the mark of bootstrap',
      () => (project.instances.orders = { ...instance('POSTGRES_18', 'db-custom-1-3840'), databases: [], users: {} }),
      /the Cloud SQL instance orders of an unknown owner/,
    ],
    [
      'an instance in another region',
      () => (project.instances.orders = { ...instance('POSTGRES_18', 'db-custom-1-3840'), region: 'us-central1' }),
      /The Cloud SQL instance orders is in us-central1/,
    ],
    [
      'an organization policy against public addresses',
      () => (project.orgPolicies['sql.restrictPublicIp'] = true),
      /The organization policy sql.restrictPublicIp forbids the instance\. .*"Private IP"/,
    ],
  ]) {
    test(`is rejected before any change: ${what}`, async () => {
      prepare();
      await fails(bootstrap(DATABASE), message);
      assert.deepEqual(changes(), []);
    });
  }

  test('is rejected for a service that has a database', async () => {
    await succeeds(bootstrap(urls()));
    cloud.calls = [];
    await fails(bootstrap(DATABASE), /The secret orders-database-url has a value, so orders has a database/);
    assert.deepEqual(changes(), []);
  });

  test('teardown keeps the instance, or removes it with --delete-database', async () => {
    await succeeds(bootstrap(DATABASE));
    const kept = await succeeds(teardown());
    assert.match(kept.stdout, /gcloud sql instances delete orders --project=my-project/);
    assert.deepEqual(Object.keys(project.instances), ['main', 'orders']);
    await succeeds(bootstrap([...DATABASE, '--adopt']));
    assertComplete();
    cloud.faults.interrupt = true;
    assert.ok((await interruptions(() => teardown(['--delete-database']))) > 10);
    assert.deepEqual(Object.keys(project.instances), ['main']);
    assert.deepEqual(
      things().filter((thing) => !thing.startsWith('pools/')),
      [],
    );
  });

  test('teardown --delete-database keeps an instance that bootstrap did not create', async () => {
    await succeeds(bootstrap([...urls(), ...SQL]));
    cloud.calls = [];
    await fails(teardown(['--delete-database']), /created no Cloud SQL instance for orders/);
    assert.deepEqual(changes(), []);
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
    assert.match(
      stdout,
      /costs money until you delete it:\n {4}gcloud sql instances patch INSTANCE --no-deletion-protection.*\n {4}gcloud sql instances delete/,
    );
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
  for (const script of ['bootstrap.sh', 'teardown.sh', ...readdirSync('deploy/lib').map((name) => `lib/${name}`)]) {
    for (const line of readFileSync(`deploy/${script}`, 'utf8').split('\n')) assert.doesNotMatch(line, newer, script);
  }
});
