// The Deploy and Rollback workflows, step by step as GitHub runs them, in a cloud that checks each permission. What comes
// of it is the table in template/pipeline/proof.md, which the last test holds to it; `npm run test:template -- --write` writes it.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { format } from 'prettier';
import { answer } from '../standin/traffic.mjs';
import { cleanUp, COMMITS, Project } from './proofs.mjs';

const PROOF = 'template/pipeline/proof.md';
const [FIRST, SECOND, THIRD] = COMMITS;

/** Every builder, strategy and kind of access, and each of them beside each other. */
const MODES = [
  { builder: 'runner', access: 'public', strategy: 'all-at-once' },
  { builder: 'runner', access: 'private', strategy: 'canary' },
  { builder: 'cloud-build', access: 'public', strategy: 'canary' },
  { builder: 'cloud-build', access: 'private', strategy: 'all-at-once' },
];
const nameOf = ({ builder, access, strategy }) => `${builder}, ${access}, ${strategy}`;

/** What the table says, in the order of the tests. */
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

describe('each way to deploy', { concurrency: 2 }, () => {
  for (const mode of MODES) {
    const { builder, strategy } = mode;
    table.modes.set(nameOf(mode), 'was not played');
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
        'bootstrap, deploy, deploy the next commit, bootstrap again (makes nothing), roll back: all succeed',
      );
    });
  }
});

describe('each grant that bootstrap makes, removed alone, breaks one thing', { concurrency: 2 }, () => {
  for (const mode of MODES) {
    test(nameOf(mode), async () => {
      const project = await boot(mode);
      for (const grant of grantsIn(project)) {
        const one = await project.copy();
        one.haveUsers();
        remove(one, grant);
        const broken = await whatBreaks(one, mode);
        assert.ok(broken, `${grant.name}: nothing breaks without it`);
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

/** A deployment fails in one step; or, if it does not, the log of a failed migration is missing. */
async function whatBreaks(project, { builder, strategy }) {
  const outcome = await project.deploy(FIRST, { builder, strategy });
  if (outcome.result === 'success') {
    project.cloud.state.behaviours[SECOND] = { migration: 'relation "vouchers" already exists' };
    const unlucky = await project.deploy(SECOND, { builder, strategy });
    return unlucky.log.includes('already exists') ? undefined : 'the log of a migration that failed';
  }
  assert.equal(outcome.failed.length, 1, outcome.log);
  assert.ok(outcome.diagnosis, outcome.log);
  assert.equal(project.traffic, 'sample 100');
  return `${outcome.failed[0]}: ${outcome.diagnosis}`;
}

describe('what goes wrong', { concurrency: 2 }, () => {
  let prepared;
  before(async () => {
    prepared = await boot({ builder: 'cloud-build', access: 'private' });
    prepared.haveUsers();
    succeeds(await prepared.deploy(FIRST));
  });
  after(() => prepared.close());

  /** `play` returns what the table says. */
  function scenario(what, play) {
    table.scenarios.set(what, 'was not played');
    test(what, async () => {
      const project = await prepared.copy();
      project.haveUsers();
      table.scenarios.set(what, await play(project));
      await project.close();
    });
  }
  /** Nothing is deployed, in this step, for this reason. */
  function stops(what, step, diagnosis, spoil, inputs = {}) {
    scenario(what, async (project) => {
      const more = spoil(project);
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
    run: ['migrate / Migrate'],
    secretmanager: ['migrate / Migrate'],
    sts: ['build / Build'],
  };
  for (const [api, [step, inputs]] of Object.entries(NEEDED)) {
    stops(`the API ${api} is off`, step, /has not been used in project/, without(api), inputs);
  }
  stops(
    'the registry is gone',
    'build / Build',
    /artifactregistry|Repository/,
    ({ state }) => void (state.repositories = {}),
  );
  stops('the variable GCP_REGION has another region', 'build / Build', /artifactregistry/, () => ({
    vars: { GCP_REGION: 'us-central1' },
  }));
  stops(
    'the variable GCP_WIF_PROVIDER has the project’s id in the place of its number',
    'build / Sign in to Google Cloud',
    /audience/,
    ({ variables }) => ({
      vars: { GCP_WIF_PROVIDER: variables.GCP_WIF_PROVIDER.replace('123', 'my-project') },
    }),
  );
  stops('the variable GCP_WIF_PROVIDER has another project’s number', 'build / Build', /audience/, ({ variables }) => ({
    vars: { GCP_WIF_PROVIDER: variables.GCP_WIF_PROVIDER.replace('123', '124') },
  }));
  stops('a repository variable is missing', 'build / Sign in to Google Cloud', /Repository variables are missing/, () => ({
    vars: { GCP_SERVICE: '' },
  }));
  stops('the run is not of main', 'test / Require main', /Deploy runs on main/, () => ({
    github: { ref: 'refs/heads/topic' },
  }));
  stops('the tests fail', 'test / npm run check', /npm run check/, () => ({ environment: { NPM_FAILS: 'run check' } }));
  stops('a secret of the repository is part of the digest', 'migrate / Migrate', /may contain secret/, () => ({
    secrets: { LUCKY: 'sha256' },
  }));
  stops(
    'the secret has no enabled version',
    'deploy / Candidate',
    /has no enabled version/,
    ({ state }) => void (state.secrets['orders-database-url'].versions[1].state = 'DISABLED'),
  );
  stops('the variable GCP_CLOUD_SQL_INSTANCE names another instance', 'migrate / Migrate', /cloudsql/, () => ({
    vars: { GCP_CLOUD_SQL_INSTANCE: 'my-project:europe-west1:other' },
  }));
  stops(
    'the workflow asks Cloud Build, and bootstrap did not',
    'build / Build',
    /cloud-build needs/,
    () => ({ vars: { GCP_BUILD_ACCOUNT: '' } }),
    { builder: 'cloud-build' },
  );
  stops(
    'the revision never listens',
    'deploy / Candidate',
    /failed to start|environment is not usable/,
    behave({ neverListens: 'The environment is not usable:' }),
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
    'the candidate is of another commit',
    'deploy / Smoke test',
    /runs commit 0000000 instead of b{40}/,
    behave({ tells: '0000000' }),
  );
  stops(
    'the candidate lets everybody in',
    'deploy / Smoke test',
    /GET \/v1\/me of the candidate returned 200 instead of 401/,
    behave({ answers: { '/v1/me': 200 } }),
  );

  scenario('the migration fails', async (project) => {
    behave({ migration: 'relation "vouchers" already exists' })(project);
    const revisions = Object.keys(project.service.revisions).length;
    const outcome = await project.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['migrate / Migrate']);
    assert.match(outcome.log, /ERROR relation "vouchers" already exists/);
    assert.equal(Object.keys(project.service.revisions).length, revisions);
    return 'stops at migrate / Migrate, which shows its log; no new revision';
  });

  scenario('the same commit again', async (project) => {
    const digest = tagsOf(project)[FIRST];
    const since = project.cloud.calls.length;
    succeeds(await project.deploy(FIRST, {}, { github: { run_attempt: '2' } }));
    assert.ok(!project.cloud.calls.slice(since).some(({ program }) => program === 'docker'));
    assert.equal(tagsOf(project)[FIRST], digest);
    return 'deploys the image that is there; builds none';
  });

  scenario('two deployments at once, of two commits', async (project) => {
    let second;
    const afterJob = async (job) => {
      if (job === 'build') second = await project.deploy(THIRD);
    };
    // What came meanwhile serves; then comes what was built before it.
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

  scenario('the service fails once it has the traffic', async (project) => {
    behave({ failing: 1 })(project);
    const outcome = await project.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Verify'], outcome.log);
    assert.match(outcome.log, /::error title=Traffic restored::/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'fails at deploy / Verify; the traffic is returned';
  });

  for (const [what, how] of [
    ['somebody cancels the run', 'cancelled'],
    ['the step takes too long', 'failure'],
  ]) {
    scenario(`${what}, just after the traffic has moved`, async (project) => {
      const stop = ({ words }) => (words.includes('update-traffic') ? how : undefined);
      const outcome = await project.deploy(SECOND, {}, { stop: once(stop) });
      assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
      assert.match(outcome.log, /::error title=Traffic restored::/);
      assert.equal(project.traffic, `${FIRST} 100`);
      return 'the traffic is returned';
    });
    scenario(`${what}, before the traffic has moved`, async (project) => {
      const stop = ({ words }) => (words.join(' ').startsWith('run services replace') ? how : undefined);
      const outcome = await project.deploy(SECOND, {}, { stop: once(stop) });
      assert.deepEqual(outcome.failed, ['deploy / Candidate'], outcome.log);
      assert.equal(project.traffic, `${FIRST} 100`);
      return 'the traffic stays';
    });
  }

  scenario('a canary fails for a part of its users', async (project) => {
    behave({ failing: 0.2 })(project);
    const outcome = await project.deploy(SECOND, { strategy: 'canary' });
    assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
    assert.match(outcome.log, /::error title=shift-traffic::At 10 %, \d+ of \d+ requests failed/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops in the first window, at 10 %; the traffic is returned';
  });

  scenario('a canary without users', async (project) => {
    project.cloud.meanwhile = () => {};
    const outcome = await project.deploy(SECOND, { strategy: 'canary' });
    succeeds(outcome);
    assert.match(outcome.summary, /0 of 0 requests failed \(5xx\): inconclusive, fewer than 20 requests/);
    assert.doesNotMatch(outcome.summary, /: good/);
    return 'continues; the verdict is inconclusive';
  });

  scenario('somebody moves the traffic during a canary', async (project) => {
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
    assert.match(outcome.log, /Somebody has moved the traffic in the meantime/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'goes no further; the candidate’s share is returned';
  });

  scenario('the traffic is divided when a deployment begins', async (project) => {
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

  scenario('access and ingress that somebody has set by hand', async (project) => {
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
    return 'stay as they are';
  });

  scenario('a roll-back to a revision by its name', async (project) => {
    const name = project.service.statusTraffic[0].revisionName;
    for (const commit of [SECOND, THIRD]) succeeds(await project.deploy(commit));
    succeeds(await project.rollBack({ revision: name }));
    assert.equal(project.traffic, `${FIRST} 100`);
    assert.equal(tagsOf(project)['serving-production'], tagsOf(project)[FIRST]);
    return 'that one serves, and its image is marked';
  });

  scenario('a run that is repeated', async (project) => {
    // GitHub counts a repetition as an attempt of the same run.
    succeeds(await project.deploy(FIRST, {}, { github: { run_number: '1', run_attempt: '2' } }));
    return 'makes a revision of its own';
  });

  scenario('a canary fails for a few of its users', async (project) => {
    behave({ failing: 0.05 })(project);
    const outcome = await project.deploy(SECOND, { strategy: 'canary' });
    assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic is returned';
  });

  scenario('a front end that still answers by another revision', async (project) => {
    behave({ tellsLive: [SECOND, FIRST] })(project);
    const outcome = await project.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Verify'], outcome.log);
    assert.match(outcome.log, /returned 200 with commit 'a{40}' instead of b{40}/);
    return 'fails at deploy / Verify; the traffic is returned';
  });

  scenario('the summary of a roll-back', async (project) => {
    for (const commit of [SECOND, THIRD]) succeeds(await project.deploy(commit));
    const outcome = await project.rollBack();
    assert.match(outcome.summary, /\| Commit \| \[`b{7}`\]/);
    return 'tells the commit that serves';
  });

  scenario('a roll-back to a revision that never started', async (project) => {
    behave({ neverReady: 'Waiting' })(project);
    await project.deploy(SECOND);
    const revision = Object.keys(project.service.revisions).at(-1);
    const outcome = await project.rollBack({ revision });
    assert.deepEqual(outcome.failed, ['rollback / Roll back'], outcome.log);
    assert.match(outcome.log, /never started/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic stays';
  });

  scenario('a roll-back to a revision of another service', async (project) => {
    const other = structuredClone(project.service);
    other.revisions = { 'other-1': Object.values(other.revisions).at(-1) };
    other.policy = project.service.policy;
    project.state.services['europe-west1/other'] = other;
    const outcome = await project.rollBack({ revision: 'other-1' });
    assert.match(outcome.log, /other-1 is not a revision of orders/);
    return 'stops';
  });

  stops('a repository variable has a quotation mark', 'build / Sign in to Google Cloud', /contains a quotation mark/, () => ({
    vars: { APP_CORS_ORIGINS: "https://a.example', '*" },
  }));

  scenario('a log that has a command of GitHub in it', async (project) => {
    behave({ migration: 'relation\n::stop-commands::x' })(project);
    const outcome = await project.deploy(SECOND);
    assert.match(outcome.log, /relation\n\| ::stop-commands/);
    return 'is shown, and commands nothing';
  });

  stops(
    'the candidate does not take the token of the deployer',
    'deploy / Smoke test',
    /\/v1\/me of the candidate returned 401 instead of 200/,
    () => ({ vars: { APP_OIDC_ISSUERS: 'https://issuer.example' } }),
  );

  scenario('a roll-back before there is a second deployment', async (project) => {
    const outcome = await project.rollBack();
    assert.deepEqual(outcome.failed, ['rollback / Roll back'], outcome.log);
    assert.match(outcome.log, /is the placeholder/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic stays';
  });

  scenario('secrets with several versions', async (project) => {
    for (const [secret, newest] of Object.entries({ 'orders-database-url': 10, 'orders-migrator-database-url': 11 })) {
      const { versions } = project.state.secrets[secret];
      for (let number = 2; number <= newest; number++) versions[number] = { ...versions[1] };
    }
    succeeds(await project.deploy(SECOND));
    const manifests = Object.assign({}, ...project.cloud.calls.map(({ files }) => files));
    const keys = Object.values(manifests).flatMap((text) => text.match(/key: '(\d+)'/)?.[1] ?? []);
    assert.deepEqual(new Set(keys), new Set(['10', '11']));
    return 'gives the newest of each, by its number';
  });

  for (const [to, index] of [
    ['the one that serves', -1],
    ['another one', 0],
  ]) {
    scenario(`a roll-back to ${to}, just before the traffic moves`, async (project) => {
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
      assert.match(outcome.log, /Somebody has moved the traffic in the meantime/);
      assert.deepEqual(project.service.traffic, [{ revisionName, percent: 100 }]);
      return 'wins';
    });
  }

  scenario('a roll-back while the traffic moves', async (project) => {
    const [{ revisionName }] = project.service.statusTraffic;
    const stop = ({ words }) => {
      if (words.includes('update-traffic')) project.service.traffic = [{ revisionName, percent: 100 }];
    };
    const outcome = await project.deploy(SECOND, {}, { stop });
    assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
    assert.match(outcome.log, /Another change moves the traffic at the same time/);
    return 'wins';
  });

  scenario('the return of the traffic is interrupted', async (project) => {
    behave({ failing: 1 })(project);
    const stop = ({ words }) => {
      if (words.includes('update-traffic')) project.cloud.faults.interrupt = true;
    };
    const outcome = await project.deploy(SECOND, {}, { stop });
    assert.deepEqual(outcome.failed, ['deploy / Verify'], outcome.log);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'is repeated';
  });

  scenario('what is left after the traffic is returned', async (project) => {
    behave({ failing: 1 })(project);
    const outcome = await project.deploy(SECOND);
    assert.deepEqual(outcome.failed, ['deploy / Verify'], outcome.log);
    assert.ok(!project.service.traffic.some(({ tag }) => tag));
    assert.equal(tagsOf(project)['serving-production'], tagsOf(project)[FIRST]);
    return 'no tag of the candidate, no mark on its image';
  });

  scenario('a candidate that stops being ready during a canary', async (project) => {
    project.cloud.meanwhile = () => behave({ answers: { '/health/ready': 503 } })(project);
    const outcome = await project.deploy(SECOND, { strategy: 'canary' });
    assert.deepEqual(outcome.failed, ['deploy / Shift traffic'], outcome.log);
    assert.match(outcome.log, /\/health\/ready of the candidate returned 503 during the canary/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic is returned';
  });

  scenario('Cloud Run has not dealt with the wish yet', async (project) => {
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
    return 'it is not taken for done';
  });

  scenario('a roll-back to a revision that there is not', async (project) => {
    const outcome = await project.rollBack({ revision: 'orders-nowhere' });
    assert.deepEqual(outcome.failed, ['rollback / Roll back'], outcome.log);
    assert.match(outcome.log, /Cannot read the revision orders-nowhere/);
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'stops; the traffic stays';
  });

  scenario('a roll-back while the newest revision never started', async (project) => {
    succeeds(await project.deploy(SECOND));
    project.cloud.state.behaviours[THIRD] = { neverReady: 'Waiting' };
    assert.equal((await project.deploy(THIRD)).result, 'failure');
    succeeds(await project.rollBack());
    assert.equal(project.traffic, `${FIRST} 100`);
    return 'the one before the one that serves, and not the broken one, gets the traffic';
  });

  const STRANGERS = {
    'of another branch': { ref: 'refs/heads/topic' },
    'that a push has started': { event_name: 'push' },
    'of a repository that has taken over the name': { repository_id: '4712' },
    'of an owner who has taken over the name': { repository_owner_id: '816' },
  };
  for (const [what, github] of Object.entries(STRANGERS)) {
    scenario(`a run ${what}`, async (project) => {
      // Rollback does not look at these itself: Google does.
      const outcome = await project.rollBack({}, { github });
      assert.deepEqual(outcome.failed, ['rollback / Roll back'], outcome.log);
      assert.match(outcome.diagnosis, /rejected by the attribute condition/);
      return `stops at ${outcome.failed[0]}: ${outcome.diagnosis}`;
    });
  }

  scenario('a token for the candidate’s address', (project) => {
    const url = project.cloud.serviceUrl('123', 'europe-west1', 'orders', 'candidate');
    assert.equal(answer(project.cloud, { host: new URL(url).host, path: '/', headers: {} }).status, 403);
    return 'without one, Cloud Run answers 403';
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

test('no log and no summary of all these runs has a secret or a token in it', () => {
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

| what | result |
|---|---|
${rows(table.scenarios, ([what, result]) => [what, result])}

## Missing grants

| without | in | fails |
|---|---|---|
${[...table.grants]
  .flatMap(([grant, found]) => [...found].map(([broken, list]) => `| ${grant} | ${modes(list)} | ${broken} |`))
  .toSorted() // two modes are played at once, and either may be first
  .join('\n')}
`;
}
