// deploy/bootstrap.sh and deploy/teardown.sh, run against the gcloud and gh beside this file. BASH_UNDER_TEST is another
// shell to run them with, such as a bash 3.2.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';

const SHELL = process.env.BASH_UNDER_TEST ?? 'bash';
/** All that the scripts may use beside gcloud and gh. */
const TOOLS = [
  'bash',
  'basename',
  'cat',
  'cut',
  'dirname',
  'grep',
  'mkdir',
  'mktemp',
  'mv',
  'rm',
  'sed',
  'tail',
  'touch',
  'tr',
];
const OPTIONS = ['--project', 'my-project', '--region', 'europe-west1', '--repo', 'acme/orders'];
const SQL = ['--cloud-sql', 'main'];
const BUILD = ['--with-cloud-build'];
const urlOf = (role, password) => `postgresql://orders_${role}:${password}@db.example/orders`;
const RUNTIME_URL = urlOf('runtime', 'first-secret');
const MIGRATOR_URL = urlOf('migrator', 'second-secret');

const account = (name) => `serviceAccount:orders-${name}@my-project.iam.gserviceaccount.com`;
const ONLY_MAIN = `expression=resource.service == 'sqladmin.googleapis.com' && resource.name == 'projects/my-project/instances/main',title=main`;

/** Who may do what: on which resource, in which role, who. */
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
  `projects/my-project roles/run.viewer ${account('deploy')} None`,
  `projects/my-project roles/logging.viewer ${account('deploy')} None`,
];
const PRIVATE_GRANTS = [`run-services/orders roles/run.invoker ${account('deploy')}`];
const SQL_GRANTS = [
  `projects/my-project roles/cloudsql.client ${account('runtime')} ${ONLY_MAIN}`,
  `projects/my-project roles/cloudsql.client ${account('migrate')} ${ONLY_MAIN}`,
];
const BUILD_GRANTS = [
  `projects/my-project roles/cloudbuild.builds.editor ${account('deploy')} None`,
  `projects/my-project roles/serviceusage.serviceUsageConsumer ${account('deploy')} None`,
  `iam-service-accounts/orders-build roles/iam.serviceAccountUser ${account('deploy')}`,
  `storage-buckets/my-project-orders-source roles/storage.legacyBucketWriter ${account('deploy')}`,
  `storage-buckets/my-project-orders-logs roles/storage.objectViewer ${account('deploy')}`,
  `storage-buckets/my-project-orders-source roles/storage.objectViewer ${account('build')}`,
  `storage-buckets/my-project-orders-logs roles/storage.objectUser ${account('build')}`,
  `artifacts-repositories/orders roles/artifactregistry.writer ${account('build')}`,
];

const root = mkdtempSync(join(tmpdir(), 'bootstrap-'));
after(() => rmSync(root, { recursive: true }));

let cloud;
beforeEach(() => {
  cloud = mkdtempSync(join(root, 'cloud-'));
  write('account', 'me@example.com');
  write('project', '123');
  write('billing', 'True');
  write('github', '4711 815');
  write('sql', 'my-project:europe-west1:main|POSTGRES_18|db-custom-1-3840|');
  write('apis', '');
  write('grants', '');
  writeFileSync(join(cloud, 'runtime-url'), `${RUNTIME_URL}\n`);
  writeFileSync(join(cloud, 'migrator-url'), MIGRATOR_URL);
});

const bin = join(root, 'bin');
cpSync('template/bootstrap', bin, { recursive: true });
writeFileSync(join(bin, 'sleep'), '#!/bin/sh\necho "$1" >>"$CLOUD/sleeps"\n', { mode: 0o755 });
for (const tool of TOOLS) {
  const path = tool === 'bash' ? SHELL : tool;
  symlinkSync(spawnSync('which', [path], { encoding: 'utf8' }).stdout.trim(), join(bin, tool));
}

function write(file, text) {
  writeFileSync(join(cloud, file), text && `${text}\n`);
}
const lines = (file) =>
  existsSync(join(cloud, file))
    ? readFileSync(join(cloud, file), 'utf8')
        .split('\n')
        .filter((line) => line)
    : [];
const sorted = (list) => list.toSorted((a, b) => (a < b ? -1 : 1));
const calls = () => lines('calls').map((line) => line.trim().replaceAll('\t', ' '));
/** What exists, without what the fake notes beside it. */
const things = () =>
  readdirSync(join(cloud, 'things'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(trust|public)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).replace(`${cloud}/things/`, ''));
const changes = (list = calls()) =>
  list.filter((call) => !/ (describe|list|get-iam-policy) ?/.test(call) && !call.startsWith('gh api'));

function run(script, args, { path = bin, ...env } = {}) {
  const { status, stdout, stderr } = spawnSync(join(bin, 'bash'), [`deploy/${script}.sh`, ...args], {
    encoding: 'utf8',
    env: { PATH: path, CLOUD: cloud, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { status, stdout, stderr, output: stdout + stderr };
}
const urls = () => [
  '--database-url-file',
  join(cloud, 'runtime-url'),
  '--migrator-url-file',
  join(cloud, 'migrator-url'),
];
const bootstrap = (args = [], env) => run('bootstrap', [...OPTIONS, ...args], env);
const teardown = (args = []) => run('teardown', [...OPTIONS, '--yes', ...args]);

function succeeds(result) {
  assert.equal(result.status, 0, result.output);
  return result;
}
/** Ends with one line that says what is wrong and what to do. */
function fails(result, message) {
  assert.notEqual(result.status, 0, result.output);
  assert.match(result.stderr, message);
  assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
}

/** Runs again and again until nothing is left to interrupt. @returns how often it was */
function interruptions(attempt) {
  for (let count = 0; ; count++) {
    const result = attempt();
    if (result.status === 0) return count;
    fails(result, /connection reset/);
  }
}

describe('the first run', () => {
  test('makes all that the pipeline needs, and grants what is listed above', () => {
    const { stdout } = succeeds(bootstrap(urls()));
    assert.deepEqual(sorted(things()), [
      'artifacts-repositories/orders',
      'iam-service-accounts/orders-deploy',
      'iam-service-accounts/orders-migrate',
      'iam-service-accounts/orders-runtime',
      'iam-workload-identity-pools-providers/orders-github/github',
      'iam-workload-identity-pools/orders-github',
      'run-jobs/orders-migrate',
      'run-services/orders',
      'secrets/orders-database-url',
      'secrets/orders-migrator-database-url',
    ]);
    assert.deepEqual(sorted(lines('grants')), sorted(GRANTS));
    assert.deepEqual(sorted(lines('apis')), [
      'artifactregistry.googleapis.com',
      'iam.googleapis.com',
      'iamcredentials.googleapis.com',
      'logging.googleapis.com',
      'run.googleapis.com',
      'secretmanager.googleapis.com',
      'sts.googleapis.com',
    ]);
    assert.match(stdout, /^\(1\/12\) APIs: /m);
    assert.match(stdout, /^\(12\/12\) GitHub: /m);
  });

  test('trusts two workflows on main, started by hand, of one repository', () => {
    succeeds(bootstrap(urls()));
    assert.deepEqual(lines('things/iam-workload-identity-pools-providers/orders-github/github.trust'), [
      [
        `assertion.repository_id=='4711'`,
        `assertion.repository_owner_id=='815'`,
        `assertion.ref=='refs/heads/main'`,
        `assertion.event_name=='workflow_dispatch'`,
        `(assertion.workflow_ref.endsWith('/.github/workflows/deploy.yml@refs/heads/main') || assertion.workflow_ref.endsWith('/.github/workflows/rollback.yml@refs/heads/main'))`,
      ].join(' && '),
    ]);
  });

  test('makes them by these commands', () => {
    succeeds(bootstrap([...urls(), ...SQL, ...BUILD]));
    const there = '--location=europe-west1 --project=my-project';
    const onRun = '--region=europe-west1 --project=my-project';
    const bucket = `--project=my-project --location=europe-west1 --uniform-bucket-level-access --public-access-prevention --lifecycle-file=deploy/bucket-lifecycle.json`;
    const trust = lines('things/iam-workload-identity-pools-providers/orders-github/github.trust');
    assert.deepEqual(
      changes().filter((call) => !call.includes(' add-iam-policy-binding ')),
      [
        'services enable run.googleapis.com artifactregistry.googleapis.com iam.googleapis.com iamcredentials.googleapis.com sts.googleapis.com secretmanager.googleapis.com logging.googleapis.com sqladmin.googleapis.com cloudbuild.googleapis.com storage.googleapis.com --project=my-project',
        `artifacts repositories create orders ${there} --repository-format=docker --description=Images of orders`,
        `artifacts repositories set-cleanup-policies orders ${there} --policy=deploy/cleanup-policy.json --no-dry-run`,
        'iam service-accounts create orders-deploy --project=my-project --display-name=Deploys orders from GitHub',
        'iam service-accounts create orders-runtime --project=my-project --display-name=orders',
        'iam service-accounts create orders-migrate --project=my-project --display-name=Migrations of orders',
        'iam workload-identity-pools create orders-github --location=global --project=my-project --display-name=GitHub Actions',
        `iam workload-identity-pools providers create-oidc github --workload-identity-pool=orders-github --location=global --project=my-project --issuer-uri=https://token.actions.githubusercontent.com --attribute-mapping=google.subject='run:' + assertion.run_id,attribute.repository_id=assertion.repository_id --attribute-condition=${trust[0]}`,
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

  test('with --private has the service check callers, and lets the deployer call', () => {
    succeeds(bootstrap([...urls(), '--private']));
    assert.match(
      calls().find((call) => call.startsWith('run deploy')),
      / --invoker-iam-check --no-allow-unauthenticated$/,
    );
    assert.deepEqual(sorted(lines('grants')), sorted([...GRANTS, ...PRIVATE_GRANTS]));
  });

  test('with --cloud-sql lets the service and its migrations at that instance alone', () => {
    const { stdout } = succeeds(bootstrap([...urls(), ...SQL]));
    assert.deepEqual(sorted(lines('grants')), sorted([...GRANTS, ...SQL_GRANTS]));
    assert.ok(lines('apis').includes('sqladmin.googleapis.com'));
    assert.match(stdout, /^ {2}GCP_CLOUD_SQL_INSTANCE=my-project:europe-west1:main$/m);
  });

  test('with --with-cloud-build makes the builds’ account and buckets', () => {
    const { stdout } = succeeds(bootstrap([...urls(), ...BUILD]));
    assert.deepEqual(sorted(lines('grants')), sorted([...GRANTS, ...BUILD_GRANTS]));
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

  test('prints the repository variables', () => {
    const { stdout } = succeeds(bootstrap(urls()));
    assert.deepEqual(stdout.match(/^ {2}GCP_.*$/gm), [
      '  GCP_PROJECT_ID=my-project',
      '  GCP_REGION=europe-west1',
      '  GCP_SERVICE=orders',
      '  GCP_ARTIFACT_REPOSITORY=orders',
      '  GCP_WIF_PROVIDER=projects/123/locations/global/workloadIdentityPools/orders-github/providers/github',
      '  GCP_DEPLOYER=orders-deploy@my-project.iam.gserviceaccount.com',
      '  GCP_RUNTIME_ACCOUNT=orders-runtime@my-project.iam.gserviceaccount.com',
      '  GCP_MIGRATOR_ACCOUNT=orders-migrate@my-project.iam.gserviceaccount.com',
    ]);
  });

  test('with --set-vars sets them, under the name of another environment', () => {
    const { stdout } = succeeds(bootstrap([...urls(), '--set-vars', '--environment', 'pre-prod']));
    assert.doesNotMatch(stdout, /GCP_/);
    const variables = lines('variables');
    assert.equal(variables.length, 8);
    assert.ok(variables.includes('PRE_PROD_GCP_SERVICE=orders-pre-prod'));
  });

  test('takes the numbers of the repository without gh', () => {
    rmSync(join(cloud, 'github'));
    succeeds(bootstrap([...urls(), '--repo-id', '42', '--owner-id', '43']));
    const [trust] = lines('things/iam-workload-identity-pools-providers/orders-github/github.trust');
    assert.match(trust, /repository_id=='42' && assertion.repository_owner_id=='43'/);
  });

  test('waits until Google knows what has just been made', () => {
    const { stdout } = succeeds(bootstrap(urls()));
    assert.match(stdout, /not known everywhere yet, waiting/);
    assert.ok(lines('sleeps').length > 0);
  });

  test('does not wait for ever', () => {
    write('eternal-youth', '');
    fails(bootstrap(urls()), /Identity Pool does not exist/);
    assert.equal(lines('sleeps').length, 30);
  });
});

describe('secrets', () => {
  test('are in no argument and in no output, and have no line break', () => {
    const { output } = succeeds(bootstrap(urls()));
    for (const text of [output, ...calls()]) assert.doesNotMatch(text, /-secret@/);
    assert.equal(readFileSync(join(cloud, 'versions/orders-database-url'), 'utf8'), RUNTIME_URL);
    assert.equal(readFileSync(join(cloud, 'versions/orders-migrator-database-url'), 'utf8'), MIGRATOR_URL);
  });

  test('that nobody gives stay empty, and a later run fills them', () => {
    const { stdout } = succeeds(bootstrap());
    assert.match(stdout, /orders-database-url stays empty. Before the first deployment: gcloud secrets versions add/);
    assert.ok(!existsSync(join(cloud, 'versions')));
    succeeds(bootstrap(urls()));
    assert.equal(readFileSync(join(cloud, 'versions/orders-database-url'), 'utf8'), RUNTIME_URL);
  });

  test('are refused when they are no URL, or the same', () => {
    write('runtime-url', 'hunter2');
    const result = bootstrap(urls());
    fails(result, /runtime-url has no database URL: postgresql:/);
    assert.doesNotMatch(result.output, /hunter2/);
    writeFileSync(join(cloud, 'runtime-url'), MIGRATOR_URL);
    fails(bootstrap(urls()), /Both database URLs are the same/);
    assert.deepEqual(changes(), []);
  });

  test('given as an argument are refused, and not repeated', () => {
    const result = bootstrap([`--database-url=${urlOf('runtime', 'hunter2')}`]);
    fails(result, /There is no option --database-url\./);
    assert.doesNotMatch(result.output, /hunter2/);
  });
});

describe('a second run', () => {
  test('makes nothing and enables nothing', () => {
    const all = [...urls(), ...SQL, ...BUILD, '--private'];
    succeeds(bootstrap(all));
    const before = [sorted(things()), lines('grants'), lines('apis')];
    write('calls', '');
    succeeds(bootstrap(all));
    assert.deepEqual([sorted(things()), lines('grants'), lines('apis')], before);
    const others = changes().filter((call) => !/ (add-iam-policy-binding|set-cleanup-policies) /.test(call));
    assert.deepEqual(others, []); // and those two have found that it is so already
  });

  test('goes on where the one before was interrupted, at whichever command', () => {
    const all = [...urls(), ...SQL, ...BUILD, '--private'];
    const whole = () => [sorted(things()), sorted(lines('grants')), sorted(lines('apis'))];
    succeeds(bootstrap(all));
    const uninterrupted = whole();
    const commands = new Set(changes()).size;
    for (const file of ['things', 'young', 'versions', 'calls'])
      rmSync(join(cloud, file), { recursive: true, force: true });
    for (const file of ['grants', 'apis']) write(file, '');
    assert.equal(
      interruptions(() => bootstrap(all, { INTERRUPT: 'each' })),
      commands,
    );
    assert.deepEqual(whole(), uninterrupted);
  });

  test('leaves the access that somebody has set', () => {
    succeeds(bootstrap([...urls(), '--private']));
    succeeds(bootstrap(urls()));
    assert.deepEqual(lines('things/run-services/orders.public'), ['false']);
  });

  test('with --private does not leave a public service open in silence', () => {
    succeeds(bootstrap(urls()));
    write('calls', '');
    fails(
      bootstrap(['--private']),
      /orders is public. Close it first: gcloud run services update orders --invoker-iam-check/,
    );
    assert.deepEqual(changes(), []);
  });

  test('for a repository that was made anew, trusts that one instead', () => {
    succeeds(bootstrap(urls()));
    write('github', '4712 815');
    const { stdout } = succeeds(bootstrap());
    assert.match(stdout, /trusts something else so far: assertion.repository_id=='4711'/);
    const [trust] = lines('things/iam-workload-identity-pools-providers/orders-github/github.trust');
    assert.match(trust, /^assertion.repository_id=='4712'/);
  });
});

describe('--dry-run', () => {
  test('prints the commands and changes nothing, in a new project', () => {
    const { stdout } = succeeds(bootstrap([...urls(), ...SQL, ...BUILD, '--private', '--set-vars', '--dry-run']));
    assert.deepEqual(changes(), []);
    for (const command of ['services enable', 'run deploy orders', 'storage buckets create', 'gh variable set']) {
      assert.match(stdout, new RegExp(`^  would run: .*${command}`, 'm'));
    }
    assert.match(stdout, /Nothing was changed/);
    assert.doesNotMatch(stdout, /-secret@/);
    assert.deepEqual(lines('sleeps'), []);
  });

  test('shows, in a project that is ready, that nothing is missing', () => {
    succeeds(bootstrap(urls()));
    write('calls', '');
    const { stdout } = succeeds(bootstrap(['--dry-run']));
    assert.deepEqual(changes(), []);
    assert.doesNotMatch(stdout, /would run: gcloud .*(create|deploy|enable) /);
  });
});

describe('before anything is changed it refuses', () => {
  for (const [args, message] of [
    [[], /--project, --region and --repo are needed/],
    [['--project'], /--project needs a value/],
    [['--project', '--region', 'europe-west1'], /--project needs a value/],
    [['--regoin', 'europe-west1'], /There is no option --regoin/],
    [[...OPTIONS, '--project', 'My Project'], /--project must be a project's id, not 'My Project'/],
    [[...OPTIONS, '--region', 'europe'], /--region must be a region such as/],
    [[...OPTIONS, '--repo', 'orders'], /--repo must be OWNER\/NAME/],
    [[...OPTIONS, '--repo', 'https://github.com/acme/orders'], /--repo must be OWNER\/NAME/],
    [[...OPTIONS, '--service', 'a-name-that-is-far-too-long'], /--service must be 2 to 22 lower-case/],
    [[...OPTIONS, '--service', 'gcp-orders'], /--service must not begin with gcp-/],
    [[...OPTIONS, '--environment', 'Staging'], /--environment must be lower-case/],
    [[...OPTIONS, '--cloud-sql', 'my-project:europe-west1:main'], /--cloud-sql must be an instance's name alone/],
    [[...OPTIONS, '--repo-id', 'acme', '--owner-id', '1'], /--repo-id must be a number/],
    [[...OPTIONS, '--repo-id', '1', '--owner-id', "1' || true"], /--owner-id must be a number/],
    [[...OPTIONS, '--database-url-file', '/nowhere'], /The file \/nowhere has no database URL/],
  ]) {
    test(args.join(' ') || 'no options', () => {
      fails(run('bootstrap', args), message);
      assert.deepEqual(changes(), []);
    });
  }

  for (const [what, prepare, message, args = []] of [
    ['nobody signed in', () => write('account', ''), /gcloud is not signed in. Run: gcloud auth login/],
    ['an unknown project', () => rmSync(join(cloud, 'project')), /The project my-project cannot be read/],
    [
      'a project without billing',
      () => write('billing', 'False'),
      /no billing account. Run: gcloud billing projects link my-project/,
    ],
    [
      'a gh that is not signed in',
      () => rmSync(join(cloud, 'github')),
      /gh cannot read acme\/orders. Run gh auth login, or give --repo-id/,
    ],
    [
      'to set variables by somebody who may not',
      () => write('no-administrator', 'x'),
      /--set-vars needs gh, signed in as an administrator of acme\/orders/,
      ['--set-vars'],
    ],
    ['MySQL', () => write('sql', 'p:r:main|MYSQL_8_4|db-custom-1-3840|'), /main is MYSQL_8_4/, SQL],
    [
      'a version of PostgreSQL that this gcloud does not know',
      () => write('sql', 'p:r:main||db-custom-1-3840|'),
      /gcloud components update/,
      SQL,
    ],
    [
      'an instance that does not exist',
      () => rmSync(join(cloud, 'sql')),
      /The Cloud SQL instance main cannot be read/,
      SQL,
    ],
    [
      'a small instance',
      () => write('sql', 'p:r:main|POSTGRES_18|db-g1-small|'),
      /main allows 50 connections, and a rollout takes 95/,
      SQL,
    ],
    [
      'too low a max_connections',
      () =>
        write(
          'sql',
          `p:r:main|POSTGRES_18|db-custom-4-15360|{'name': 'log_min_duration_statement', 'value': '500'};{'name': 'max_connections', 'value': '90'}`,
        ),
      /main allows 90 connections/,
      SQL,
    ],
  ]) {
    test(what, () => {
      prepare();
      fails(bootstrap(args), message);
      assert.deepEqual(changes(), []);
    });
  }

  test('to begin without gcloud or gh', () => {
    const path = mkdtempSync(join(root, 'bin-'));
    for (const tool of TOOLS) cpSync(join(bin, tool), join(path, tool), { verbatimSymlinks: true });
    fails(bootstrap([], { path }), /gcloud is not installed/);
    cpSync(join(bin, 'gcloud'), join(path, 'gcloud'));
    fails(bootstrap([], { path }), /gh is not installed. Give --repo-id and --owner-id/);
    assert.deepEqual(changes(), []);
  });

  test('to take a refusal for an absence', () => {
    write(
      'error',
      'ERROR: (gcloud.artifacts.repositories.describe) PERMISSION_DENIED: The caller does not have permission',
    );
    fails(bootstrap(urls()), /PERMISSION_DENIED/);
    assert.ok(!changes().some((call) => call.includes('create')));
  });
});

describe('teardown', () => {
  const all = () => [...urls(), ...SQL, ...BUILD, '--private'];

  test('removes all that bootstrap has made, and says what stays', () => {
    succeeds(bootstrap(all()));
    const { stdout } = succeeds(teardown());
    assert.deepEqual(sorted(things()), [
      'iam-workload-identity-pools-providers/orders-github/github',
      'iam-workload-identity-pools/orders-github',
    ]);
    assert.deepEqual(lines('things/iam-workload-identity-pools/orders-github'), ['DELETED']);
    assert.deepEqual(
      lines('grants').filter((grant) => grant.startsWith('projects/')),
      [],
    );
    assert.match(stdout, /costs money until it is deleted:\n {4}gcloud sql instances delete/);
  });

  test('goes on after an interruption, and finds nothing the second time', () => {
    succeeds(bootstrap(all()));
    assert.ok(interruptions(() => run('teardown', [...OPTIONS, '--yes'], { INTERRUPT: 'each' })) > 10);
    write('calls', '');
    succeeds(teardown());
    assert.deepEqual(changes(), []);
  });

  test('is undone by bootstrap', () => {
    succeeds(bootstrap(all()));
    const before = sorted(things());
    succeeds(teardown());
    rmSync(join(cloud, 'versions'), { recursive: true });
    succeeds(bootstrap(all()));
    assert.deepEqual(sorted(things()), before);
    assert.deepEqual(lines('things/iam-workload-identity-pools/orders-github'), ['ACTIVE']);
  });

  test('with --dry-run removes nothing', () => {
    succeeds(bootstrap(all()));
    write('calls', '');
    const { stdout } = succeeds(teardown(['--dry-run']));
    assert.deepEqual(changes(), []);
    assert.match(stdout, /would run: gcloud run services delete orders/);
  });

  test('does nothing that nobody has confirmed', () => {
    succeeds(bootstrap(all()));
    write('calls', '');
    fails(run('teardown', OPTIONS), /Nobody is there to confirm this. Add --yes/);
    assert.deepEqual(changes(), []);
  });
});

test('the scripts have nothing that bash 3.2 lacks', () => {
  const newer =
    /\b(mapfile|readarray|coproc)\b|\b(declare|local|typeset) -[a-zA-Z]*[Agn]|\$\{[^}]*(\^|,,|@[A-Za-z]\})|&>>|\|&|;;?&|\[\[ -v|\bwait -n|\$EPOCH|printf '%\(|\$\{\w+: -\d/;
  for (const script of readdirSync('deploy').filter((name) => name.endsWith('.sh'))) {
    for (const line of readFileSync(`deploy/${script}`, 'utf8').split('\n')) assert.doesNotMatch(line, newer, script);
  }
});
