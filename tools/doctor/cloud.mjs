// The project in Google Cloud, as whoever is signed in to gcloud sees it: what deploy/bootstrap.sh has made, who may do
// what, and what serves.
import { code, fail, ok, read, warn } from './check.mjs';
import { readGrants } from './grants.mjs';
import { connectionsNeeded, liveProbeOf, probeOf } from './manifest.mjs';
import { isPublic, NOTHING_THERE, Project } from './project.mjs';

const SIGN_IN = 'gcloud auth login, as an owner of the project';
const EVERYBODY = new Set(['allUsers', 'allAuthenticatedUsers']);

/**
 * What to check. Where gcloud cannot see the project, that is the one finding, and not forty of the same.
 *
 * @returns {Promise<import('./check.mjs').Check[]>}
 */
export async function cloud(options) {
  const project = new Project(options);
  const found = await project.find();
  const known = { id: 'cloud.project', run: () => found };
  if (found.status !== 'ok') return [known];
  const here = (checks) => checks.map(({ id, run }) => ({ id, run: () => run(project) }));
  return [
    known,
    ...here([apis, registry, cleanup]),
    ...here(project.accounts.flatMap((who) => [accountCheck(who), keysCheck(who)])),
    ...here([pool, provider]),
    ...here(['runtime_secret', 'migrator_secret'].map(secretCheck)),
    ...here(project.expectedGrants.map(grantCheck)),
    ...here([...project.accounts.map(widerCheck), everybody, deployer]),
    ...here([service, identity, traffic, probes, migration, connections, image, images]),
  ];
}

/** What a check says of an answer, or of there being none. */
async function of(project, command, title, judge) {
  const { value, absent, error } = await project.gcloud(...command);
  if (absent) return fail(`${title} is not there`, project.bootstrap);
  if (error) return warn(`${title} cannot be read: ${error}`, SIGN_IN);
  return judge(value);
}

// ── What there must be

const apis = {
  id: 'cloud.apis',
  run: (project) =>
    of(project, ['services', 'list', '--enabled'], 'the list of APIs', (services) => {
      const script = code('deploy/bootstrap.sh');
      const words = (pattern) => pattern.exec(script)?.[1].split(' ') ?? [];
      const needed = [
        ...words(/apis='([a-z ]+)'/),
        ...(project.names.cloud_sql ? words(/\$cloud_sql \]\] \|\| apis="\$apis ([a-z ]+)"/) : []),
        ...(project.accounts.includes('builder') ? words(/\$with_cloud_build \]\] \|\| apis="\$apis ([a-z ]+)"/) : []),
      ];
      const enabled = new Set(services.map(({ config }) => config.name));
      const off = needed.map((api) => `${api}.googleapis.com`).filter((api) => !enabled.has(api));
      return off.length > 0
        ? fail(`off: ${off.join(', ')}`, `gcloud services enable ${off.join(' ')} --project=${project.names.project}`)
        : ok(`all ${needed.length} are on`);
    }),
};

const describeRegistry = ({ names }) => [
  ...['artifacts', 'repositories', 'describe', names.repository],
  `--location=${names.region}`,
];

const registry = {
  id: 'cloud.registry',
  run: (project) =>
    of(
      project,
      describeRegistry(project),
      `the registry ${project.names.repository} in ${project.names.region}`,
      (found) =>
        found.format === 'DOCKER'
          ? ok(project.names.repository)
          : fail(
              `${project.names.repository} has no images, but ${found.format}`,
              'Name another one in GCP_ARTIFACT_REPOSITORY',
            ),
    ),
};

const cleanup = {
  id: 'cloud.cleanup',
  run: (project) =>
    of(
      project,
      describeRegistry(project),
      'the registry',
      ({ cleanupPolicies = {}, cleanupPolicyDryRun, dockerConfig }) => {
        const { names } = project;
        if (dockerConfig?.immutableTags) {
          return fail(
            'tags cannot move, so no image can be marked or cleaned up',
            `gcloud artifacts repositories update ${names.repository} --location=${names.region} --project=${names.project} --no-immutable-tags`,
          );
        }
        const missing = JSON.parse(read('deploy/cleanup-policy.json')).find(
          (wanted) => !isSamePolicy(wanted, cleanupPolicies[wanted.name]),
        );
        if (missing)
          return fail(`the policy "${missing.name}" of deploy/cleanup-policy.json is not set`, project.bootstrap);
        return cleanupPolicyDryRun
          ? warn('the clean-up only says what it would delete', project.bootstrap)
          : ok(`${Object.keys(cleanupPolicies).length} policies`);
      },
    ),
};

/** The API has words of its own for some values: "86400s" for "1d". */
function isSamePolicy({ action, mostRecentVersions, condition }, live) {
  const typeOf = (value) => value?.type ?? value;
  return (
    typeOf(live?.action) === action.type &&
    live.mostRecentVersions?.keepCount === mostRecentVersions?.keepCount &&
    String(live.condition?.tagPrefixes) === String(condition?.tagPrefixes)
  );
}

const accountCheck = (who) => ({
  id: `cloud.account.${who}`,
  run: (project) =>
    of(project, ['iam', 'service-accounts', 'describe', project.names[who]], project.names[who], ({ disabled }) =>
      disabled
        ? fail(
            `${project.names[who]} is switched off`,
            `gcloud iam service-accounts enable ${project.names[who]} --project=${project.names.project}`,
          )
        : ok(project.names[who]),
    ),
});

const keysCheck = (who) => ({
  id: `cloud.keys.${who}`,
  run(project) {
    const account = `--iam-account=${project.names[who]}`;
    const command = ['iam', 'service-accounts', 'keys', 'list', account, '--managed-by=user'];
    return of(project, command, `the list of keys of ${project.names[who]}`, (keys) =>
      keys.length > 0
        ? fail(
            `${project.names[who]} has a key file, which whoever finds it can use`,
            keys
              .map(({ name }) => `gcloud iam service-accounts keys delete ${name.split('/').at(-1)} ${account}`)
              .join('\n'),
          )
        : ok('none, as it should be'),
    );
  },
});

const pool = {
  id: 'cloud.pool',
  run(project) {
    const { pool: name, project: id } = project.names;
    const describe = ['iam', 'workload-identity-pools', 'describe', name, '--location=global'];
    return of(project, describe, `the pool ${name}`, ({ state, disabled }) => {
      if (state !== 'ACTIVE') return fail(`${name} is ${state}`, project.bootstrap);
      return disabled
        ? fail(
            `${name} is switched off`,
            `gcloud iam workload-identity-pools update ${name} --location=global --project=${id} --no-disabled`,
          )
        : ok(name);
    });
  },
};

/** What deploy/bootstrap.sh lets a provider trust, but for the numbers of the repository and its owner. */
const CONDITION = [
  "assertion.repository_id=='ID'",
  "assertion.repository_owner_id=='ID'",
  "assertion.ref=='refs/heads/main'",
  "assertion.event_name=='workflow_dispatch'",
  "(assertion.workflow_ref.endsWith('/.github/workflows/deploy.yml@refs/heads/main') || assertion.workflow_ref.endsWith('/.github/workflows/rollback.yml@refs/heads/main'))",
].join(' && ');
const MAPPING = { 'google.subject': "'run:' + assertion.run_id", 'attribute.repository_id': 'assertion.repository_id' };
const ISSUER = 'https://token.actions.githubusercontent.com';

const provider = {
  id: 'cloud.provider',
  run(project) {
    const { names, number, bootstrap } = project;
    const { pool: inPool, provider: name } = names;
    const [, named] = /^projects\/([^/]+)\//.exec(names.wifProvider) ?? [];
    if (named !== number) {
      return fail(
        `GCP_WIF_PROVIDER is of the project ${named}, and ${names.project} has the number ${number}`,
        `gh variable set ${project.prefix}GCP_WIF_PROVIDER --body projects/${number}/locations/global/workloadIdentityPools/${inPool}/providers/${name}`,
      );
    }
    const update = `gcloud iam workload-identity-pools providers update-oidc ${name} --workload-identity-pool=${inPool} --location=global --project=${names.project}`;
    return of(project, project.describeProvider, `the provider ${name}`, (found) => {
      const { state, disabled, attributeCondition = '', attributeMapping = {}, oidc } = found;
      if (state !== 'ACTIVE') return fail(`${name} is ${state}`, bootstrap);
      if (disabled) return fail(`${name} is switched off`, `${update} --no-disabled`);
      if (attributeCondition.replaceAll(/'\d+'/g, "'ID'") !== CONDITION) {
        return fail(`it trusts ${attributeCondition || 'every run of every repository'}`, bootstrap);
      }
      const trusted = attributeCondition.match(/\d+/g).join(' of ');
      if (project.ids && trusted !== project.ids.join(' of ')) {
        return fail(`it trusts the repository ${trusted}, and this one is ${project.ids.join(' of ')}`, bootstrap);
      }
      if (oidc.issuerUri !== ISSUER) {
        return fail(`it believes ${oidc.issuerUri}, which is not GitHub`, `${update} --issuer-uri=${ISSUER}`);
      }
      // GitHub's own subject can be longer than what Google takes.
      const mapping = Object.entries(MAPPING);
      return mapping.every(([attribute, value]) => attributeMapping[attribute] === value)
        ? ok(`two workflows on main, started by hand, of the repository ${trusted}`)
        : fail(
            'it maps other attributes than deploy/bootstrap.sh does',
            `${update} --attribute-mapping="${mapping.map((pair) => pair.join('=')).join(',')}"`,
          );
    });
  },
};

const secretCheck = (on) => ({
  id: `cloud.secret.${on === 'runtime_secret' ? 'runtime' : 'migrator'}`,
  run(project) {
    const secret = project.names[on];
    return of(project, ['secrets', 'versions', 'list', secret], `the secret ${secret}`, async (versions) => {
      const enabled = versions.filter(({ state }) => state === 'ENABLED').map(({ name }) => name.split('/').at(-1));
      if (enabled.length === 0) {
        return fail(
          `${secret} has no enabled version`,
          `gcloud secrets versions add ${secret} --project=${project.names.project} --data-file=FILE`,
        );
      }
      const used = on === 'runtime_secret' ? await project.secretVersion(secret) : undefined;
      return used && !enabled.includes(used)
        ? fail(
            `the revision that serves reads version ${used} of ${secret}, which is not enabled: its next instance will not start`,
            `gcloud secrets versions enable ${used} --secret=${secret} --project=${project.names.project}`,
          )
        : ok(`${secret}, version ${used ?? enabled.toSorted((a, b) => b - a)[0]}`);
    });
  },
});

// ── Who may do what

const grantCheck = (grant) => ({
  id: `cloud.grant.${grant.who}.${grant.role.replace('roles/', '')}.${grant.on}`,
  run: (project) =>
    of(project, project.policyOf(grant.on), `who may do what on ${project.titleOf(grant.on)}`, ({ bindings = [] }) =>
      bindings.some((binding) => project.isGrant(grant, binding))
        ? ok(`${project.titleOf(grant.who)} has ${grant.role} on ${project.titleOf(grant.on)}`)
        : fail(
            `${project.titleOf(grant.who)} lacks ${grant.role} on ${project.titleOf(grant.on)}: without it fails ${grant.without}`,
            project.bootstrap,
          ),
    ),
});

/** Everything that the account may do and that no line of deploy/grants.txt says. */
const widerCheck = (who) => ({
  id: `cloud.wider.${who}`,
  run: (project) => findWider(project, (member) => member === project.memberOf(who), `${project.titleOf(who)} has`),
});

const everybody = {
  id: 'cloud.wider.everybody',
  run: (project) =>
    findWider(
      project,
      (member, { role }, on) => EVERYBODY.has(member) && !(on === 'service' && role === 'roles/run.invoker'),
      'everybody has',
    ),
};

/** Who else may act as the one account that may deploy. */
const deployer = {
  id: 'cloud.wider.workflow',
  run: (project) =>
    findWider(project, (member, _, on) => on === 'deployer' && !EVERYBODY.has(member), 'others than the workflow have'),
};

async function findWider(project, concerns, whoHas) {
  const grants = readGrants();
  const found = [];
  for (const on of project.resources) {
    const { value, error } = await project.gcloud(...project.policyOf(on));
    if (error) return warn(`who may do what on ${project.titleOf(on)} cannot be read: ${error}`, SIGN_IN);
    for (const binding of value?.bindings ?? []) {
      for (const member of binding.members.filter((each) => concerns(each, binding, on))) {
        const isListed = grants.some(
          (grant) =>
            (grant.on === on || (on === 'project' && grant.on === 'cloud_sql')) &&
            project.memberOf(grant.who) === member &&
            project.isGrant(grant, binding),
        );
        if (!isListed) found.push({ on, member, binding });
      }
    }
  }
  if (found.length === 0) return ok('nothing beyond deploy/grants.txt');
  const described = found.map(({ on, member, binding: { role, condition } }) => {
    const who = EVERYBODY.has(member) || on === 'deployer' ? ` (${member})` : '';
    return `${whoHas} ${role} on ${project.titleOf(on)}${who}${condition ? ` by the condition "${condition.title}"` : ''}`;
  });
  return fail(
    described.join('; '),
    found.map(({ on, member, binding }) => project.removal(on, member, binding)).join('\n'),
  );
}

// ── What serves

const service = {
  id: 'cloud.service',
  run: (project) =>
    of(project, project.describeService, `the service ${project.names.service}`, (found) => {
      const { conditions = [], latestCreatedRevisionName: newest, url } = found.status;
      const ready = conditions.find(({ type }) => type === 'Ready');
      return ready?.status === 'False'
        ? warn(
            `${newest} is not ready: ${ready.message ?? ready.reason}`,
            `gcloud logging read 'resource.labels.revision_name=${newest}' --project=${project.names.project} --limit=50 --format='value(textPayload,jsonPayload.message)' | npm run doctor -- --explain`,
          )
        : ok(`${project.names.service}, ${isPublic(found) ? 'public' : 'private'}, ${url}`);
    }),
};

const traffic = {
  id: 'cloud.traffic',
  run: (project) =>
    of(project, project.describeService, 'the traffic', ({ spec, status }) => {
      const { names } = project;
      const shares = (status.traffic ?? []).filter(({ percent }) => percent > 0);
      const list = shares.map(({ revisionName, percent }) => `${revisionName} ${percent} %`).join(', ');
      if (new Set(shares.map(({ revisionName }) => revisionName)).size > 1) {
        return fail(
          `divided: ${list}`,
          `gh workflow run rollback.yml -f environment=${project.options.environment} -f revision=REVISION`,
        );
      }
      if ((spec.traffic ?? [{ latestRevision: true }]).some(({ latestRevision }) => latestRevision)) {
        return warn(
          `not pinned: whatever revision is newest gets it, and just now ${list}`,
          `gcloud run services update-traffic ${names.service} --to-revisions=${shares[0]?.revisionName}=100 --region=${names.region} --project=${names.project}`,
        );
      }
      const newest = status.latestReadyRevisionName;
      return newest === shares[0]?.revisionName
        ? ok(list)
        : warn(
            `${list}, and ${newest}, which is newer and ready, has none: it was rolled back, or did not pass`,
            project.deploy,
          );
    }),
};

const identity = {
  id: 'cloud.identity',
  run: (project) =>
    ofServing(project, ({ spec }) =>
      spec.serviceAccountName === project.names.runtime
        ? ok(`it runs as ${spec.serviceAccountName}`)
        : fail(
            `what serves runs as ${spec.serviceAccountName ?? "the project's default account, an editor"}`,
            project.deploy,
          ),
    ),
};

const probes = {
  id: 'cloud.probes',
  run: (project) =>
    ofServing(project, ({ spec }) => {
      const [container] = spec.containers;
      const differing = ['startupProbe', 'livenessProbe', 'readinessProbe'].filter(
        (kind) => JSON.stringify(liveProbeOf(container, kind)) !== JSON.stringify(probeOf(kind)),
      );
      const { path, window } = liveProbeOf(container, differing[0] ?? 'startupProbe');
      return differing.length > 0
        ? warn(
            `${differing.join(', ')} of what serves ${differing.length > 1 ? 'are' : 'is'} not deploy/service.yaml's: ${path ?? 'the port'}, ${window} s`,
            project.deploy,
          )
        : ok(`as in deploy/service.yaml; a start gets ${window} s`);
    }),
};

/** What a check says of the revision that has the traffic, unless that is still Google's sample. */
async function ofServing(project, judge) {
  const revision = await project.serving();
  if (revision === NOTHING_THERE) return warn('nothing has been deployed yet', project.deploy);
  return of(project, project.describeRevision(revision), `the revision ${revision}`, judge);
}

const migration = {
  id: 'cloud.migration',
  run(project) {
    const { names } = project;
    const list = ['run', 'jobs', 'executions', 'list', `--job=${names.job}`, `--region=${names.region}`];
    return of(project, list, `the job ${names.job}`, (executions) => {
      const [last] = executions; // gcloud lists the newest first
      if (!last) return warn('it has never run', project.deploy);
      const completed = last.status.conditions?.find(({ type }) => type === 'Completed');
      if (completed?.status === 'True') return ok(`${last.metadata.name} succeeded`);
      if (completed?.status !== 'False') return warn(`${last.metadata.name} is running`, 'Ask again when it has ended');
      return fail(
        `${last.metadata.name} failed${completed.message ? `: ${completed.message}` : ''}`,
        `gcloud run jobs logs read ${names.job} --region=${names.region} --project=${names.project}`,
      );
    });
  },
};

const connections = {
  id: 'cloud.connections',
  run(project) {
    const { connection, cloud_sql: instance, project: id } = project.names;
    const needed = connectionsNeeded();
    if (!connection) return ok(`a rollout takes ${needed}; SHOW max_connections tells what the database allows`);
    if (!instance) {
      return fail(
        `GCP_CLOUD_SQL_INSTANCE is ${connection}, and not ${id}:REGION:INSTANCE`,
        `gh variable set ${project.prefix}GCP_CLOUD_SQL_INSTANCE --body ${id}:REGION:INSTANCE`,
      );
    }
    return of(
      project,
      ['sql', 'instances', 'describe', instance],
      `the instance ${instance}`,
      ({ settings, state }) => {
        const patch = `gcloud sql instances patch ${instance} --project=${id}`;
        if (state && state !== 'RUNNABLE')
          return fail(`${instance} is ${state}`, `${patch} --activation-policy=ALWAYS`);
        const { databaseFlags: flags = [], tier } = settings;
        const allowed = Number(flags.find(({ name }) => name === 'max_connections')?.value ?? standardOf(tier));
        if (needed <= allowed) return ok(`a rollout takes ${needed} of ${allowed} or more`);
        // A patch forgets the flags that it does not name.
        const kept = flags
          .filter(({ name }) => name !== 'max_connections')
          .map(({ name, value }) => `,${name}=${value}`);
        return fail(
          `${instance} allows ${allowed}, and a rollout takes ${needed}`,
          `${patch} --database-flags=max_connections=${needed}${kept.join('')}, or lower maxScale or DATABASE_POOL_MAX in deploy/service.yaml`,
        );
      },
    );
  },
};

/** What a machine allows by its size, as deploy/bootstrap.sh knows it. */
function standardOf(tier) {
  const script = code('deploy/bootstrap.sh');
  return (new RegExp(`${tier}\\) allowed=(\\d+)`).exec(script) ?? /\ballowed=(\d+)/.exec(script))[1];
}

const imagesOf = ({ names }) => `${names.region}-docker.pkg.dev/${names.project}/${names.repository}`;

/** What a check says of the service's images, the newest first. */
async function ofImages(project, judge) {
  const path = imagesOf(project);
  return of(project, ['artifacts', 'docker', 'images', 'list', path, '--include-tags'], 'the list of images', (all) =>
    judge(
      all
        .filter((image) => image.package === `${path}/${project.names.service}`)
        .toSorted((a, b) => Date.parse(b.createTime) - Date.parse(a.createTime)),
    ),
  );
}

const image = {
  id: 'cloud.image',
  run: (project) =>
    ofServing(project, ({ metadata, spec }) =>
      ofImages(project, (found) => {
        const [name, digest] = spec.containers[0].image.split('@');
        const mark = `serving-${project.options.environment}`;
        const serving = found.find(({ version }) => version === digest);
        if (!serving) {
          // https://docs.cloud.google.com/run/docs/deploying
          return warn(
            `the image of ${metadata.name} is gone from the registry: Cloud Run has a copy while it serves, and no longer`,
            project.deploy,
          );
        }
        return serving.tags?.includes(mark)
          ? ok(`that of ${metadata.name} is there, and marked ${mark}`)
          : warn(
              `that of ${metadata.name} is not marked ${mark}, so the clean-up may take it`,
              `gcloud artifacts docker tags add ${name}@${digest} ${name}:${mark}`,
            );
      }),
    ),
};

/** The clean-up runs about once a day. */
const CLEANED_AFTER_DAYS = 3;

const images = {
  id: 'cloud.images',
  run: (project) =>
    ofImages(project, (found) => {
      const policies = JSON.parse(read('deploy/cleanup-policy.json'));
      const { keepCount } = policies.find((policy) => policy.mostRecentVersions).mostRecentVersions;
      const old = Date.now() - CLEANED_AFTER_DAYS * 86_400_000;
      const left = found
        .slice(keepCount)
        .filter(({ createTime }) => Date.parse(createTime) < old)
        .filter(({ tags }) => !tags?.some((tag) => /^(serving|previous)-/.test(tag)));
      return left.length > 0
        ? warn(`${left.length} of ${found.length} should have been cleaned up`, project.bootstrap)
        : ok(`${found.length}`);
    }),
};
