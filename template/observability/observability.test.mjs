// Runs deploy/observability.sh against the stand-in, which validates each message and the permissions of the caller.
// BASH_UNDER_TEST selects another shell, such as bash 3.2.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { startCloud } from '../standin/cloud.mjs';
import { gcloud } from '../standin/gcloud.mjs';
import { addProject } from '../standin/state.mjs';
import { fails, fillBin, runScript, succeeds } from '../standin/workbench.mjs';

const TOOLS = ['awk', 'basename', 'cat', 'dirname', 'grep', 'jq', 'mktemp', 'rm', 'sed', 'tail', 'tr'];
const OPTIONS = ['--project', 'my-project', '--region', 'europe-west1', '--service', 'orders'];
const AGENT = 'serviceAccount:service-123@gcp-sa-monitoring-notification.iam.gserviceaccount.com';
const EMAIL = ['--notify', 'oncall@example.com'];

const root = mkdtempSync(join(tmpdir(), 'observability-'));
const bin = join(root, 'bin');
mkdirSync(bin);
fillBin(bin, TOOLS);
after(() => rmSync(root, { recursive: true }));

let cloud;
let project;
beforeEach(async () => {
  cloud = await startCloud();
  cloud.faults = { youth: 'first', warns: true };
  const apis = ['run', 'iam', 'secretmanager', 'sqladmin', 'logging', 'artifactregistry'];
  project = addProject(cloud.state, 'my-project', { number: '123', apis: apis.map((api) => `${api}.googleapis.com`) });
  cloud.state.github['acme/orders'] = { id: '4711', ownerId: '815', variables: {} };
  cloud.state.folderRepository = 'acme/orders';
  project.instances.main = {
    connectionName: 'my-project:europe-west1:main',
    region: 'europe-west1',
    state: 'RUNNABLE',
    databaseVersion: 'POSTGRES_18',
    settings: { tier: 'db-custom-1-3840' },
  };
  deploy('orders', '--no-invoker-iam-check');
});
afterEach(() => cloud.close());

/** Deploys Google's sample, with Cloud SQL. */
function deploy(service, access) {
  const account = `${service}-runtime@my-project.iam.gserviceaccount.com`;
  project.accounts[account] = { policy: [], description: `Managed by deploy/bootstrap.sh for ${service}` };
  const words = `run deploy ${service} --project=my-project --region=europe-west1 --image=us-docker.pkg.dev/cloudrun/container/hello --service-account=${account} ${access}`;
  const { status, stderr } = gcloud(cloud, {
    words: words.split(' '),
    environment: { CLOUDSDK_CORE_DISABLE_PROMPTS: '1' },
  });
  assert.equal(status, 0, stderr);
  project.services[`europe-west1/${service}`].template.metadata.annotations = {
    'run.googleapis.com/cloudsql-instances': 'my-project:europe-west1:main',
  };
}

const run = (script, args, { folder = '.', path = bin } = {}) =>
  runScript(join(bin, 'bash'), [`deploy/${script}.sh`, ...args], {
    cwd: folder,
    env: {
      PATH: path,
      ...cloud.environment,
      HOME: root,
      TMPDIR: root,
    },
  });
const apply = (args = [], options) => run('observability', [...OPTIONS, ...args], options);

const READS =
  /^(version|config get|auth |projects describe|services list|run services (describe|get-iam-policy)|sql instances describe|gh )/;
/** Calls that change something. */
const changes = () =>
  cloud.calls
    .filter(({ program, words: [first, second], words }) =>
      program === 'rest'
        ? first !== 'GET' && !second.endsWith(':testIamPermissions')
        : program === 'gcloud' && !READS.test(words.join(' ')),
    )
    .map(({ words }) => words.join(' '));
/** The resources by collection, without the accidental order of creation. */
const things = () =>
  Object.fromEntries(
    Object.entries(project.rest)
      .filter(([, found]) => Object.keys(found).length > 0)
      .map(([path, found]) => [
        path,
        Object.values(found)
          .map(({ name, userLabels }) => String(userLabels?.id ?? name.split('/').at(-1)))
          .toSorted((a, b) => (a < b ? -1 : 1)),
      ]),
  );
const policy = (id) =>
  Object.values(project.rest.alertPolicies).find(
    ({ userLabels }) => userLabels.id === id && userLabels['managed-by'] === 'orders',
  );
const invokers = () =>
  project.services['europe-west1/orders'].policy.flatMap(({ role, members }) =>
    members.map((member) => `${role} ${member}`),
  );

const ALERTS = JSON.parse(readFileSync('deploy/observability/alerts.json', 'utf8')).map(
  ({ userLabels }) => userLabels.id,
);

/** A copy of deploy/ that a test can change. */
function copyOfDeploy() {
  const folder = mkdtempSync(join(root, 'copy-'));
  cpSync('deploy', join(folder, 'deploy'), { recursive: true });
  return {
    folder,
    edit: (file, change) => {
      const path = join(folder, 'deploy/observability', file);
      const content = JSON.parse(readFileSync(path, 'utf8'));
      writeFileSync(path, JSON.stringify(change(content) ?? content));
    },
  };
}

describe('the first run', () => {
  test('creates every resource of deploy/observability/', async () => {
    const { stdout } = await succeeds(apply(EMAIL));
    assert.deepEqual(things(), {
      metrics: [
        'orders-request-duration',
        'orders-request-pool-wait',
        'orders-request-sql-time',
        'orders-server-errors',
      ],
      'locations/global/savedQueries': ['failed-requests', 'migrations', 'slow-requests', 'starts', 'warnings'].map(
        (id) => `orders-${id}`,
      ),
      services: ['orders'],
      'services/orders/serviceLevelObjectives': ['availability', 'latency'],
      uptimeCheckConfigs: ['ready'],
      notificationChannels: ['email'],
      alertPolicies: ALERTS.toSorted(),
      dashboards: ['orders'],
    });
    assert.match(stdout, /^Applies deploy\/observability\/ to orders .* Costs per month/);
    assert.match(stdout, /alerts: about \$3, of which \$0\.10 for each of 18 conditions/);
    assert.match(stdout, /^ {2}created the alert uptime$/m);
  });

  test('replaces every placeholder', async () => {
    await succeeds(apply());
    assert.doesNotMatch(JSON.stringify(project.rest), /\$\{/);
    assert.equal(
      policy('uptime').documentation.links[0].url,
      'https://github.com/acme/orders/blob/main/docs/runbook.md#uptime',
    );
    assert.match(
      Object.values(project.rest.uptimeCheckConfigs)[0].monitoredResource.labels.host,
      /^orders-123\.europe-west1\.run\./,
    );
  });

  test('sets the alert for connections to 80 % of what the instance allows', async () => {
    await succeeds(apply());
    assert.equal(policy('database-connections').conditions[0].conditionThreshold.thresholdValue, 80);
    project.instances.main.settings.databaseFlags = [{ name: 'max_connections', value: '300' }];
    const { stdout } = await succeeds(apply());
    assert.match(stdout, /^ {2}updated the alert database-connections$/m);
    assert.equal(policy('database-connections').conditions[0].conditionThreshold.thresholdValue, 240);
  });

  test('leaves out the alert and the chart of Cloud SQL without an instance', async () => {
    project.services['europe-west1/orders'].template.metadata.annotations = {};
    await succeeds(apply());
    assert.deepEqual(things().alertPolicies, ALERTS.filter((id) => id !== 'database-connections').toSorted());
    assert.doesNotMatch(JSON.stringify(project.rest), /cloudsql_database/);
  });

  test('enables the Monitoring API', async () => {
    await succeeds(apply());
    assert.ok(project.apis.includes('monitoring.googleapis.com'));
  });

  test('with --notify sends every alert to the address', async () => {
    await succeeds(apply(EMAIL));
    const [channel] = Object.values(project.rest.notificationChannels);
    assert.equal(channel.labels.email_address, 'oncall@example.com');
    for (const { notificationChannels } of Object.values(project.rest.alertPolicies))
      assert.deepEqual(notificationChannels, [channel.name]);
  });

  test('lets the uptime check call a private service, and adds no grant to a public one', async () => {
    await succeeds(apply());
    assert.deepEqual(invokers(), []);
    project.services['europe-west1/orders'].annotations['run.googleapis.com/invoker-iam-disabled'] = 'False';
    await succeeds(apply());
    assert.deepEqual(invokers(), [`roles/run.invoker ${AGENT}`]);
    const { stdout } = await succeeds(apply());
    assert.match(stdout, /^Nothing to change\.$/m);
  });
});

describe('a second run', () => {
  test('changes nothing', async () => {
    await succeeds(apply(EMAIL));
    cloud.calls.length = 0;
    const { stdout } = await succeeds(apply(EMAIL));
    assert.deepEqual(changes(), []);
    assert.match(stdout, /^Nothing to change\.$/m);
  });

  test('updates the resources of a changed file in place', async () => {
    const { folder, edit } = copyOfDeploy();
    await succeeds(apply(EMAIL, { folder }));
    const before = policy('high-memory').name;
    cloud.calls.length = 0;
    edit('alerts.json', (alerts) => {
      alerts.find(({ userLabels }) => userLabels.id === 'high-memory').conditions[0].conditionThreshold.thresholdValue =
        0.8;
    });
    edit('objectives.json', ([availability]) => {
      availability.goal = 0.999;
    });
    edit('metrics.json', ([duration]) => {
      duration.metricDescriptor.unit = 's';
    });
    edit('queries.json', ([failed]) => {
      failed.displayName = 'errors';
    });
    edit('uptime.json', ([ready]) => {
      ready.period = '300s';
    });
    edit('dashboard.json', (dashboard) => {
      dashboard.displayName = 'Orders';
    });
    edit('service.json', (service) => {
      service.displayName = 'Orders';
    });
    const { stdout } = await succeeds(apply(EMAIL, { folder }));
    assert.deepEqual(stdout.match(/^ {2}(created|updated|deleted) .*$/gm), [
      '  updated the metric orders-request-duration',
      '  updated the query orders-failed-requests',
      '  updated the service orders',
      '  updated the objective availability',
      '  updated the check ready',
      '  updated the alert high-memory',
      '  updated the dashboard orders',
    ]);
    assert.equal(policy('high-memory').name, before);
    assert.equal(policy('high-memory').conditions[0].conditionThreshold.thresholdValue, 0.8);
    assert.equal(project.rest.dashboards.orders.displayName, 'Orders');
    assert.match((await succeeds(apply(EMAIL, { folder }))).stdout, /^Nothing to change\.$/m);
  });

  test('restores what a person has changed or deleted in the console', async () => {
    await succeeds(apply());
    policy('slow-start').conditions[0].conditionThreshold.thresholdValue = 1;
    delete project.rest.alertPolicies[policy('uptime').name.split('/').at(-1)];
    const { stdout } = await succeeds(apply());
    assert.deepEqual(stdout.match(/^ {2}(created|updated|deleted) .*$/gm), [
      '  created the alert uptime',
      '  updated the alert slow-start',
    ]);
  });

  test('deletes a resource that left the files', async () => {
    const { folder, edit } = copyOfDeploy();
    await succeeds(apply([], { folder }));
    edit('alerts.json', (alerts) => alerts.filter(({ userLabels }) => userLabels.id !== 'slow-start'));
    edit('metrics.json', ([, ...metrics]) => metrics);
    const { stdout } = await succeeds(apply([], { folder }));
    assert.deepEqual(stdout.match(/^ {2}(created|updated|deleted) .*$/gm), [
      '  deleted the metric orders-request-duration',
      '  deleted the alert slow-start',
    ]);
  });

  test('keeps channels that a person added, and the address without --notify', async () => {
    await succeeds(apply(EMAIL));
    project.rest.notificationChannels.slack = { name: 'projects/my-project/notificationChannels/slack', type: 'slack' };
    policy('uptime').notificationChannels.push('projects/my-project/notificationChannels/slack');
    policy('uptime').displayName = 'changed';
    await succeeds(apply());
    assert.equal(policy('uptime').notificationChannels.length, 2);
    assert.match((await succeeds(apply(EMAIL))).stdout, /^Nothing to change\.$/m);
  });

  test('replaces the address', async () => {
    await succeeds(apply(EMAIL));
    await succeeds(apply(['--notify', 'team@example.com']));
    assert.deepEqual(
      Object.values(project.rest.notificationChannels).map(({ labels }) => labels.email_address),
      ['team@example.com'],
    );
  });

  test('is the way to continue after an interruption at any change', async () => {
    cloud.faults.interrupt = true;
    let attempts = 0;
    while ((await apply(EMAIL)).status !== 0) attempts += 1;
    assert.ok(attempts >= 24, `${attempts} interruptions`);
    cloud.faults.interrupt = false;
    assert.match((await succeeds(apply(EMAIL))).stdout, /^Nothing to change\.$/m);
    assert.deepEqual(things().alertPolicies, ALERTS.toSorted());
  });
});

describe('staging', () => {
  test('has its own resources', async () => {
    deploy('orders-staging', '--no-invoker-iam-check');
    await succeeds(apply());
    await succeeds(run('observability', [...OPTIONS, '--service', 'orders-staging']));
    assert.deepEqual(things().dashboards, ['orders', 'orders-staging']);
    assert.equal(things().alertPolicies.length, 2 * ALERTS.length);
    assert.match((await succeeds(apply())).stdout, /^Nothing to change\.$/m);
    await succeeds(apply(['--remove']));
    assert.deepEqual(things().dashboards, ['orders-staging']);
    assert.equal(things().alertPolicies.length, ALERTS.length);
    assert.match(
      (await succeeds(run('observability', [...OPTIONS, '--service', 'orders-staging']))).stdout,
      /^Nothing to change\.$/m,
    );
  });
});

describe('--dry-run', () => {
  test('prints the changes and makes none', async () => {
    const { stdout } = await succeeds(apply(['--dry-run', ...EMAIL]));
    assert.deepEqual(changes(), []);
    assert.match(stdout, /^ {2}would have created the dashboard orders$/m);
    assert.match(stdout, /^Nothing was changed\.$/m);
  });
});

describe('--remove', () => {
  test('removes everything, and leaves the resources of others', async () => {
    await succeeds(apply(EMAIL));
    project.rest.alertPolicies.other = {
      name: 'projects/my-project/alertPolicies/other',
      userLabels: { id: 'uptime' },
      notificationChannels: [Object.values(project.rest.notificationChannels)[0].name],
    };
    await succeeds(apply(['--remove']));
    assert.deepEqual(things(), { alertPolicies: ['uptime'] });
    assert.deepEqual(project.rest.alertPolicies.other.notificationChannels, []);
    assert.match((await succeeds(apply(['--remove']))).stdout, /^Nothing to change\.$/m);
  });

  test('needs neither the service nor gh', async () => {
    await succeeds(apply());
    delete project.services['europe-west1/orders'];
    cloud.state.github = null;
    await succeeds(apply(['--remove']));
    assert.deepEqual(things(), {});
  });
});

describe('deploy/teardown.sh', () => {
  test('removes everything that deploy/observability.sh created', async () => {
    await succeeds(apply(EMAIL));
    await succeeds(run('teardown', [...OPTIONS, '--yes']));
    assert.deepEqual(things(), {});
  });

  test('with --dry-run removes nothing', async () => {
    await succeeds(apply());
    const before = things();
    const { stdout } = await succeeds(run('teardown', [...OPTIONS, '--yes', '--dry-run']));
    assert.deepEqual(things(), before);
    assert.match(stdout, /would have deleted the dashboard orders/);
  });
});

describe('ownership', () => {
  test('rejects resources of others before any change; --adopt takes over', async () => {
    project.apis.push('monitoring.googleapis.com');
    project.rest.dashboards = { orders: { name: 'projects/123/dashboards/orders', displayName: 'mine', etag: 'x' } };
    project.rest.metrics = {
      'orders-server-errors': {
        name: 'orders-server-errors',
        filter: 'x',
        description: 'Managed by deploy/observability.sh for orders-staging.',
      },
    };
    await fails(
      apply(),
      /Not created by .*: the metric orders-server-errors of orders-staging, the dashboard orders of an unknown owner\. .*--adopt/,
    );
    assert.deepEqual(changes(), []);
    await succeeds(apply(['--adopt']));
    assert.equal(project.rest.dashboards.orders.labels['managed-by'], 'orders');
    assert.match((await succeeds(apply())).stdout, /^Nothing to change\.$/m);
  });
});

describe('permissions', () => {
  const asEditor = (...roles) => {
    project.apis.push('monitoring.googleapis.com');
    project.policy = roles.map((role) => ({ role, members: ['user:me@example.com'] }));
  };
  const ENOUGH = ['roles/monitoring.editor', 'roles/logging.admin', 'roles/run.viewer', 'roles/cloudsql.viewer'];

  test('of four roles suffice', async () => {
    asEditor(...ENOUGH);
    await succeeds(apply(EMAIL));
  });

  for (const role of ENOUGH) {
    test(`without ${role} it fails before any change`, async () => {
      asEditor(...ENOUGH.filter((other) => other !== role));
      await fails(
        apply(EMAIL),
        /(You lack permissions on my-project, which .* contain: (monitoring|logging)\.|denied|not authorized)/,
      );
      assert.deepEqual(changes(), []);
    });
  }
});

describe('mistakes', () => {
  const CASES = [
    [['--notify', 'oncall'], /--notify must be an email address, not 'oncall'/],
    [['--host', 'https://x.example.com'], /--host must be a host such as api\.example\.com/],
    [['--service', 'nothing'], /There is no service nothing in europe-west1\. Create it first: deploy\/bootstrap\.sh/],
    [['--project', 'other-project'], /Cannot read the project other-project/],
    [['--repo', 'acme'], /--repo must be OWNER\/NAME/],
    [['--unknown'], /Unknown option --unknown/],
  ];
  for (const [args, message] of CASES) {
    test(`rejects ${args.join(' ')}`, async () => {
      await fails(apply(args), message);
      assert.deepEqual(changes(), []);
    });
  }

  test('names a missing tool', async () => {
    const path = join(root, 'without-jq');
    mkdirSync(path);
    fillBin(
      path,
      TOOLS.filter((tool) => tool !== 'jq'),
    );
    await fails(apply([], { path }), /jq is not installed/);
  });

  test('asks for --repo without gh', async () => {
    cloud.state.github = null;
    await fails(apply(), /Pass --repo OWNER\/NAME/);
    await succeeds(apply(['--repo', 'acme/orders']));
  });

  test('prints the error of the API for a message that it rejects', async () => {
    const { folder, edit } = copyOfDeploy();
    edit('alerts.json', ([first]) => {
      first.severity = 'PAGE';
    });
    await fails(
      apply([], { folder }),
      /INVALID_ARGUMENT: .*severity must be one of .* \(Fix the cause, then rerun this script: it is idempotent\.\)/,
    );
  });

  test('fails for a file that is not JSON', async () => {
    const { folder } = copyOfDeploy();
    writeFileSync(join(folder, 'deploy/observability/uptime.json'), '[{');
    const { status } = await apply([], { folder });
    assert.notEqual(status, 0);
    assert.deepEqual(changes(), ['services enable monitoring.googleapis.com --project=my-project']);
  });
});
