// Runs the Deploy and Rollback workflows step by step, like GitHub, against a stand-in that checks each permission. The last
// test compares the results with template/pipeline/proof.md; `npm run test:template -- --write` writes the page.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { format } from 'prettier';
import { answer } from '../standin/traffic.mjs';
import { cleanUp, COMMITS, Project } from './proofs.mjs';

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
      if (outcome.diagnosis)
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
    run: ['deploy / Migrate'],
    secretmanager: ['deploy / Migrate'],
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
  stops('the digest contains the text of a repository secret', 'deploy / Migrate', /may contain secret/, () => ({
    secrets: { LUCKY: 'sha256' },
  }));
  stops(
    'the secret has no enabled version',
    'deploy / Candidate',
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

  scenario('a second deployment of the same commit', async (project) => {
    const digest = tagsOf(project)[FIRST];
    const since = project.cloud.calls.length;
    succeeds(await project.deploy(FIRST, {}, { github: { run_attempt: '2' } }));
    assert.ok(!project.cloud.calls.slice(since).some(({ program }) => program === 'docker'));
    assert.equal(tagsOf(project)[FIRST], digest);
    return 'deploys the existing image';
  });

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
      const stop = ({ words }) => (words.join(' ').startsWith('run services replace') ? how : undefined);
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
    assert.deepEqual(outcome.failed, ['deploy / Candidate'], outcome.log);
    assert.equal(outcome.diagnosis, 'The traffic is split');
    return 'stops at deploy / Candidate: The traffic is split';
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
    assert.equal(open.service.annotations['run.googleapis.com/invoker-iam-disabled'], 'true');
    open.service.annotations['run.googleapis.com/ingress'] = 'internal';
    const outcome = await open.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Smoke test']);
    assert.equal(open.service.annotations['run.googleapis.com/ingress'], 'internal');
    await open.close();
    return 'both stay as they are';
  });

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
    assert.deepEqual(outcome.failed, ['rollback / Roll back'], outcome.log);
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
    assert.deepEqual(outcome.failed, ['rollback / Roll back'], outcome.log);
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
    const manifests = Object.assign({}, ...project.cloud.calls.map(({ files }) => files));
    const keys = Object.values(manifests).flatMap((text) => text.match(/key: '(\d+)'/)?.[1] ?? []);
    assert.deepEqual(new Set(keys), new Set(['10', '11']));
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
        if (command.startsWith('run services replace')) made = true;
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
    assert.deepEqual(outcome.failed, ['rollback / Roll back'], outcome.log);
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
      assert.deepEqual(outcome.failed, ['rollback / Roll back'], outcome.log);
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
