// `npm run doctor -- --cloud` against the stand-in: a project after deploy/bootstrap.sh and a deployment, then one problem at
// a time.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { readGrants } from '../../tools/doctor/lists.mjs';
import { startCloud } from '../standin/cloud.mjs';
import { addProject } from '../standin/state.mjs';
import { fillBin, runScript } from '../standin/workbench.mjs';

/** The tools that the scripts of deploy/ need. */
const TOOLS = [
  ...['awk', 'basename', 'cat', 'cut', 'date', 'dirname', 'env', 'envsubst', 'git', 'grep', 'head', 'jq', 'mktemp'],
  ...['paste', 'rm', 'sed', 'sort', 'tac', 'tail', 'tee', 'tr', 'wc'],
];
const COMMIT = 'c0ffee0000000000000000000000000000000000';
const REGION = 'europe-west1';

const root = mkdtempSync(join(tmpdir(), 'doctor-'));
const bin = join(root, 'bin');
mkdirSync(bin);
fillBin(bin, TOOLS);
symlinkSync(process.execPath, join(bin, 'node'));

/** A checkout with its own secret and job, which the scripts and the doctor read. */
const checkout = join(root, 'checkout');
for (const path of [
  '.dockerignore',
  '.gcloudignore',
  '.github',
  'deploy',
  'docker',
  'docs',
  'package.json',
  'src',
  'tools',
])
  cpSync(path, join(checkout, path), { recursive: true });
appendFileSync(join(checkout, 'deploy/settings.txt'), 'STRIPE_KEY production secret stripe-key\n');
mkdirSync(join(checkout, 'deploy/jobs'));
const manifest = readFileSync('tools/generators/job/files/deploy/__name__.yaml.template', 'utf8');
writeFileSync(join(checkout, 'deploy/jobs/drafts.yaml'), manifest.replaceAll('<%= name %>', 'drafts'));
appendFileSync(join(checkout, 'deploy/schedules.txt'), 'drafts all Etc/UTC 0 3 * * *\n');

let cloud;
/** The state after bootstrap and a deployment, the start of every test. */
let healthy;
let project;
let variables;

before(async () => {
  cloud = await startCloud();
  const { state } = cloud;
  addProject(state, 'my-project', { number: '123', apis: ['sqladmin.googleapis.com'] });
  state.projects['my-project'].instances.main = {
    connectionName: `my-project:${REGION}:main`,
    databaseVersion: 'POSTGRES_18',
    settings: { tier: 'db-custom-1-3840' },
  };
  state.github['acme/orders'] = {
    ...{ id: '4711', ownerId: '815', isAdministered: true, variables: {} },
    responses: {
      'actions/permissions': { enabled: true, allowed_actions: 'all' },
      'branches/main': { protected: true },
      'rules/branches/main': [],
    },
  };
  for (const role of ['runtime', 'migrator'])
    writeFileSync(join(root, `${role}-url`), `postgresql://orders_${role}:secret@db.example/orders`);
  await succeeds('deploy/bootstrap.sh', [
    ...['--project', 'my-project', '--region', REGION, '--repo', 'acme/orders', '--cloud-sql', 'main', '--private'],
    ...['--with-cloud-build', '--set-vars'],
    ...['--database-url-file', join(root, 'runtime-url'), '--migrator-url-file', join(root, 'migrator-url')],
  ]);
  state.projects['my-project'].secrets['orders-stripe-key'].versions[1] = { state: 'ENABLED', value: 'sk_live' };
  await deploy();
  state.projects['my-project'].jobs[`${REGION}/orders-drafts`].executions['orders-drafts-1'] = { succeeded: true };
  healthy = structuredClone(state);
});
after(async () => {
  await cloud.close();
  rmSync(root, { recursive: true });
});

beforeEach(() => {
  cloud.state = structuredClone(healthy);
  project = cloud.state.projects['my-project'];
  ({ variables } = cloud.state.github['acme/orders']);
  cloud.calls.length = 0;
});
afterEach(() => {
  // The doctor changes nothing.
  const changing = cloud.calls
    .map(({ program, words }) => `${program} ${words.join(' ')}`)
    .filter((call) => !/^gcloud .*\b(describe|list|get-iam-policy)\b|^gh (api repos|variable list)/.test(call));
  assert.deepEqual(changing, []);
});

const run = (command, args, env = {}) =>
  runScript(command, args, { cwd: checkout, env: { PATH: bin, HOME: root, STANDIN: cloud.url, ...env } });

async function succeeds(script, args, env) {
  const result = await run(join(bin, 'bash'), [script, ...args], env);
  assert.equal(result.status, 0, `${script}: ${result.output}`);
}

/** Runs the steps of the Deploy workflow as the owner. */
async function deploy() {
  const handedOn = join(root, 'handed-on');
  const outputs = join(root, 'outputs');
  for (const file of [handedOn, outputs]) writeFileSync(file, '');
  const env = { GITHUB_ENV: handedOn, GITHUB_OUTPUT: outputs, GITHUB_SHA: COMMIT, RUNNER_TEMP: root };
  Object.assign(env, { GITHUB_RUN_NUMBER: '1', GITHUB_RUN_ATTEMPT: '1', ENVIRONMENT: 'production', BUILDER: 'runner' });
  const pairs = (file) =>
    Object.fromEntries(
      readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  const VARIABLES = JSON.stringify(cloud.state.github['acme/orders'].variables);
  for (const step of ['export-variables', 'build', 'migrate', 'candidate', 'shift-traffic', 'tag-images', 'jobs']) {
    const { digest, revision, 'previous-revision': previous } = pairs(outputs);
    const own = { DIGEST: digest, REVISION: revision, PREVIOUS_REVISION: previous, STRATEGY: 'all-at-once' };
    await succeeds(`deploy/pipeline/${step}.sh`, [], { ...env, VARIABLES, ...pairs(handedOn), ...own });
  }
}

/** Returns the findings about the cloud. */
async function examine(args = ['--repo', 'acme/orders'], env = {}) {
  const result = await run(join(bin, 'node'), ['tools/doctor/doctor.mjs', '--cloud', '--json', ...args], env);
  const { checks } = JSON.parse(result.stdout || '{"checks":[]}');
  const inCloud = checks.filter(({ id }) => /^(cloud|github)\./.test(id));
  return { ...result, checks: inCloud, wrong: inCloud.filter(({ status }) => status !== 'ok') };
}

const service = () => project.services[`${REGION}/orders`];
const serving = () => service().revisions[service().statusTraffic[0].revisionName];
const registry = () => project.repositories[`${REGION}/orders`];
const account = (name) => `orders-${name}@my-project.iam.gserviceaccount.com`;
const provider = () => project.pools['orders-github'].providers.github;
const grant = (policy, role, member, condition) =>
  policy.push({ role, members: [member], ...(condition && { condition }) });

describe('a healthy project', () => {
  test('has no findings, with the repository variables', async () => {
    const { checks, wrong } = await examine();
    assert.deepEqual(wrong, []);
    assert.ok(checks.length > 45, `${checks.length} checks`);
  });

  test('has no findings, with names on the command line and without gh', async () => {
    cloud.state.github = undefined;
    const { wrong } = await examine(['--project', 'my-project', '--region', REGION, '--service', 'orders']);
    assert.deepEqual(wrong, []);
  });

  test('has no findings before the first deployment, when its Cloud SQL instance is unknown', async () => {
    delete project.jobs[`${REGION}/orders-migrate`].template.metadata.annotations;
    const { wrong } = await examine(['--project', 'my-project', '--region', REGION, '--service', 'orders']);
    assert.deepEqual(wrong, []);
  });

  test('may accept only jobs of a GitHub environment', async () => {
    provider().attributeCondition += " && assertion.environment=='live'";
    variables.GCP_GITHUB_ENVIRONMENT = 'live';
    assert.deepEqual((await examine()).wrong, []);
  });

  test('needs the same GitHub environment on both sides', async () => {
    variables.GCP_GITHUB_ENVIRONMENT = 'live';
    const { wrong } = await examine();
    assert.match(wrong[0].detail, /^accepts jobs of every GitHub environment, and GCP_GITHUB_ENVIRONMENT is "live"$/);
    assert.match(wrong[0].fix, /^deploy\/bootstrap\.sh .* --github-environment live$/);
    provider().attributeCondition += " && assertion.environment=='production'";
    assert.equal((await examine()).wrong[0].fix, 'gh variable set GCP_GITHUB_ENVIRONMENT --body production');
  });

  test('of another environment is found by its prefixed variables', async () => {
    const others = Object.entries(variables).map(([name, value]) => [`STAGING_${name}`, value]);
    cloud.state.github['acme/orders'].variables = Object.fromEntries(others);
    const { wrong } = await examine(['--repo', 'acme/orders', '--environment', 'staging']);
    assert.deepEqual(
      wrong.map(({ id, detail }) => `${id}: ${detail}`),
      ['cloud.image: the image of orders-c0ffee0-1-1 lacks the tag serving-staging, so the cleanup may delete it'],
    );
  });

  test('is printed as a table with counts', async () => {
    project.apis = project.apis.filter((api) => api !== 'sts.googleapis.com');
    const { status, stdout } = await run(join(bin, 'node'), [
      'tools/doctor/doctor.mjs',
      '--cloud',
      '--repo',
      'acme/orders',
    ]);
    assert.equal(status, 1);
    assert.match(
      stdout,
      /^fail {2}cloud\.apis +disabled: sts\.googleapis\.com\n +→ gcloud services enable sts\.googleapis\.com --project=my-project$/m,
    );
    assert.match(stdout, /\n\d+ ok, \d+ warnings, 1 failures\n$/);
  });
});

describe('--terraform', () => {
  const terraform = (args) => run(join(bin, 'node'), ['tools/doctor/doctor.mjs', '--terraform', ...args]);

  test('prints an import block for each resource and grant of the project', async () => {
    const { status, stdout } = await terraform(['--repo', 'acme/orders']);
    assert.equal(status, 0);
    const ids = Object.fromEntries(
      [...stdout.matchAll(/^import \{\n {2}to = (.+)\n {2}id = "(.+)"\n\}$/gm)].map(([, to, id]) => [to, id]),
    );
    assert.equal(ids['google_cloud_run_v2_service.service'], `projects/my-project/locations/${REGION}/services/orders`);
    assert.equal(
      ids['google_secret_manager_secret.stripe_key_secret'],
      'projects/my-project/secrets/orders-stripe-key',
    );
    assert.equal(
      ids['google_project_iam_member.runtime_cloudsql_client_on_cloud_sql'],
      `my-project roles/cloudsql.client serviceAccount:${account('runtime')} main`,
    );
    assert.equal(Object.keys(ids).filter((address) => address.includes('_iam_member.')).length, readGrants().length);
  });

  test('explains why it cannot read the project', async () => {
    cloud.state.operator = undefined;
    const { status, stdout, stderr } = await terraform(['--repo', 'acme/orders']);
    assert.deepEqual([status, stdout, stderr], [2, '', 'gcloud is not signed in (gcloud auth login)\n']);
  });
});

describe('each grant of deploy/grants.txt', () => {
  const policies = () => ({
    project: project.policy,
    cloud_sql: project.policy,
    deployer: project.accounts[account('deploy')].policy,
    runtime: project.accounts[account('runtime')].policy,
    migrator: project.accounts[account('migrate')].policy,
    builder: project.accounts[account('build')].policy,
    repository: registry().policy,
    service: service().policy,
    job: project.jobs[`${REGION}/orders-migrate`].policy,
    own_jobs: project.jobs[`${REGION}/orders-drafts`].policy,
    runtime_secret: project.secrets['orders-database-url'].policy,
    migrator_secret: project.secrets['orders-migrator-database-url'].policy,
    own_secrets: project.secrets['orders-stripe-key'].policy,
    build_bucket: project.buckets['my-project-orders-source'].policy,
    build_log_bucket: project.buckets['my-project-orders-logs'].policy,
  });
  const NAMES = { deployer: 'deploy', runtime: 'runtime', migrator: 'migrate', scheduler: 'cron', builder: 'build' };

  for (const { principal, role, resource, failure } of readGrants()) {
    test(`reports ${principal} without ${role} on ${resource}`, async () => {
      const member = principal === 'workflow' ? 'principalSet:' : `serviceAccount:${account(NAMES[principal])}`;
      const binding = policies()[resource].find(
        (each) => each.role === role && each.members.some((name) => name.startsWith(member)),
      );
      binding.members = binding.members.filter((name) => !name.startsWith(member));
      const { status, wrong } = await examine();
      assert.equal(status, 1);
      assert.deepEqual(
        wrong.map(({ id }) => id),
        [
          `cloud.grant.${principal}.${role.replace('roles/', '')}.${resource.replace('own_secrets', 'stripe-key_secret').replace('own_jobs', 'drafts_job')}`,
        ],
      );
      assert.ok(wrong[0].detail.endsWith(`failing step: ${failure}`), wrong[0].detail);
      assert.match(
        wrong[0].fix,
        /^deploy\/bootstrap\.sh --project my-project .* --repo acme\/orders .*--with-cloud-build$/,
      );
    });
  }
});

describe('wider grants', () => {
  const deployer = `serviceAccount:${account('deploy')}`;
  const onProject = (role) =>
    `gcloud projects remove-iam-policy-binding my-project --member=${deployer} --role=${role} --condition=None`;
  for (const [title, widen, id, detail, fix] of [
    [
      'run.admin on the project',
      () => grant(project.policy, 'roles/run.admin', deployer),
      'deployer',
      'orders-deploy has roles/run.admin on the project my-project',
      onProject('roles/run.admin'),
    ],
    [
      'actAs on the project',
      () => grant(project.policy, 'roles/iam.serviceAccountUser', deployer),
      'deployer',
      'orders-deploy has roles/iam.serviceAccountUser on the project my-project',
      onProject('roles/iam.serviceAccountUser'),
    ],
    [
      'storage.admin on the project',
      () => grant(project.policy, 'roles/storage.admin', deployer),
      'deployer',
      'orders-deploy has roles/storage.admin on the project my-project',
      onProject('roles/storage.admin'),
    ],
    [
      'run.admin on the service',
      () => grant(service().policy, 'roles/run.admin', deployer),
      'deployer',
      'orders-deploy has roles/run.admin on the service orders',
      `gcloud run services remove-iam-policy-binding orders --region=${REGION} --project=my-project --member=${deployer} --role=roles/run.admin`,
    ],
    [
      'the secret of the migrations for the service',
      () =>
        grant(
          project.secrets['orders-migrator-database-url'].policy,
          'roles/secretmanager.secretAccessor',
          `serviceAccount:${account('runtime')}`,
        ),
      'runtime',
      'orders-runtime has roles/secretmanager.secretAccessor on orders-migrator-database-url',
      /secrets remove-iam-policy-binding orders-migrator-database-url/,
    ],
    [
      'every Cloud SQL instance',
      () => grant(project.policy, 'roles/cloudsql.client', `serviceAccount:${account('migrate')}`),
      'migrator',
      'orders-migrate has roles/cloudsql.client on the project my-project',
      /--role=roles\/cloudsql\.client --condition=None$/,
    ],
    [
      'another Cloud SQL instance',
      () =>
        grant(project.policy, 'roles/cloudsql.client', `serviceAccount:${account('migrate')}`, {
          title: 'other',
          expression: "resource.name == 'projects/my-project/instances/other'",
        }),
      'migrator',
      'orders-migrate has roles/cloudsql.client on the project my-project with the condition "other"',
      /--role=roles\/cloudsql\.client --all$/,
    ],
    [
      'run.developer for the build account',
      () => grant(service().policy, 'roles/run.developer', `serviceAccount:${account('build')}`),
      'builder',
      'orders-build has roles/run.developer on the service orders',
      /^gcloud run services remove-iam-policy-binding/,
    ],
    [
      'a public secret',
      () =>
        grant(
          project.secrets['orders-database-url'].policy,
          'roles/secretmanager.secretAccessor',
          'allAuthenticatedUsers',
        ),
      'everybody',
      'the public has roles/secretmanager.secretAccessor on orders-database-url (allAuthenticatedUsers)',
      /--member=allAuthenticatedUsers/,
    ],
    [
      'every identity of the pool',
      () =>
        grant(
          project.accounts[account('deploy')].policy,
          'roles/iam.workloadIdentityUser',
          'principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/orders-github/*',
        ),
      'workflow',
      /^principals other than the workflow have roles\/iam\.workloadIdentityUser on orders-deploy \(principalSet:.*\/\*\)$/,
      /^gcloud iam service-accounts remove-iam-policy-binding orders-deploy@/,
    ],
  ]) {
    test(title, async () => {
      widen();
      const { status, wrong } = await examine();
      assert.equal(status, 1);
      assert.deepEqual(
        wrong.map((check) => check.id),
        [`cloud.wider.${id}`],
      );
      for (const [actual, expected] of [
        [wrong[0].detail, detail],
        [wrong[0].fix, fix],
      ])
        if (expected instanceof RegExp) assert.match(actual, expected);
        else assert.equal(actual, expected);
    });
  }

  test('a grant with an unknown condition does not count', async () => {
    service().policy.find(({ role }) => role === 'roles/run.developer').condition = {
      title: 'until May',
      expression: 'true',
    };
    const { wrong } = await examine();
    assert.deepEqual(
      wrong.map(({ id }) => id),
      ['cloud.grant.deployer.run.developer.service', 'cloud.wider.deployer'],
    );
    assert.match(wrong[1].detail, /roles\/run\.developer on the service orders with the condition "until May"$/);
  });

  test('a public service is not reported', async () => {
    grant(service().policy, 'roles/run.invoker', 'allUsers');
    assert.deepEqual((await examine()).wrong, []);
  });

  test('a key file is reported with the command that deletes it', async () => {
    project.accounts[account('deploy')].keys = ['0123abcd'];
    const { wrong } = await examine();
    assert.deepEqual(
      wrong.map(({ id, fix }) => `${id}: ${fix}`),
      [`cloud.keys.deployer: gcloud iam service-accounts keys delete 0123abcd --iam-account=${account('deploy')}`],
    );
  });
});

/** Title, change, the expected findings as `id status`, then detail and fix of the first one. */
const PROBLEMS = [
  [
    'a disabled API',
    () => (project.apis = project.apis.filter((api) => api !== 'secretmanager.googleapis.com')),
    ['cloud.apis fail', '*'],
    /disabled: secretmanager/,
    /^gcloud services enable secretmanager/,
  ],
  [
    'no registry',
    () => delete project.repositories[`${REGION}/orders`],
    ['cloud.registry fail', '*'],
    /the registry orders in europe-west1 does not exist/,
    /^deploy\/bootstrap\.sh/,
  ],
  [
    'a registry in another region',
    () => (variables.GCP_REGION = 'europe-west4'),
    ['cloud.registry fail', '*'],
    /orders in europe-west4 does not exist/,
    /--region europe-west4/,
  ],
  [
    'a registry of another format',
    () => (registry().format = 'npm'),
    ['cloud.registry fail'],
    /stores NPM instead of images/,
    /GCP_ARTIFACT_REPOSITORY/,
  ],
  [
    'no cleanup policies',
    () => (registry().cleanup = undefined),
    ['cloud.cleanup fail'],
    /"delete-old" .* is not set/,
    /^deploy\/bootstrap\.sh/,
  ],
  [
    'no policy for the deployed image',
    () => delete registry().cleanup['keep-what-serves'],
    ['cloud.cleanup fail'],
    /"keep-what-serves"/,
    /^deploy/,
  ],
  [
    'another number of kept images',
    () => (registry().cleanup['keep-newest'].mostRecentVersions.keepCount = 2),
    ['cloud.cleanup fail'],
    /"keep-newest"/,
    /^deploy/,
  ],
  [
    'a cleanup in dry-run mode',
    () => (registry().cleanupDryRun = true),
    ['cloud.cleanup warn'],
    /is a dry run/,
    /^deploy/,
  ],
  [
    'immutable tags',
    () => (registry().immutableTags = true),
    ['cloud.cleanup fail'],
    /immutable tags/,
    /--no-immutable-tags$/,
  ],
  [
    'no account',
    () => delete project.accounts[account('migrate')],
    ['cloud.account.migrator fail', '*'],
    /orders-migrate@.* does not exist/,
    /^deploy/,
  ],
  [
    'a disabled account',
    () => (project.accounts[account('runtime')].disabled = true),
    ['cloud.account.runtime fail'],
    /is disabled/,
    /^gcloud iam service-accounts enable/,
  ],
  [
    'a deleted pool',
    () => (project.pools['orders-github'].state = 'DELETED'),
    ['cloud.pool fail'],
    /orders-github is DELETED/,
    /^deploy/,
  ],
  [
    'a disabled pool',
    () => (project.pools['orders-github'].disabled = true),
    ['cloud.pool fail'],
    /orders-github is disabled/,
    /^gcloud iam workload-identity-pools update orders-github .* --no-disabled$/,
  ],
  [
    'a disabled provider',
    () => (provider().disabled = true),
    ['cloud.provider fail'],
    /github is disabled/,
    /^gcloud iam workload-identity-pools providers update-oidc github .* --no-disabled$/,
  ],
  [
    'a provider that accepts every branch',
    () => (provider().attributeCondition = "assertion.repository_id=='4711'"),
    ['cloud.provider fail'],
    /^accepts assertion\.repository_id=='4711'$/,
    /^deploy/,
  ],
  [
    'a provider without a condition',
    () => delete provider().attributeCondition,
    ['cloud.provider fail'],
    /every run of every repository/,
    /^deploy/,
  ],
  [
    'a widened condition',
    () => (provider().attributeCondition += ' || true'),
    ['cloud.provider fail'],
    /^accepts .* \|\| true$/,
    /^deploy/,
  ],
  [
    'another issuer',
    () => (provider().oidc.issuerUri = 'https://example.com'),
    ['cloud.provider fail'],
    /accepts the issuer https:\/\/example\.com/,
    /update-oidc github .* --issuer-uri=https:/,
  ],
  [
    'GitHub’s own subject in the mapping',
    () => (provider().attributeMapping['google.subject'] = 'assertion.sub'),
    ['cloud.provider fail'],
    /maps other attributes/,
    /update-oidc github/,
  ],
  [
    'a recreated repository',
    () => (cloud.state.github['acme/orders'].id = '4712'),
    ['cloud.provider fail', 'cloud.grant.workflow.iam.workloadIdentityUser.deployer fail', 'cloud.wider.workflow fail'],
    /accepts the repository 4711 of 815, and this one is 4712 of 815/,
    /^deploy/,
  ],
  [
    'a provider name with the id of the project',
    () => (variables.GCP_WIF_PROVIDER = variables.GCP_WIF_PROVIDER.replace('/123/', '/my-project/')),
    ['cloud.provider fail'],
    /has the project my-project, but my-project has the number 123/,
    /^gh variable set GCP_WIF_PROVIDER --body projects\/123\//,
  ],
  [
    'a secret without a version',
    () => (project.secrets['orders-migrator-database-url'].versions = {}),
    ['cloud.secret.migrator fail'],
    /has no enabled version/,
    /^gcloud secrets versions add orders-migrator-database-url/,
  ],
  [
    'a disabled secret version',
    () => (project.secrets['orders-database-url'].versions[1].state = 'DISABLED'),
    ['cloud.secret.runtime fail'],
    /no enabled version/,
    /^gcloud secrets versions add/,
  ],
  [
    'a deployed secret version that is disabled',
    () => (project.secrets['orders-database-url'].versions = { 1: { state: 'DISABLED' }, 2: { state: 'ENABLED' } }),
    ['cloud.secret.runtime fail'],
    /reads version 1 .* which is not enabled/,
    /^gcloud secrets versions enable 1/,
  ],
  [
    'split traffic',
    () => {
      const [first] = service().statusTraffic;
      const other = Object.keys(service().revisions).find((name) => name !== first.revisionName);
      first.percent = 60;
      service().statusTraffic.push({ revisionName: other, percent: 40 });
    },
    ['cloud.traffic fail'],
    /split: orders-c0ffee0-1-1 60 %, .* 40 %/,
    /^gh workflow run rollback\.yml/,
  ],
  [
    'traffic that follows the newest revision',
    () => (service().traffic = [{ latestRevision: true, percent: 100 }]),
    ['cloud.traffic warn'],
    /not pinned/,
    /update-traffic orders .*--to-revisions=orders-c0ffee0-1-1=100/,
  ],
  [
    'a newer revision without traffic',
    () => (service().revisions['orders-facade0-2-1'] = serving()),
    ['cloud.traffic warn'],
    /orders-c0ffee0-1-1 100 %; the newer revision orders-facade0-2-1 has none/,
    /^npm run deploy$/,
  ],
  [
    'another service account',
    () => (serving().template.spec.serviceAccountName = '123-compute@developer.gserviceaccount.com'),
    ['cloud.identity fail'],
    /runs as 123-compute@/,
    /^npm run deploy$/,
  ],
  [
    'another probe window',
    () => (serving().template.spec.containers[0].startupProbe.failureThreshold = 3),
    ['cloud.probes warn'],
    /startupProbe \(\/health\/startup, 3 s\)/,
    /^npm run deploy$/,
  ],
  [
    'no readiness probe',
    () => delete serving().template.spec.containers[0].readinessProbe,
    ['cloud.probes warn'],
    /readinessProbe/,
    /^npm run deploy$/,
  ],
  [
    'a newest revision that never started',
    () => {
      service().revisions['orders-bad-2-1'] = {
        ...serving(),
        ready: false,
        message: 'The user-provided container failed the configured startup probe checks.',
      };
    },
    ['cloud.service warn'],
    /failed the configured startup probe checks/,
    /--explain/,
  ],
  [
    'a failed migration',
    () => {
      for (const execution of Object.values(project.jobs[`${REGION}/orders-migrate`].executions))
        execution.succeeded = false;
    },
    ['cloud.migration fail'],
    /orders-migrate-\S+ failed/,
    /^gcloud run jobs logs read orders-migrate/,
  ],
  [
    'a running migration',
    () => {
      for (const execution of Object.values(project.jobs[`${REGION}/orders-migrate`].executions))
        delete execution.succeeded;
    },
    ['cloud.migration warn'],
    /orders-migrate-\S+ is running/,
    /^Rerun this check/,
  ],
  [
    'migrations that never ran',
    () => (project.jobs[`${REGION}/orders-migrate`].executions = {}),
    ['cloud.migration warn'],
    /never run/,
    /^npm run deploy$/,
  ],
  [
    'a failed execution of a job',
    () => (project.jobs[`${REGION}/orders-drafts`].executions['orders-drafts-1'].succeeded = false),
    ['cloud.job.drafts fail'],
    /orders-drafts-1 failed/,
    /^gcloud run jobs logs read orders-drafts/,
  ],
  [
    'another schedule',
    () => (project.schedules[`${REGION}/orders-drafts`].schedule = '0 4 * * *'),
    ['cloud.schedule.drafts fail'],
    /^0 4 \* \* \* Etc\/UTC instead of 0 3 \* \* \* Etc\/UTC$/,
    /^deploy\/bootstrap\.sh /,
  ],
  [
    'a paused schedule',
    () => (project.schedules[`${REGION}/orders-drafts`].state = 'PAUSED'),
    ['cloud.schedule.drafts warn'],
    /^orders-drafts is PAUSED$/,
    /^gcloud scheduler jobs resume orders-drafts /,
  ],
  [
    'a schedule whose last call was rejected',
    () => (project.schedules[`${REGION}/orders-drafts`].status = { code: 7 }),
    ['cloud.schedule.drafts fail'],
    /^the last call of orders-drafts failed with code 7$/,
    /^deploy\/bootstrap\.sh /,
  ],
  [
    'a small instance',
    () => (project.instances.main.settings.tier = 'db-g1-small'),
    ['cloud.connections fail'],
    /main allows 50, and a rollout needs 95/,
    / --database-flags=max_connections=95, or/,
  ],
  [
    'a low max_connections',
    () =>
      (project.instances.main.settings.databaseFlags = [
        { name: 'max_connections', value: '90' },
        { name: 'log_connections', value: 'on' },
      ]),
    ['cloud.connections fail'],
    /allows 90/,
    /--database-flags=max_connections=95,log_connections=on, or/,
  ],
  [
    'an incomplete instance name',
    () => (variables.GCP_CLOUD_SQL_INSTANCE = 'main'),
    ['cloud.connections fail'],
    /GCP_CLOUD_SQL_INSTANCE is main instead of my-project:REGION:INSTANCE/,
    /^gh variable set GCP_CLOUD_SQL_INSTANCE/,
  ],
  [
    'a stopped instance',
    () => (project.instances.main.state = 'STOPPED'),
    ['cloud.connections fail'],
    /main is STOPPED/,
    /--activation-policy=ALWAYS/,
  ],
  [
    'a deleted image',
    () => (registry().packages.orders.versions = {}),
    ['cloud.image warn'],
    /no longer has the image of orders-c0ffee0-1-1/,
    /^npm run deploy$/,
  ],
  [
    'an untagged image',
    () => delete registry().packages.orders.tags['serving-production'],
    ['cloud.image warn'],
    /lacks the tag serving-production/,
    /^gcloud artifacts docker tags add/,
  ],
  [
    'overdue images',
    () => {
      for (let day = 1; day <= 25; day++)
        registry().packages.orders.versions[`sha256:${day}`] = {
          createTime: `2026-01-${String(day).padStart(2, '0')}T00:00:00Z`,
        };
    },
    ['cloud.images warn'],
    /should have deleted \d+ of 26/,
    /^deploy\/bootstrap\.sh/,
  ],
  [
    'a deleted service',
    () => delete project.services[`${REGION}/orders`],
    ['cloud.service fail', '*'],
    /the service orders does not exist/,
    /^deploy\/bootstrap\.sh/,
  ],
];

describe('problems', () => {
  for (const [title, change, expected, detail, fix] of PROBLEMS) {
    test(title, async () => {
      change();
      const { status, wrong } = await examine();
      const found = wrong.map((check) => `${check.id} ${check.status}`);
      // '*': dependent checks also report it.
      if (expected.includes('*')) assert.ok(found.includes(expected[0]), found.join('\n'));
      else assert.deepEqual(found, expected);
      const first = wrong.find(({ id }) => expected[0].startsWith(`${id} `));
      assert.match(first.detail, detail);
      assert.match(first.fix, fix);
      assert.equal(status, found.some((line) => line.endsWith('fail')) ? 1 : 0);
    });
  }
});

test('before the first deployment, warnings recommend it', async () => {
  const [sample, deployed] = Object.keys(service().revisions);
  delete service().revisions[deployed];
  service().statusTraffic = [{ revisionName: sample, percent: 100 }];
  service().traffic = service().statusTraffic;
  project.jobs[`${REGION}/orders-migrate`].executions = {};
  const { status, wrong } = await examine();
  assert.equal(status, 0, JSON.stringify(wrong));
  assert.deepEqual(
    wrong.map(({ id, fix }) => `${id}: ${fix}`),
    ['identity', 'probes', 'migration', 'image'].map((check) => `cloud.${check}: npm run deploy`),
  );
});

describe('GitHub', () => {
  const responses = () => cloud.state.github['acme/orders'].responses;
  const selected = {
    github_owned_allowed: true,
    verified_allowed: false,
    patterns_allowed: ['ossf/scorecard-action@*'],
  };
  for (const [title, change, id, detail] of [
    [
      'Actions are disabled',
      () => (responses()['actions/permissions'] = { enabled: false }),
      'actions',
      /^Actions are disabled for the repository$/,
    ],
    [
      'only selected actions are allowed',
      () => {
        responses()['actions/permissions'].allowed_actions = 'selected';
        responses()['actions/permissions/selected-actions'] = selected;
      },
      'actions',
      /reject google-github-actions\/auth, google-github-actions\/setup-gcloud$/,
    ],
    [
      'only local actions are allowed',
      () => (responses()['actions/permissions'].allowed_actions = 'local_only'),
      'actions',
      /reject actions\/checkout, /,
    ],
    [
      'the settings cannot be read',
      () => delete responses()['actions/permissions'],
      'actions',
      /^cannot read the Actions settings: gh: Not Found/,
    ],
    [
      'main is not protected',
      () => (responses()['branches/main'].protected = false),
      'protection',
      /^main is not protected: every account with write access/,
    ],
    ['main does not exist', () => delete responses()['branches/main'], 'protection', /^cannot read the branch main/],
  ]) {
    test(`warns when ${title}`, async () => {
      change();
      const { wrong } = await examine();
      assert.deepEqual(
        wrong.map((finding) => [finding.id, finding.status]),
        [[`github.${id}`, 'warn']],
      );
      assert.match(wrong[0].detail, detail);
    });
  }

  test('accepts selected actions, and rules in place of branch protection', async () => {
    responses()['actions/permissions'].allowed_actions = 'selected';
    responses()['actions/permissions/selected-actions'] = { ...selected, verified_allowed: true };
    responses()['branches/main'].protected = false;
    responses()['rules/branches/main'] = [{ type: 'pull_request' }];
    assert.deepEqual((await examine()).wrong, []);
  });
});

describe('organization policies', () => {
  for (const [constraint, policy, detail] of [
    ['sql.restrictPublicIp', true, /forbids database instances with a public address/],
    ['gcp.resourceLocations', ['us-central1'], /forbids the region/],
    ['iam.workloadIdentityPoolProviders', ['https://accounts.example.com'], /forbids the issuer of GitHub Actions/],
  ]) {
    test(`warns about ${constraint}`, async () => {
      project.orgPolicies[constraint] = policy;
      const { wrong } = await examine();
      assert.deepEqual(
        wrong.map(({ id }) => id),
        ['cloud.policies'],
      );
      assert.match(wrong[0].detail, detail);
    });
  }

  test('accepts those that permit the region and the issuer', async () => {
    project.orgPolicies['gcp.resourceLocations'] = ['in:europe-locations'];
    project.orgPolicies['iam.workloadIdentityPoolProviders'] = ['https://token.actions.githubusercontent.com'];
    assert.deepEqual((await examine()).wrong, []);
  });
});

describe('without access there is one finding', () => {
  for (const [title, change, detail, fix, args] of [
    [
      'gcloud is not signed in',
      () => (cloud.state.operator = undefined),
      /gcloud is not signed in/,
      /^gcloud auth login$/,
    ],
    [
      'the project does not exist',
      () => (variables.GCP_PROJECT_ID = 'other-project'),
      /cannot read other-project/,
      /^gcloud projects list/,
    ],
    [
      'the project has no billing',
      () => (project.billing = false),
      /no billing account/,
      /^gcloud billing projects link my-project/,
    ],
    [
      'the variables are not set',
      () => (cloud.state.github['acme/orders'].variables = {}),
      /GCP_PROJECT_ID, GCP_REGION, GCP_SERVICE are not all set/,
      /--project ID --region REGION --service NAME/,
    ],
    [
      'the variables of the environment are not set',
      () => {},
      /STAGING_GCP_PROJECT_ID/,
      /--project ID/,
      ['--environment', 'staging'],
    ],
    ['gh is not signed in', () => (cloud.state.github = undefined), /gh auth login/, /--project ID/],
  ]) {
    test(title, async () => {
      change();
      const { status, wrong, checks } = await examine(['--repo', 'acme/orders', ...(args ?? [])]);
      assert.equal(status, 1);
      assert.deepEqual(
        checks.map(({ id }) => id),
        ['cloud.project'],
      );
      assert.match(wrong[0].detail, detail);
      assert.match(wrong[0].fix, fix);
    });
  }

  test('gcloud is not installed', async () => {
    const path = mkdtempSync(join(root, 'bin-'));
    fillBin(path, ['git'], ['gh']);
    const { wrong } = await examine(undefined, { PATH: path });
    assert.deepEqual(
      wrong.map(({ id, detail }) => `${id}: ${detail}`),
      ['cloud.project: gcloud is not installed'],
    );
  });

  test('denied requests are warnings', async () => {
    cloud.state.operator = 'other@example.com';
    grant(project.policy, 'roles/run.viewer', 'user:other@example.com');
    const { status, wrong } = await examine();
    assert.equal(status, 0, JSON.stringify(wrong.filter(({ status: each }) => each === 'fail')));
    assert.match(
      wrong.find(({ id }) => id === 'cloud.apis').detail,
      /^cannot read the list of APIs: PERMISSION_DENIED/,
    );
    assert.match(wrong.find(({ id }) => id === 'cloud.wider.deployer').detail, /^cannot read/);
  });
});
