// Runs the Deploy and Rollback workflows step by step, like GitHub, against a stand-in that checks each permission. The last
// test compares the results with template/pipeline/proof.md; `npm run test:template -- --write` writes the page.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { format } from 'prettier';
import { gcloud } from '../standin/gcloud.mjs';
import { answer } from '../standin/traffic.mjs';
import { checkoutWith, checkoutWithJob, cleanUp, COMMITS, Project } from './proofs.mjs';

const PROOF = 'template/pipeline/proof.md';
const [FIRST, SECOND, THIRD] = COMMITS;

/** Every pair of builder, access and strategy. */
const MODES = [
  { builder: 'runner', access: 'public', strategy: 'all-at-once' },
  { builder: 'runner', access: 'private', strategy: 'canary' },
  { builder: 'cloud-build', access: 'public', strategy: 'canary' },
  { builder: 'cloud-build', access: 'private', strategy: 'all-at-once' },
];
const nameOf = ({ builder, access, strategy }) => `${builder}, ${access}, ${strategy}`;

/** The rows of the page, in the order of the tests. */
const table = { modes: new Map(), scenarios: new Map(), grants: new Map() };

const boot = ({ builder, access }) =>
  Project.bootstrapped([
    ...(access === 'private' ? ['--private'] : []),
    ...(builder === 'cloud-build' ? ['--with-cloud-build'] : []),
  ]);
const succeeds = (outcome) => assert.deepEqual([outcome.result, outcome.failed], ['success', []], outcome.log);
const tagsOf = ({ state }) => state.repositories['europe-west1/orders'].packages.orders.tags;
const changes = ({ cloud }, since) =>
  cloud.calls
    .slice(since)
    .filter(
      ({ program, words }) =>
        program === 'gcloud' &&
        / (create|create-oidc|deploy|enable|undelete|update-oidc) /.test(` ${words.join(' ')} `),
    );

after(cleanUp);

describe('deployment modes', { concurrency: 2 }, () => {
  for (const mode of MODES) {
    const { builder, strategy } = mode;
    table.modes.set(nameOf(mode), 'did not run');
    test(nameOf(mode), async () => {
      const project = await boot(mode);
      project.haveUsers();
      succeeds(await project.deploy(FIRST, { builder, strategy }));
      assert.equal(project.traffic, `${FIRST} 100`);
      const second = await project.deploy(SECOND, { builder, strategy });
      succeeds(second);
      assert.equal(project.traffic, `${SECOND} 100`);
      const tags = tagsOf(project);
      assert.deepEqual([tags['serving-production'], tags['previous-production']], [tags[SECOND], tags[FIRST]]);
      const { revisionName: revision } = project.service.statusTraffic.find(({ percent }) => percent > 0);
      const { previousRevision, url, canary, ...result } = JSON.parse(project.cloud.state.artifacts.deployment);
      assert.deepEqual(result, {
        commit: SECOND,
        digest: tags[SECOND],
        revision,
        verdict: 'success',
        traffic: [{ revision, percent: 100 }],
      });
      assert.notEqual(previousRevision, revision);
      assert.match(url, /^http/);
      assert.equal(canary.length, strategy === 'canary' ? 3 : 0);
      if (strategy === 'canary')
        assert.equal(second.summary.match(/\| Canary \| .* good \|/g)?.length, 3, second.summary);

      const since = project.cloud.calls.length;
      await project.bootstrap([
        ...(mode.access === 'private' ? ['--private'] : []),
        ...(builder === 'cloud-build' ? ['--with-cloud-build'] : []),
      ]);
      assert.deepEqual(changes(project, since), []);
      succeeds(await project.rollBack());
      assert.equal(project.traffic, `${FIRST} 100`);
      await project.close();
      table.modes.set(
        nameOf(mode),
        'bootstrap, deploy, deploy the next commit, rerun bootstrap (creates nothing), roll back: all succeed',
      );
    });
  }
});

describe('without one grant of bootstrap.sh, one step fails', { concurrency: 2 }, () => {
  for (const mode of MODES) {
    test(nameOf(mode), async () => {
      const project = await boot(mode);
      for (const grant of grantsIn(project)) {
        const one = await project.copy();
        one.haveUsers();
        remove(one, grant);
        const broken = await failureWithout(one, mode);
        assert.ok(broken, `${grant.name}: nothing fails without it`);
        if (!table.grants.has(grant.name)) table.grants.set(grant.name, new Map());
        const found = table.grants.get(grant.name);
        if (!found.has(broken)) found.set(broken, []);
        found.get(broken).push(nameOf(mode));
        await one.close();
      }
      await project.close();
    });
  }
});

/** Every member of every binding that is not the owner's. */
function grantsIn({ state }) {
  const grants = [];
  const add = (kind, key, { policy }) => {
    for (const { role, members } of policy) {
      for (const member of members) {
        if (role !== 'roles/owner')
          grants.push({
            kind,
            key,
            role,
            member,
            name: `${shortMember(member)}: ${role.slice(6)} on ${kind} ${key.split('/').at(-1).split('@')[0]}`,
          });
      }
    }
  };
  add('project', state.id, state);
  for (const kind of ['accounts', 'buckets', 'jobs', 'repositories', 'secrets', 'services']) {
    for (const [key, thing] of Object.entries(state[kind]))
      add(kind.replace(/ies$/, 'y').replace(/s$/, ''), key, thing);
  }
  return grants;
}

const shortMember = (member) =>
  member.startsWith('principalSet') ? 'the workflow' : member.replace(/^serviceAccount:(.+)@.*$/, '$1');

function remove({ state }, { kind, key, role, member }) {
  const collection = {
    account: 'accounts',
    bucket: 'buckets',
    job: 'jobs',
    repository: 'repositories',
    secret: 'secrets',
    service: 'services',
  }[kind];
  const { policy } = collection ? state[collection][key] : state;
  const binding = policy.find((candidate) => candidate.role === role && candidate.members.includes(member));
  binding.members = binding.members.filter((other) => other !== member);
}

/** Returns the step that fails. If none does, the log of a failed migration is missing. */
async function failureWithout(project, { builder, strategy }) {
  const outcome = await project.deploy(FIRST, { builder, strategy });
  if (outcome.result === 'success') {
    project.cloud.state.behaviours[SECOND] = { migration: 'relation "vouchers" already exists' };
    const second = await project.deploy(SECOND, { builder, strategy });
    return second.log.includes('already exists') ? undefined : 'the log of a failed migration';
  }
  assert.equal(outcome.failed.length, 1, outcome.log);
  assert.ok(outcome.diagnosis, outcome.log);
  assert.equal(project.traffic, 'sample 100');
  return `${outcome.failed[0]}: ${outcome.diagnosis}`;
}

describe('failures', { concurrency: 2 }, () => {
  let prepared;
  before(async () => {
    prepared = await boot({ builder: 'cloud-build', access: 'private' });
    prepared.haveUsers();
    succeeds(await prepared.deploy(FIRST));
  });
  after(() => prepared.close());

  /** Runs a scenario; `run` returns its result for the page. */
  function scenario(title, run) {
    table.scenarios.set(title, 'did not run');
    test(title, async () => {
      const project = await prepared.copy();
      project.haveUsers();
      table.scenarios.set(title, await run(project));
      await project.close();
    });
  }
  /** Nothing is deployed, in this step, for this reason. */
  function stops(what, step, diagnosis, prepare, inputs = {}) {
    scenario(what, async (project) => {
      const more = prepare(project);
      const outcome = await project.deploy(SECOND, inputs, more);
      assert.deepEqual(outcome.failed, [step], outcome.log);
      assert.match(outcome.diagnosis ?? outcome.log, diagnosis, outcome.log);
      assert.equal(project.traffic, `${FIRST} 100`);
      const [{ revisionName: serving }] = project.service.statusTraffic;
      assert.deepEqual(new Set(project.service.traffic.map(({ revisionName }) => revisionName)), new Set([serving]));
      // The job `test` has no summary: its error is an annotation of the run.
      if (outcome.diagnosis && !step.startsWith('test /'))
        assert.ok(outcome.summary.includes(outcome.diagnosis) || step.endsWith('Google Cloud'), outcome.summary);
      return `stops at ${step}${outcome.reason ? `: ${outcome.reason}` : ''}; the traffic stays`;
    });
  }
  const without =
    (api) =>
    ({ state }) =>
      void (state.apis = state.apis.filter((other) => other !== `${api}.googleapis.com`));
  const behave =
    (behaviour) =>
    ({ cloud }) =>
      void (cloud.state.behaviours[SECOND] = behaviour);

  const NEEDED = {
    artifactregistry: ['build / Build'],
    cloudbuild: ['build / Build', { builder: 'cloud-build' }],
    iamcredentials: ['build / Build'],
    logging: ['deploy / Shift traffic', { strategy: 'canary' }],
    run: ['deploy / Preflight'],
    secretmanager: ['deploy / Preflight'],
    sts: ['build / Build'],
  };
  for (const [api, [step, inputs]] of Object.entries(NEEDED)) {
    stops(`the API ${api} is disabled`, step, /has not been used in project/, without(api), inputs);
  }
  stops(
    'the registry does not exist',
    'build / Build',
    /artifactregistry|Repository/,
    ({ state }) => void (state.repositories = {}),
  );
  stops('GCP_REGION is another region', 'build / Build', /artifactregistry/, () => ({
    vars: { GCP_REGION: 'us-central1' },
  }));
  stops(
    'GCP_WIF_PROVIDER has the id of the project instead of its number',
    'build / Sign in to Google Cloud',
    /audience/,
    ({ variables }) => ({
      vars: { GCP_WIF_PROVIDER: variables.GCP_WIF_PROVIDER.replace('123', 'my-project') },
    }),
  );
  stops('GCP_WIF_PROVIDER has the number of another project', 'build / Build', /audience/, ({ variables }) => ({
    vars: { GCP_WIF_PROVIDER: variables.GCP_WIF_PROVIDER.replace('123', '124') },
  }));
  stops(
    'a repository variable is missing',
    'build / Sign in to Google Cloud',
    /Repository variables are missing/,
    () => ({
      vars: { GCP_SERVICE: '' },
    }),
  );
  stops('the run is on another branch than main', 'test / Require main', /Deploy runs on main/, () => ({
    github: { ref: 'refs/heads/topic' },
  }));
  stops('the tests fail', 'test / npm run check', /npm run check/, () => ({ environment: { NPM_FAILS: 'run check' } }));
  stops('the digest contains the text of a repository secret', 'deploy / Preflight', /may contain secret/, () => ({
    secrets: { LUCKY: 'sha256' },
  }));
  stops(
    'the secret has no enabled version',
    'deploy / Preflight',
    /has no enabled version/,
    ({ state }) => void (state.secrets['orders-database-url'].versions[1].state = 'DISABLED'),
  );
  stops('GCP_CLOUD_SQL_INSTANCE is another instance', 'deploy / Migrate', /cloudsql/, () => ({
    vars: { GCP_CLOUD_SQL_INSTANCE: 'my-project:europe-west1:other' },
  }));
  stops(
    'the builder is cloud-build, without --with-cloud-build at bootstrap',
    'build / Build',
    /cloud-build needs/,
    () => ({ vars: { GCP_BUILD_ACCOUNT: '' } }),
    { builder: 'cloud-build' },
  );
  stops(
    'the revision never listens',
    'deploy / Candidate',
    /failed to start|Invalid configuration/,
    behave({ neverListens: 'Invalid configuration:' }),
  );
  stops(
    'the revision never becomes ready',
    'deploy / Candidate',
    /startup probe/,
    behave({
      neverReady:
        'Waiting for database app at db for 53 s, past DATABASE_STARTUP_WARN_AFTER_MS (30000 ms): timeout expired',
    }),
  );
  stops(
    'the candidate is not ready',
    'deploy / Smoke test',
    /\/health\/ready of the candidate returned 503/,
    behave({ answers: { '/health/ready': 503 } }),
  );
  stops(
    'the candidate runs another commit',
    'deploy / Smoke test',
    /runs commit 0000000 instead of b{40}/,
    behave({ tells: '0000000' }),
  );
  stops(
    'the candidate accepts requests without a credential',
    'deploy / Smoke test',
    /GET \/v1\/me of the candidate returned 200 instead of 401/,
    behave({ answers: { '/v1/me': 200 } }),
  );

  scenario('the migration fails', async (project) => {
    behave({ migration: 'relation "vouchers" already exists' })(project);
    const revisions = Object.keys(project.service.revisions).length;
    const outcome = await project.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Migrate']);
    assert.match(outcome.log, /ERROR relation "vouchers" already exists/);
    assert.equal(Object.keys(project.service.revisions).length, revisions);
    return 'stops at deploy / Migrate, which prints the log; no new revision';
  });

  /** Whether a deployment builds, the digests that it attests, and the digest that it deploys. */
  async function provenance(project, inputs, more) {
    const { calls, state } = project.cloud;
    const [since, attested] = [calls.length, state.attestations.length];
    succeeds(await project.deploy(FIRST, inputs, more));
    const { image } = Object.values(project.service.revisions).at(-1).template.spec.containers[0];
    return {
      builds: calls.slice(since).some(({ words }) => words[0] === 'build' || words[0] === 'builds'),
      attests: state.attestations.slice(attested).map(({ digest }) => digest),
      deployed: image.split('@')[1],
    };
  }
  const PRIVATE = { github: { event: { repository: { private: true } } } };

  scenario('a second deployment of the same commit', async (project) => {
    const digest = tagsOf(project)[FIRST];
    assert.deepEqual(await provenance(project), { builds: false, attests: [], deployed: digest });
    return 'verifies the attestation and deploys the existing image; attests nothing';
  });

  scenario('another image under the tag of the commit', async (project) => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const { tags, versions } = project.state.repositories['europe-west1/orders'].packages.orders;
    versions[digest] = { createTime: new Date().toISOString() };
    project.cloud.state.images[digest] = { commit: FIRST };
    tags[FIRST] = digest;
    const { builds, attests, deployed } = await provenance(project);
    assert.notEqual(deployed, digest);
    assert.deepEqual([builds, attests], [true, [deployed]]);
    return 'builds the image again, and attests that one';
  });

  const OTHER_SIGNERS = {
    'another commit': { commit: SECOND },
    'another workflow': { workflow: 'acme/orders/.github/workflows/other.yml' },
    'another repository': { repository: 'acme/other' },
  };
  for (const [what, change] of Object.entries(OTHER_SIGNERS)) {
    scenario(`an image under the tag of the commit, attested by ${what}`, async (project) => {
      Object.assign(project.cloud.state.attestations.at(-1), change);
      const { builds, attests, deployed } = await provenance(project);
      assert.deepEqual([builds, attests], [true, [deployed]]);
      return 'builds the image again';
    });
  }

  scenario('the tag of the commit moves after the push', async (project) => {
    const other = tagsOf(project)[FIRST];
    const stop = ({ program, words }) => {
      if (program === 'docker' && words[0] === 'push') tagsOf(project)[SECOND] = other;
    };
    succeeds(await project.deploy(SECOND, {}, { stop }));
    assert.equal(project.traffic, `${SECOND} 100`);
    assert.notEqual(project.cloud.state.attestations.at(-1).digest, other);
    return 'attests and deploys the image that was pushed';
  });

  scenario('a private repository without attestations', async (project) => {
    const { builds, attests } = await provenance(project, {}, PRIVATE);
    assert.deepEqual([builds, attests], [true, []]);
    return 'builds every time, and attests nothing';
  });

  scenario('the builder cloud-build', async (project) => {
    project.cloud.state.attestations = [];
    const { builds, attests } = await provenance(project, { builder: 'cloud-build' });
    assert.deepEqual([builds, attests], [true, []]);
    return 'attests nothing, because the runner did not build the image';
  });

  stops('the downloaded Syft has another checksum', 'build / Generate the SBOM', /does not have the checksum/, () => ({
    environment: { SYFT_SHA256: '' },
  }));

  scenario('the SBOM', async (project) => {
    const outcome = await project.deploy(SECOND);
    succeeds(outcome);
    const { image } = Object.values(project.service.revisions).at(-1).template.spec.containers[0];
    assert.ok(outcome.log.includes(`syft scan registry:${image} --output spdx-json=`), outcome.log);
    return 'describes the deployed image';
  });

  const rerun = { github: { run_attempt: '2' }, head: THIRD };
  stops(
    'a rerun after main has moved on',
    'test / Require the newest commit',
    /^This rerun would deploy …, but main is at …$/,
    () => rerun,
  );
  scenario('a rerun of the failed jobs after main has moved on', async (project) => {
    const afterJob = async (job) => {
      if (job === 'build') project.repository.head = THIRD;
    };
    const outcome = await project.deploy(SECOND, {}, { ...rerun, head: SECOND, afterJob });
    assert.deepEqual(outcome.failed, ['deploy / Require the newest commit'], outcome.log);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops before the migration; the traffic stays';
  });

  stops(
    'a rerun while the API of GitHub is unavailable',
    'test / Require the newest commit',
    /Cannot read the newest commit of main/,
    (project) => {
      project.repository.isDown = true;
      return { github: { run_attempt: '2' } };
    },
  );
  scenario('the API of GitHub is unavailable', async (project) => {
    project.repository.isDown = true;
    const outcome = await project.deploy(SECOND, {}, { environment: { NPM_FAILS: 'run check' } });
    assert.deepEqual(outcome.failed, ['test / npm run check'], outcome.log);
    return 'Deploy runs the checks';
  });

  const CI_RUNS = {
    'passed for this commit': {},
    'failed for this commit': { conclusion: 'failure' },
    'passed for another commit': { commit: THIRD },
    'passed for a pull request': { event: 'pull_request' },
    'passed on another branch': { branch: 'topic' },
    'passed as another workflow': { workflow: 'other.yml' },
  };
  for (const [what, change] of Object.entries(CI_RUNS)) {
    const isEnough = what === 'passed for this commit';
    scenario(`CI ${what}`, async (project) => {
      const run = { workflow: 'ci.yml', commit: SECOND, branch: 'main', event: 'push', conclusion: 'success' };
      project.repository.runs = [{ ...run, url: 'https://github.com/acme/orders/actions/runs/1', ...change }];
      const outcome = await project.deploy(SECOND, {}, { environment: { NPM_FAILS: 'run check' } });
      assert.deepEqual(outcome.failed, isEnough ? [] : ['test / npm run check'], outcome.log);
      return isEnough ? 'Deploy does not repeat the checks' : 'Deploy runs the checks';
    });
  }

  scenario('two concurrent deployments of different commits', async (project) => {
    let second;
    const afterJob = async (job) => {
      if (job === 'build') second = await project.deploy(THIRD);
    };
    // The third commit is deployed first, then the second, which was built before it.
    succeeds(await project.deploy(SECOND, {}, { afterJob }));
    succeeds(second);
    assert.equal(project.traffic, `${SECOND} 100`);
    assert.deepEqual(
      project.service.revisions[Object.keys(project.service.revisions).at(-1)].template.spec.containers[0].image.split(
        '@',
      )[1],
      tagsOf(project)[SECOND],
    );
    return 'each deploys its own image';
  });

  scenario('the service fails after it gets the traffic', async (project) => {
    behave({ failing: 1 })(project);
    const outcome = await project.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Verify'], outcome.log);
    assert.match(outcome.log, /::error title=Traffic restored::/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'fails at deploy / Verify; the traffic is restored';
  });

  for (const [what, how] of [
    ['the run is cancelled', 'cancelled'],
    ['the step times out', 'failure'],
  ]) {
    scenario(`${what} just after the traffic has moved`, async (project) => {
      const stop = ({ words }) => (words.includes('update-traffic') ? how : undefined);
      const outcome = await project.deploy(SECOND, {}, { stop: once(stop) });
      assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
      assert.match(outcome.log, /::error title=Traffic restored::/);
      assert.equal(project.traffic, `${FIRST} 100`);
      return 'the traffic is restored';
    });
    scenario(`${what} before the traffic has moved`, async (project) => {
      const stop = ({ words }) => (isReplace(words) ? how : undefined);
      const outcome = await project.deploy(SECOND, {}, { stop: once(stop) });
      assert.deepEqual(outcome.failed, ['deploy / Candidate'], outcome.log);
      assert.equal(project.traffic, `${FIRST} 100`);
      return 'the traffic stays';
    });
  }

  scenario('a canary fails 20 % of its requests', async (project) => {
    behave({ failing: 0.2 })(project);
    const outcome = await project.deploy(SECOND, { strategy: 'canary' });
    assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
    assert.match(outcome.log, /::error title=shift-traffic::At 10 %, \d+ of \d+ requests failed/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops in the first window, at 10 %; the traffic is restored';
  });

  scenario('a canary without users', async (project) => {
    project.cloud.meanwhile = () => {};
    const outcome = await project.deploy(SECOND, { strategy: 'canary' });
    succeeds(outcome);
    assert.match(outcome.summary, /0 of 0 requests failed \(5xx\): inconclusive, fewer than 20 requests/);
    assert.doesNotMatch(outcome.summary, /: good/);
    return 'continues; the verdict is inconclusive';
  });

  scenario('another command moves the traffic during a canary', async (project) => {
    const serving = project.service.statusTraffic[0].revisionName;
    project.cloud.meanwhile = () => {
      const { service } = project;
      const [candidate] = service.traffic;
      service.traffic = [
        { ...candidate, percent: 5 },
        { revisionName: serving, percent: 95 },
        ...service.traffic.filter(({ tag }) => tag),
      ];
      service.statusTraffic = service.traffic;
    };
    const outcome = await project.deploy(SECOND, { strategy: 'canary' });
    assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
    assert.match(outcome.log, /Another change has moved the traffic in the meantime/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic is restored';
  });

  scenario('the traffic is split when a deployment starts', async (project) => {
    succeeds(await project.deploy(SECOND));
    const { service } = project;
    const [first, second] = Object.keys(service.revisions).slice(-2);
    service.traffic = [first, second].map((revisionName) => ({ revisionName, percent: 50 }));
    service.statusTraffic = service.traffic;
    const outcome = await project.deploy(THIRD);
    assert.deepEqual(outcome.failed, ['deploy / Preflight'], outcome.log);
    assert.equal(outcome.diagnosis, 'The traffic is split');
    return 'stops at deploy / Preflight: The traffic is split';
  });

  scenario('access and ingress were changed by hand', async (project) => {
    project.service.annotations = {
      'run.googleapis.com/invoker-iam-disabled': 'false',
      'run.googleapis.com/ingress': 'all',
    };
    succeeds(await project.deploy(SECOND));
    assert.equal(project.service.annotations['run.googleapis.com/invoker-iam-disabled'], 'false');
    const open = await boot(MODES[0]);
    succeeds(await open.deploy(FIRST));
    assert.equal(open.service.annotations['run.googleapis.com/invoker-iam-disabled'], 'True'); // as gcloud wrote it
    open.service.annotations['run.googleapis.com/ingress'] = 'internal';
    const outcome = await open.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Smoke test']);
    assert.equal(open.service.annotations['run.googleapis.com/ingress'], 'internal');
    await open.close();
    return 'both stay as they are';
  });

  /** The number of times that the migration job has run. */
  const migrations = ({ state }) => Object.keys(state.jobs['europe-west1/orders-migrate'].executions).length;
  /** Values that the pipeline must pass on as they are. */
  const SETTINGS = {
    'run.googleapis.com/binary-authorization': 'default',
    'run.googleapis.com/custom-audiences': '["https://orders.example","it\'s \\\\ ${HOME} #1: x"]',
    'run.googleapis.com/default-url-disabled': 'true',
    'run.googleapis.com/iap-enabled': 'true',
    'run.googleapis.com/invoker-iam-disabled': 'False',
    'run.googleapis.com/launch-stage': 'BETA',
    'run.googleapis.com/of-next-year': 'unknown today',
    'team.example/owner': 'orders',
  };

  scenario('annotations and labels of the service and the job, also unknown ones', async (project) => {
    const job = project.state.jobs['europe-west1/orders-migrate'];
    Object.assign(project.service, {
      annotations: { ...SETTINGS, 'run.googleapis.com/ingress': 'all' },
      labels: { team: 'orders' },
    });
    job.annotations = { 'run.googleapis.com/binary-authorization': 'default' };
    job.labels['managed-by'] = 'orders';
    succeeds(await project.deploy(SECOND));
    succeeds(await project.rollBack());
    assert.deepEqual(project.service.annotations, {
      ...SETTINGS,
      'run.googleapis.com/ingress': 'all',
      'run.googleapis.com/maxScale': '4',
      'run.googleapis.com/minScale': '0',
    });
    assert.deepEqual(project.service.labels, { team: 'orders' });
    assert.deepEqual(job.annotations, { 'run.googleapis.com/binary-authorization': 'default' });
    assert.equal(job.labels['managed-by'], 'orders');
    return 'stay as they are; those that Google writes are left out';
  });

  scenario('bootstrap with --github-environment', async (project) => {
    await project.bootstrap(['--private', '--with-cloud-build', '--github-environment', 'live']);
    succeeds(await project.deploy(SECOND));
    succeeds(await project.rollBack());
    const rejected = await project.deploy(SECOND, {}, { vars: { GCP_GITHUB_ENVIRONMENT: '' } });
    assert.equal(rejected.diagnosis, 'The given credential is rejected by the attribute condition');
    return 'Deploy and Rollback run in this environment; Google rejects jobs without it';
  });

  scenario('own settings and secrets of an environment', async (project) => {
    const text = `it's "$HOME" \${GCP_REGION} #1: \\n x`;
    const repository = checkoutWith([
      'STRIPE_KEY production secret stripe-key',
      'OTHER_KEY staging secret other-key',
      `GREETING production plain ${text}`,
      'GREETING all plain of another environment',
      'MAX_INSTANCES production plain 2',
      'MEMORY production plain 1Gi',
      'DATABASE_CONNECT_TIMEOUT_MS all plain 3000',
    ]);
    const count = migrations(project);
    const early = await project.deploy(SECOND, {}, { repository });
    assert.deepEqual(early.failed, ['deploy / Preflight'], early.log);
    assert.match(early.log, /secret orders-stripe-key/);
    await project.bootstrap(['--private', '--with-cloud-build'], repository);
    const empty = await project.deploy(SECOND, {}, { repository });
    assert.equal(empty.diagnosis, 'The secret … has no enabled version');
    assert.equal(migrations(project), count);
    project.state.secrets['orders-stripe-key'].versions[1] = { state: 'ENABLED', value: 'sk_live' };
    succeeds(await project.deploy(SECOND, {}, { repository }));

    const { template } = project.service.revisions[project.service.statusTraffic[0].revisionName];
    const [{ env, resources }] = template.spec.containers;
    const byName = Object.fromEntries(env.map(({ name, ...given }) => [name, given]));
    assert.deepEqual(byName.STRIPE_KEY, { valueFrom: { secretKeyRef: { name: 'orders-stripe-key', key: '1' } } });
    assert.deepEqual(byName.GREETING, { value: text.replace('${GCP_REGION}', 'europe-west1') });
    assert.equal(byName.OTHER_KEY, undefined);
    assert.equal(byName.MEMORY, undefined);
    assert.equal(resources.limits.memory, '1Gi');
    assert.equal(template.metadata.annotations['autoscaling.knative.dev/maxScale'], '2');
    assert.equal(project.service.annotations['run.googleapis.com/maxScale'], '2');
    const [job] = project.state.jobs['europe-west1/orders-migrate'].template.spec.template.spec.containers;
    assert.deepEqual(
      job.env.map(({ name }) => name),
      ['NODE_OPTIONS', 'DATABASE_POOL_MAX', 'DATABASE_URL', 'DATABASE_CONNECT_TIMEOUT_MS'],
    );
    return 'reach the service; without a version of the secret, Deploy stops before the migration';
  });

  scenario('a job of deploy/jobs/ with a schedule', async (project) => {
    const repository = checkoutWithJob();
    const count = migrations(project);
    const early = await project.deploy(SECOND, {}, { repository });
    assert.deepEqual(early.failed, ['deploy / Preflight of the jobs'], early.log);
    assert.match(early.log, /The job orders-drafts does not exist\. Run deploy\/bootstrap\.sh again/);
    assert.equal(migrations(project), count);
    await project.bootstrap(['--private', '--with-cloud-build'], repository);
    const job = project.state.jobs['europe-west1/orders-drafts'];
    job.labels = { team: 'orders' };
    succeeds(await project.deploy(SECOND, {}, { repository }));

    const [{ revisionName }] = project.service.statusTraffic;
    const { spec } = project.service.revisions[revisionName].template;
    const task = job.template.spec.template.spec;
    assert.deepEqual(task.containers[0].args, ['dist/drafts.js']);
    assert.deepEqual(
      [task.containers[0].image, task.containers[0].env],
      [spec.containers[0].image, spec.containers[0].env],
    );
    assert.equal(task.serviceAccountName, spec.serviceAccountName);
    assert.deepEqual(job.labels, { team: 'orders' });
    assert.deepEqual(job.executions, {}); // a deployment runs none

    const words = ['scheduler', 'jobs', 'run', 'orders-drafts', '--location=europe-west1', '--project=my-project'];
    const runSchedule = () => assert.equal(gcloud(project.cloud, { words, environment: {} }).status, 0);
    runSchedule();
    const runs = () => Object.values(job.executions).map(({ succeeded, image }) => [succeeded, image]);
    assert.deepEqual(runs(), [[true, task.containers[0].image]]);

    const [developer, invoker] = ['roles/run.developer', 'roles/run.invoker'].map((role) =>
      job.policy.find((binding) => binding.role === role),
    );
    invoker.members = [];
    runSchedule();
    assert.equal(runs().length, 1);
    assert.equal(project.state.schedules['europe-west1/orders-drafts'].status.code, 7);
    developer.members = [];
    const denied = await project.deploy(THIRD, {}, { repository });
    assert.deepEqual(denied.failed, ['deploy / Jobs'], denied.log);
    assert.match(denied.log, /Permission 'run\.jobs\.update' denied/);
    assert.equal(project.traffic, `${THIRD} 100`);
    return 'Deploy stops before the migration until bootstrap has created the job; then it deploys the image, and the schedule runs it';
  });

  scenario('Cloud Run requires setIamPolicy for unchanged public access', async (project) => {
    project.service.annotations['run.googleapis.com/invoker-iam-disabled'] = 'True';
    project.cloud.faults.checksPublicAccess = true;
    const count = migrations(project);
    const outcome = await project.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Preflight'], outcome.log);
    assert.equal(outcome.diagnosis, "Permission 'run.services.setIamPolicy' denied");
    assert.equal(migrations(project), count);
    assert.equal(project.traffic, `${FIRST} 100`);
    return `stops at deploy / Preflight, before the migration: ${outcome.diagnosis}`;
  });

  scenario('Cloud Run rejects the service', async (project) => {
    project.state.accounts['orders-runtime@my-project.iam.gserviceaccount.com'].policy = [];
    const count = migrations(project);
    const outcome = await project.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Preflight'], outcome.log);
    assert.match(outcome.log, /Nothing was migrated or deployed/);
    assert.equal(migrations(project), count);
    return 'stops at deploy / Preflight, before the migration';
  });

  /** A project in which the first revision, deployed with the first version of the secret, is not the newest. */
  async function withTwoRevisions(project, versionState) {
    const { versions } = project.state.secrets['orders-database-url'];
    versions[2] = { ...versions[1] };
    succeeds(await project.deploy(SECOND));
    if (versionState) versions[1].state = versionState;
  }

  scenario('a rollback to a revision that no longer starts', async (project) => {
    await withTwoRevisions(project, 'DISABLED');
    const outcome = await project.rollBack();
    assert.deepEqual(outcome.failed, ['rollback / Roll back'], outcome.log);
    assert.match(outcome.diagnosis, /does not start: GET \/health\/startup returned/);
    assert.match(
      outcome.summary,
      /\| Note \| orders-a{7}-1-1 uses version 1 of the secret orders-database-url; the newest enabled version is 2/,
    );
    assert.equal(project.traffic, `${SECOND} 100`);
    assert.ok(!project.service.traffic.some(({ tag }) => tag));
    return 'stops before the traffic moves; the summary names the older version of the secret';
  });

  scenario('a forced rollback to a revision that fails its check', async (project) => {
    await withTwoRevisions(project);
    project.cloud.state.behaviours[FIRST] = { answers: { '/health/startup': 503 } };
    assert.deepEqual((await project.rollBack()).failed, ['rollback / Roll back']);
    succeeds(await project.rollBack({ force: 'true' }));
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'moves the traffic without the check';
  });

  scenario('a forced rollback to a revision that no longer starts', async (project) => {
    await withTwoRevisions(project, 'DISABLED');
    const outcome = await project.rollBack({ force: 'true' });
    assert.deepEqual(outcome.failed, ['rollback / Verify'], outcome.log);
    assert.match(outcome.log, /::error title=Traffic restored::/);
    assert.equal(project.traffic, `${SECOND} 100`);
    return 'fails at rollback / Verify; the traffic is restored';
  });

  scenario('a rollback to a revision that fails under traffic', async (project) => {
    await withTwoRevisions(project);
    project.cloud.state.behaviours[FIRST] = { failing: 1 };
    const outcome = await project.rollBack();
    assert.deepEqual(outcome.failed, ['rollback / Verify'], outcome.log);
    assert.match(outcome.log, /::error title=Traffic restored::/);
    assert.equal(project.traffic, `${SECOND} 100`);
    assert.equal(tagsOf(project)['serving-production'], tagsOf(project)[SECOND]);
    return 'fails at rollback / Verify; the traffic is restored';
  });

  scenario('a failed rollback during a canary', async (project) => {
    await withTwoRevisions(project);
    const { service } = project;
    const [first, second] = Object.keys(service.revisions).slice(-2);
    service.traffic = [
      { revisionName: second, percent: 90 },
      { revisionName: Object.keys(service.revisions)[0], percent: 10 },
    ];
    service.statusTraffic = service.traffic;
    project.cloud.state.behaviours[FIRST] = { failing: 1 };
    const outcome = await project.rollBack({ revision: first });
    assert.deepEqual(outcome.failed, ['rollback / Verify'], outcome.log);
    assert.equal(project.traffic, `${SECOND} 90, sample 10`);
    return 'restores the split of the traffic';
  });

  for (const [what, how] of [
    ['is cancelled', 'cancelled'],
    ['times out', 'failure'],
  ]) {
    scenario(`a rollback that ${what} just after the traffic has moved`, async (project) => {
      await withTwoRevisions(project);
      const stop = ({ words }) => (words.some((word) => word.startsWith('--to-revisions')) ? how : undefined);
      const outcome = await project.rollBack({}, { stop: once(stop) });
      assert.deepEqual(outcome.failed, ['rollback / Roll back'], outcome.log);
      assert.equal(project.traffic, `${SECOND} 100`);
      return 'the traffic is restored';
    });
  }

  scenario('another change of the traffic during a failed rollback', async (project) => {
    await withTwoRevisions(project);
    project.cloud.state.behaviours[FIRST] = { failing: 1 };
    const [revisionName] = Object.keys(project.service.revisions);
    const stop = ({ words }) => {
      if (!words.some((word) => word.startsWith('--to-revisions'))) return;
      project.cloud.meanwhile = () => {
        project.service.traffic = [{ revisionName, percent: 100 }];
        project.service.statusTraffic = project.service.traffic;
      };
    };
    const environment = { VERIFY_TIMEOUT_SECONDS: '2' };
    const outcome = await project.rollBack({}, { stop, environment });
    assert.deepEqual(outcome.failed, ['rollback / Verify'], outcome.log);
    assert.equal(project.traffic, 'sample 100');
    return 'stays';
  });

  scenario('a rollback behind the newest migration', async (project) => {
    const revision = Object.values(project.service.revisions).at(-1);
    revision.template.metadata.labels['newest-migration'] = '1700000000000';
    succeeds(await project.deploy(SECOND));
    const outcome = await project.rollBack();
    succeeds(outcome);
    assert.match(
      outcome.log,
      /::warning title=Rollback::The schema is newer than orders-a{7}-1-1: its newest migration is 1700000000000, and \d{13} has run/,
    );
    assert.match(outcome.summary, /\| Note \| The schema is newer/);
    return 'warns in the log and in the summary';
  });

  scenario('a rollback to a revision of the same schema and secrets', async (project) => {
    succeeds(await project.deploy(SECOND));
    const outcome = await project.rollBack();
    assert.doesNotMatch(outcome.log + outcome.summary, /warning|Note/);
    return 'does not warn';
  });

  scenario('a deployment of an older commit after a newer migration', async (project) => {
    const job = project.state.jobs['europe-west1/orders-migrate'];
    job.labels['newest-migration'] = '1999999999999';
    succeeds(await project.deploy(SECOND));
    assert.equal(job.labels['newest-migration'], '1999999999999');
    return 'the label of the job keeps the newest migration';
  });

  for (const revision of [
    '--flags-file=/etc/passwd',
    '-h',
    'orders 1',
    'Orders-1',
    "orders'1",
    'orders-1\n--quiet',
    '$(id)',
    '1-orders',
  ]) {
    scenario(`a rollback to ${JSON.stringify(revision)}`, async (project) => {
      const since = project.cloud.calls.length;
      const outcome = await project.rollBack({ revision });
      assert.deepEqual(outcome.failed, ['rollback / Select the revision'], outcome.log);
      assert.match(outcome.log, /must be the name of a revision/);
      assert.deepEqual(project.cloud.calls.slice(since), []);
      return 'stops before gcloud is called';
    });
  }

  scenario('a rollback to a revision by name', async (project) => {
    const name = project.service.statusTraffic[0].revisionName;
    for (const commit of [SECOND, THIRD]) succeeds(await project.deploy(commit));
    succeeds(await project.rollBack({ revision: name }));
    assert.equal(project.traffic, `${FIRST} 100`);
    assert.equal(tagsOf(project)['serving-production'], tagsOf(project)[FIRST]);
    return 'the revision serves, and its image is tagged';
  });

  scenario('a repeated run', async (project) => {
    // GitHub counts a repetition as an attempt of the same run.
    succeeds(await project.deploy(FIRST, {}, { github: { run_number: '1', run_attempt: '2' } }));
    return 'creates another revision';
  });

  scenario('a canary fails 5 % of its requests', async (project) => {
    behave({ failing: 0.05 })(project);
    const outcome = await project.deploy(SECOND, { strategy: 'canary' });
    assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic is restored';
  });

  scenario('a front end still serves another revision', async (project) => {
    behave({ tellsLive: [SECOND, FIRST] })(project);
    const outcome = await project.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Verify'], outcome.log);
    assert.match(outcome.log, /returned 200 with commit 'a{40}' instead of b{40}/);
    return 'fails at deploy / Verify; the traffic is restored';
  });

  scenario('the summary of a rollback', async (project) => {
    for (const commit of [SECOND, THIRD]) succeeds(await project.deploy(commit));
    const outcome = await project.rollBack();
    assert.match(outcome.summary, /\| Commit \| \[`b{7}`\]/);
    return 'names the deployed commit';
  });

  scenario('a rollback to a revision that never started', async (project) => {
    behave({ neverReady: 'Waiting' })(project);
    await project.deploy(SECOND);
    const revision = Object.keys(project.service.revisions).at(-1);
    const outcome = await project.rollBack({ revision });
    assert.deepEqual(outcome.failed, ['rollback / Select the revision'], outcome.log);
    assert.match(outcome.log, /never started/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic stays';
  });

  scenario('a rollback to a revision of another service', async (project) => {
    const other = structuredClone(project.service);
    other.revisions = { 'other-1': Object.values(other.revisions).at(-1) };
    other.policy = project.service.policy;
    project.state.services['europe-west1/other'] = other;
    const outcome = await project.rollBack({ revision: 'other-1' });
    assert.match(outcome.log, /other-1 is not a revision of orders/);
    return 'stops';
  });

  stops(
    'a repository variable has a quotation mark',
    'build / Sign in to Google Cloud',
    /contains a quotation mark/,
    () => ({
      vars: { APP_CORS_ORIGINS: "https://a.example', '*" },
    }),
  );

  scenario('a log contains a workflow command', async (project) => {
    behave({ migration: 'relation\n::stop-commands::x' })(project);
    const outcome = await project.deploy(SECOND);
    assert.match(outcome.log, /relation\n\| ::stop-commands/);
    return 'the command is printed, but has no effect';
  });

  stops(
    'the candidate rejects the token of the deployer',
    'deploy / Smoke test',
    /\/v1\/me of the candidate returned 401 instead of 200/,
    () => ({ vars: { APP_OIDC_ISSUERS: 'https://issuer.example' } }),
  );

  scenario('a rollback before the second deployment', async (project) => {
    const outcome = await project.rollBack();
    assert.deepEqual(outcome.failed, ['rollback / Select the revision'], outcome.log);
    assert.match(outcome.log, /is the placeholder/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic stays';
  });

  scenario('secrets have several versions', async (project) => {
    for (const [secret, newest] of Object.entries({ 'orders-database-url': 10, 'orders-migrator-database-url': 11 })) {
      const { versions } = project.state.secrets[secret];
      for (let number = 2; number <= newest; number++) versions[number] = { ...versions[1] };
    }
    succeeds(await project.deploy(SECOND));
    const { template } = project.service.revisions[project.service.statusTraffic[0].revisionName];
    const keyIn = ({ containers: [{ env }] }) =>
      env.find(({ name }) => name === 'DATABASE_URL').valueFrom.secretKeyRef.key;
    assert.equal(keyIn(template.spec), '10');
    assert.equal(keyIn(project.state.jobs['europe-west1/orders-migrate'].template.spec.template.spec), '11');
    return 'deploys the number of the newest version';
  });

  for (const [to, index] of [
    ['the deployed revision', -1],
    ['another revision', 0],
  ]) {
    scenario(`a rollback to ${to} just before the traffic moves`, async (project) => {
      let made = false;
      const revisionName = Object.keys(project.service.revisions).at(index);
      const stop = ({ words }) => {
        const command = words.join(' ');
        if (isReplace(words)) made = true;
        else if (made && command.startsWith('run services describe')) {
          made = false;
          project.service.traffic = [{ revisionName, percent: 100 }];
        }
      };
      const outcome = await project.deploy(SECOND, {}, { stop });
      assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
      assert.match(outcome.log, /Another change has moved the traffic in the meantime/);
      assert.deepEqual(project.service.traffic, [{ revisionName, percent: 100 }]);
      return 'the rollback wins; the deployment stops';
    });
  }

  scenario('a rollback while the traffic moves', async (project) => {
    const [{ revisionName }] = project.service.statusTraffic;
    const stop = ({ words }) => {
      if (words.includes('update-traffic')) project.service.traffic = [{ revisionName, percent: 100 }];
    };
    const outcome = await project.deploy(SECOND, {}, { stop });
    assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
    assert.match(outcome.log, /Another change moves the traffic at the same time/);
    return 'the rollback wins; the deployment stops';
  });

  scenario('restoring the traffic is interrupted', async (project) => {
    behave({ failing: 1 })(project);
    const stop = ({ words }) => {
      if (words.includes('update-traffic')) project.cloud.faults.interrupt = true;
    };
    const outcome = await project.deploy(SECOND, {}, { stop });
    assert.deepEqual(outcome.failed, ['deploy / Verify'], outcome.log);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'the step retries';
  });

  scenario('the state after the traffic is restored', async (project) => {
    behave({ failing: 1 })(project);
    const outcome = await project.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Verify'], outcome.log);
    assert.ok(!project.service.traffic.some(({ tag }) => tag));
    assert.equal(tagsOf(project)['serving-production'], tagsOf(project)[FIRST]);
    return 'no tag on the candidate or its image';
  });

  scenario('the candidate becomes unready during a canary', async (project) => {
    project.cloud.meanwhile = () => behave({ answers: { '/health/ready': 503 } })(project);
    const outcome = await project.deploy(SECOND, { strategy: 'canary' });
    assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
    assert.match(outcome.log, /\/health\/ready of the candidate returned 503 during the canary/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic is restored';
  });

  scenario('Cloud Run has not applied the requested split yet', async (project) => {
    const stop = ({ words }) => {
      if (words.includes('update-traffic'))
        project.service.observedGeneration = words.includes('--clear-tags')
          ? undefined
          : project.service.generation - 1;
    };
    const outcome = await project.deploy(SECOND, {}, { stop });
    assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
    assert.match(outcome.log, /The traffic did not move/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'the step waits, then fails; the traffic is restored';
  });

  scenario('a rollback to an unknown revision', async (project) => {
    const outcome = await project.rollBack({ revision: 'orders-nowhere' });
    assert.deepEqual(outcome.failed, ['rollback / Select the revision'], outcome.log);
    assert.match(outcome.log, /Cannot read the revision orders-nowhere/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic stays';
  });

  scenario('a rollback while the newest revision never started', async (project) => {
    succeeds(await project.deploy(SECOND));
    project.cloud.state.behaviours[THIRD] = { neverReady: 'Waiting' };
    assert.equal((await project.deploy(THIRD)).result, 'failure');
    succeeds(await project.rollBack());
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'the revision before the deployed one gets the traffic';
  });

  const STRANGERS = {
    'on another branch': { ref: 'refs/heads/topic' },
    'started by a push': { event_name: 'push' },
    'of a repository that took over the name': { repository_id: '4712' },
    'of an owner who took over the name': { repository_owner_id: '816' },
  };
  for (const [what, github] of Object.entries(STRANGERS)) {
    scenario(`a run ${what}`, async (project) => {
      // Google checks these, and Rollback does not.
      const outcome = await project.rollBack({}, { github });
      assert.deepEqual(outcome.failed, ['rollback / Select the revision'], outcome.log);
      assert.match(outcome.diagnosis, /rejected by the attribute condition/);
      return `stops at ${outcome.failed[0]}: ${outcome.diagnosis}`;
    });
  }

  scenario('a request to a private candidate', (project) => {
    const url = project.cloud.serviceUrl('123', 'europe-west1', 'orders', 'candidate');
    assert.equal(answer(project.cloud, { host: new URL(url).host, path: '/', headers: {} }).status, 403);
    return 'Cloud Run returns 403 without an ID token';
  });
});

const isReplace = (words) => words.join(' ').startsWith('run services replace') && !words.includes('--dry-run');

const once = (stop) => {
  let isOver = false;
  return (call) => {
    if (isOver) return undefined;
    const how = stop(call);
    isOver = Boolean(how);
    return how;
  };
};

test('logs and summaries contain no secret and no token', () => {
  assert.ok(Project.printed.length > 100_000);
  assert.doesNotMatch(Project.printed, /(first|second)-secret|\.standin\b|postgresql:\/\/orders/);
});

test(`${PROOF} has these results`, async () => {
  const text = await format(document(), { parser: 'markdown', singleQuote: true, printWidth: 120 });
  if (process.env.WRITE_PROOF) writeFileSync(PROOF, text);
  assert.equal(
    existsSync(PROOF) && readFileSync(PROOF, 'utf8'),
    text,
    `${PROOF} is stale. Run: npm run test:template -- --write`,
  );
});

function document() {
  const rows = (map, cells) => [...map].map((entry) => `| ${cells(entry).join(' | ')} |`).join('\n');
  const modes = (list) => (list.length === MODES.length ? 'every' : list.toSorted().join('; '));
  return `# Pipeline proof

The Deploy and Rollback workflows run step by step, as on GitHub, against a stand-in for Google Cloud that checks the permissions of each caller. \`npm run test:template -- --write\` writes this page, and a test fails when the page is stale.

## Deployment modes

| builder, access, strategy | result |
|---|---|
${rows(table.modes, ([mode, result]) => [mode, result])}

## Failures

| failure | result |
|---|---|
${rows(table.scenarios, ([what, result]) => [what, result])}

## Missing grants

| missing grant | modes | fails |
|---|---|---|
${[...table.grants]
  .flatMap(([grant, found]) => [...found].map(([broken, list]) => `| ${grant} | ${modes(list)} | ${broken} |`))
  .toSorted() // two modes run concurrently, in no fixed order
  .join('\n')}
`;
}
