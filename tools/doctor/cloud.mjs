// The Google Cloud project, as the account signed in to gcloud sees it: the resources of deploy/bootstrap.sh, the permissions
// and the deployed revision.
import { fail, ok, read, warn } from './check.mjs';
import { readApis, readMaxConnections, readProviderOptions } from './lists.mjs';
import { connectionsNeeded, deployedProbe, manifestProbe, PROBES } from './manifest.mjs';
import { github } from './github.mjs';
import { isPublic, NOT_DEPLOYED, Project, SIGN_IN } from './project.mjs';

const PUBLIC = new Set(['allUsers', 'allAuthenticatedUsers']);

/**
 * Returns the checks of the project. If gcloud cannot read it, that is the only finding.
 *
 * @returns {Promise<import('./check.mjs').Checks>}
 */
export async function cloud(options) {
  const project = new Project(options);
  const finding = await project.load();
  if (finding.status !== 'ok') return { 'cloud.project': () => finding };
  const { accounts, grants, secrets } = project;
  return Object.fromEntries([
    ['cloud.project', () => finding],
    ['cloud.policies', () => organizationPolicies(project)],
    ['cloud.apis', () => apis(project)],
    ['cloud.registry', () => registry(project)],
    ['cloud.cleanup', () => cleanup(project)],
    ...accounts.flatMap((name) => [
      [`cloud.account.${name}`, () => account(project, name)],
      [`cloud.keys.${name}`, () => keys(project, name)],
    ]),
    ['cloud.pool', () => pool(project)],
    ['cloud.provider', () => provider(project)],
    ...secrets.map((name) => [`cloud.secret.${name.replace('_secret', '')}`, () => secret(project, name)]),
    ...grants.map(({ principal, role, resource, failure }) => [
      `cloud.grant.${principal}.${role.replace('roles/', '')}.${resource}`,
      () => grant(project, { principal, role, resource, failure }),
    ]),
    ...accounts.map((name) => [`cloud.wider.${name}`, () => widerGrants(project, name)]),
    ['cloud.wider.everybody', () => publicGrants(project)],
    ['cloud.wider.workflow', () => deployerGrants(project)],
    ['cloud.service', () => service(project)],
    ['cloud.identity', () => identity(project)],
    ['cloud.traffic', () => traffic(project)],
    ['cloud.probes', () => probes(project)],
    ['cloud.migration', () => execution(project, 'job')],
    ...project.jobs.map((name) => [`cloud.job.${name.replace('_job', '')}`, () => execution(project, name)]),
    ...project.schedules.map((row) => [`cloud.schedule.${row.job}`, () => schedule(project, row)]),
    ['cloud.connections', () => connections(project)],
    ['cloud.image', () => image(project)],
    ['cloud.images', () => images(project)],
    ...Object.entries(project.repo ? github(project.repo) : {}),
  ]);
}

// ── Resources

/** Organization policies: the forbidden resource and the fix. An unreadable policy counts as none: the failing step reports it. */
const POLICIES = {
  'sql.restrictPublicIp': ['database instances with a public address', 'docs/deployment/recipes.md, "Private IP"'],
  'gcp.resourceLocations': ['the region', 'Choose a permitted region, or ask the organization for an exception'],
  'iam.workloadIdentityPoolProviders': ['the issuer of GitHub Actions', 'Ask the organization to permit the issuer'],
};

async function organizationPolicies(project) {
  const { region } = project.names;
  const { 'issuer-uri': issuer } = readProviderOptions();
  const findForbidden = async (constraint) => {
    const { value } = await project.gcloud('resource-manager', 'org-policies', 'describe', constraint, '--effective');
    const { booleanPolicy, listPolicy: { allValues, allowedValues = [] } = {} } = value ?? {};
    const isPermitted = (each) => each === issuer || each === region || each.startsWith('in:');
    const isForbidden = allValues === 'DENY' || (allowedValues.length > 0 && !allowedValues.some(isPermitted));
    return booleanPolicy?.enforced || isForbidden ? [constraint] : [];
  };
  const found = (await Promise.all(Object.keys(POLICIES).map(findForbidden))).flat();
  return found.length > 0
    ? warn(
        found.map((constraint) => `${constraint} forbids ${POLICIES[constraint][0]}`).join('; '),
        found.map((constraint) => POLICIES[constraint][1]).join('\n'),
      )
    : ok('none forbids a resource of the deployment');
}

const apis = (project) =>
  project.inspect('the list of APIs', ['services', 'list', '--enabled'], (services) => {
    const needed = readApis().filter(({ option }) => project.chosen[option]);
    const enabled = new Set(services.map(({ config }) => config.name));
    const disabled = needed.map(({ api }) => `${api}.googleapis.com`).filter((api) => !enabled.has(api));
    return disabled.length > 0
      ? fail(`disabled: ${disabled.join(', ')}`, project.fixWith('services', 'enable', ...disabled))
      : ok(`all ${needed.length} are enabled`);
  });

function registry(project) {
  const { repository, region } = project.names;
  const command = project.command('repository', 'describe');
  return project.inspect(`the registry ${repository} in ${region}`, command, ({ format }) =>
    format === 'DOCKER'
      ? ok(repository)
      : fail(`${repository} stores ${format} instead of images`, 'Set GCP_ARTIFACT_REPOSITORY to a Docker registry'),
  );
}

function cleanup(project) {
  const command = project.command('repository', 'describe');
  return project.inspect('the registry', command, ({ cleanupPolicies = {}, cleanupPolicyDryRun, dockerConfig }) => {
    if (dockerConfig?.immutableTags) {
      const update = project.fixWith(...project.command('repository', 'update'));
      return fail('immutable tags prevent tagging and cleanup of images', `${update} --no-immutable-tags`);
    }
    const policies = JSON.parse(read('deploy/cleanup-policy.json'));
    const missing = policies.find((policy) => !isSamePolicy(policy, cleanupPolicies[policy.name]));
    if (missing)
      return fail(`the policy "${missing.name}" of deploy/cleanup-policy.json is not set`, project.bootstrap);
    return cleanupPolicyDryRun
      ? warn('the cleanup is a dry run and deletes nothing', project.bootstrap)
      : ok(`${Object.keys(cleanupPolicies).length} policies`);
  });
}

/** Compares the fields that the API returns unchanged: it has "86400s" for "1d". */
function isSamePolicy({ action, mostRecentVersions, condition }, live) {
  const typeOf = (value) => value?.type ?? value;
  return (
    typeOf(live?.action) === action.type &&
    live.mostRecentVersions?.keepCount === mostRecentVersions?.keepCount &&
    String(live.condition?.tagPrefixes) === String(condition?.tagPrefixes)
  );
}

function account(project, name) {
  const email = project.names[name];
  return project.inspect(email, project.command(name, 'describe'), ({ disabled }) =>
    disabled ? fail(`${email} is disabled`, project.fixWith(...project.command(name, 'enable'))) : ok(email),
  );
}

function keys(project, name) {
  const email = project.names[name];
  const command = ['iam', 'service-accounts', 'keys'];
  const list = [...command, 'list', `--iam-account=${email}`, '--managed-by=user'];
  return project.inspect(`the keys of ${email}`, list, (found) => {
    const ids = found.map((key) => key.name.split('/').at(-1));
    return ids.length > 0
      ? fail(
          `${email} has a key file, which any holder can use`,
          ids.map((id) => ['gcloud', ...command, 'delete', id, `--iam-account=${email}`].join(' ')).join('\n'),
        )
      : ok('none');
  });
}

function pool(project) {
  const { pool: name } = project.names;
  return project.inspect(`the pool ${name}`, project.command('pool', 'describe'), ({ state, disabled }) => {
    if (state !== 'ACTIVE') return fail(`${name} is ${state}`, project.bootstrap);
    const update = project.fixWith(...project.command('pool', 'update'));
    return disabled ? fail(`${name} is disabled`, `${update} --no-disabled`) : ok(name);
  });
}

function provider(project) {
  const { names, number, prefix, bootstrap } = project;
  const { pool: poolName, provider: name } = names;
  const [, numberInName] = /^projects\/([^/]+)\//.exec(names.wif_provider) ?? [];
  if (numberInName !== number) {
    return fail(
      `GCP_WIF_PROVIDER has the project ${numberInName}, but ${names.project} has the number ${number}`,
      `gh variable set ${prefix}GCP_WIF_PROVIDER --body projects/${number}/locations/global/workloadIdentityPools/${poolName}/providers/${name}`,
    );
  }
  const expected = readProviderOptions();
  const update = project.fixWith(...project.command('provider', 'update-oidc'));
  return project.inspect(`the provider ${name}`, project.command('provider', 'describe'), (found) => {
    const { state, disabled, attributeCondition = '', attributeMapping = {}, oidc } = found;
    if (state !== 'ACTIVE') return fail(`${name} is ${state}`, bootstrap);
    if (disabled) return fail(`${name} is disabled`, `${update} --no-disabled`);
    const [repoId, ownerId] = attributeCondition.match(/\d+/g) ?? [];
    const condition = expected['attribute-condition'].replace('REPO_ID', repoId).replace('OWNER_ID', ownerId);
    // bootstrap.sh --github-environment appends its own.
    const required = attributeCondition.replace(/ && assertion\.environment=='[\w.-]+'$/, '');
    if (required !== condition)
      return fail(`accepts ${attributeCondition || 'every run of every repository'}`, bootstrap);
    if (project.ids && `${repoId} ${ownerId}` !== project.ids.join(' ')) {
      const [id, owner] = project.ids;
      return fail(`accepts the repository ${repoId} of ${ownerId}, and this one is ${id} of ${owner}`, bootstrap);
    }
    const [, environment = ''] = / && assertion\.environment=='([\w.-]+)'$/.exec(attributeCondition) ?? [];
    const { github_environment: ofJobs = '' } = names;
    if (!project.isNamed && environment !== ofJobs) {
      return fail(
        `accepts jobs of ${environment || 'every'} GitHub environment, and ${prefix}GCP_GITHUB_ENVIRONMENT is "${ofJobs}"`,
        environment
          ? `gh variable set ${prefix}GCP_GITHUB_ENVIRONMENT --body ${environment}`
          : `${bootstrap} --github-environment ${ofJobs}`,
      );
    }
    if (oidc.issuerUri !== expected['issuer-uri'])
      return fail(`accepts the issuer ${oidc.issuerUri}`, `${update} --issuer-uri=${expected['issuer-uri']}`);
    const mapping = new Set(Object.entries(attributeMapping).map((pair) => pair.join('=')));
    return expected['attribute-mapping'].split(',').every((pair) => mapping.has(pair))
      ? ok(`Deploy and Rollback on main, started by a person, of the repository ${repoId} of ${ownerId}`)
      : fail('maps other attributes', `${update} --attribute-mapping="${expected['attribute-mapping']}"`);
  });
}

function secret(project, resource) {
  const name = project.names[resource];
  const command = ['secrets', 'versions', 'list', name];
  return project.inspect(`the secret ${name}`, command, async (versions) => {
    const enabled = versions
      .filter(({ state }) => state === 'ENABLED')
      .map((version) => version.name.split('/').at(-1));
    if (enabled.length === 0)
      return fail(
        `${name} has no enabled version`,
        project.fixWith('secrets', 'versions', 'add', name, '--data-file=FILE'),
      );
    const deployed = await project.deployedVersion(name);
    return deployed && !enabled.includes(deployed)
      ? fail(
          `the deployed revision reads version ${deployed} of ${name}, which is not enabled: its next instance will not start`,
          project.fixWith('secrets', 'versions', 'enable', deployed, `--secret=${name}`),
        )
      : ok(`${name}, version ${deployed ?? enabled.toSorted((a, b) => b - a)[0]}`);
  });
}

// ── Permissions

function grant(project, expected) {
  const { principal, role, resource, failure } = expected;
  const on = project.titleOf(resource);
  const command = project.command(resource, 'get-iam-policy');
  return project.inspect(`the permissions on ${on}`, command, ({ bindings = [] }) =>
    bindings.some((binding) => project.isGrant(expected, binding))
      ? ok(`${project.titleOf(principal)} has ${role} on ${on}`)
      : fail(`${project.titleOf(principal)} lacks ${role} on ${on}; failing step: ${failure}`, project.bootstrap),
  );
}

/** Grants of an account that deploy/grants.txt does not list. */
const widerGrants = (project, name) =>
  findUnlisted(project, (member) => member === project.memberOf(name), `${project.titleOf(name)} has`);

const publicGrants = (project) =>
  findUnlisted(
    project,
    (member, { role }, resource) => PUBLIC.has(member) && !(resource === 'service' && role === 'roles/run.invoker'),
    'the public has',
  );

/** Principals other than the workflow that can act as the deployer. */
const deployerGrants = (project) =>
  findUnlisted(
    project,
    (member, _, resource) => resource === 'deployer' && !PUBLIC.has(member),
    'principals other than the workflow have',
  );

async function findUnlisted(project, concerns, whoHas) {
  const found = [];
  for (const resource of project.resources) {
    const { value, error } = await project.gcloud(...project.command(resource, 'get-iam-policy'));
    if (error) return warn(`cannot read the permissions on ${project.titleOf(resource)}: ${error}`, SIGN_IN);
    const listed = project.listedGrants.filter(
      (each) => each.resource === resource || (resource === 'project' && each.resource === 'cloud_sql'),
    );
    for (const binding of value?.bindings ?? []) {
      const members = binding.members
        .filter((member) => concerns(member, binding, resource))
        .filter(
          (member) =>
            !listed.some((each) => project.memberOf(each.principal) === member && project.isGrant(each, binding)),
        );
      found.push(...members.map((member) => ({ resource, member, binding })));
    }
  }
  if (found.length === 0) return ok('only grants of deploy/grants.txt');
  const described = found.map(({ resource, member, binding: { role, condition } }) => {
    const who = PUBLIC.has(member) || resource === 'deployer' ? ` (${member})` : '';
    return `${whoHas} ${role} on ${project.titleOf(resource)}${who}${condition ? ` with the condition "${condition.title}"` : ''}`;
  });
  const removals = found.map(({ resource, member, binding }) => project.removal(resource, member, binding));
  return fail(described.join('; '), removals.join('\n'));
}

// ── The deployed revision

function service(project) {
  const { names } = project;
  return project.inspect(`the service ${names.service}`, project.command('service', 'describe'), (found) => {
    const { conditions = [], latestCreatedRevisionName: newest, url } = found.status;
    const ready = conditions.find(({ type }) => type === 'Ready');
    if (ready?.status !== 'False') return ok(`${names.service}, ${isPublic(found) ? 'public' : 'private'}, ${url}`);
    const log = ['logging', 'read', `'resource.labels.revision_name=${newest}'`, '--limit=50'];
    return warn(
      `${newest} is not ready: ${ready.message ?? ready.reason}`,
      `${project.fixWith(...log, "--format='value(textPayload,jsonPayload.message)'")} | npm run doctor -- --explain`,
    );
  });
}

const traffic = (project) =>
  project.inspect('the traffic', project.command('service', 'describe'), ({ spec, status }) => {
    const shares = (status.traffic ?? []).filter(({ percent }) => percent > 0);
    const list = shares.map(({ revisionName, percent }) => `${revisionName} ${percent} %`).join(', ');
    if (new Set(shares.map(({ revisionName }) => revisionName)).size > 1) {
      const { environment } = project.options;
      return fail(`split: ${list}`, `gh workflow run rollback.yml -f environment=${environment} -f revision=REVISION`);
    }
    const serving = shares[0]?.revisionName;
    if ((spec.traffic ?? [{ latestRevision: true }]).some(({ latestRevision }) => latestRevision)) {
      const update = project.command('service', 'update-traffic');
      return warn(
        `not pinned: it follows the newest revision. Now ${list}`,
        project.fixWith(...update, `--to-revisions=${serving}=100`),
      );
    }
    const newest = status.latestReadyRevisionName;
    return newest === serving
      ? ok(list)
      : warn(`${list}; the newer revision ${newest} has none: it was rolled back or rejected`, project.deploy);
  });

/** Evaluates the revision with the traffic, unless that is Google's sample. */
async function inspectDeployed(project, evaluate) {
  const revision = await project.deployedRevision();
  if (revision === NOT_DEPLOYED) return warn('nothing is deployed yet', project.deploy);
  return project.inspect(`the revision ${revision}`, project.revisionCommand(revision), evaluate);
}

const identity = (project) =>
  inspectDeployed(project, ({ spec: { serviceAccountName: name = "the project's default account, an editor" } }) =>
    name === project.names.runtime ? ok(`runs as ${name}`) : fail(`runs as ${name}`, project.deploy),
  );

const probes = (project) =>
  inspectDeployed(project, ({ spec }) => {
    const [container] = spec.containers;
    const differing = PROBES.filter(
      (kind) => JSON.stringify(deployedProbe(container, kind)) !== JSON.stringify(manifestProbe(kind)),
    );
    const { path, window } = deployedProbe(container, differing[0] ?? 'startupProbe');
    return differing.length > 0
      ? warn(
          `other than in deploy/service.yaml: ${differing.join(', ')} (${path ?? 'the port'}, ${window} s)`,
          project.deploy,
        )
      : ok(`as in deploy/service.yaml; a start may take ${window} s`);
  });

/** The newest execution of a job. */
function execution(project, resource) {
  const { [resource]: job, region } = project.names;
  const list = ['run', 'jobs', 'executions', 'list', `--job=${job}`, `--region=${region}`];
  return project.inspect(`the job ${job}`, list, ([newest]) => {
    if (!newest) return warn('the job has never run', project.deploy);
    const { name } = newest.metadata;
    const { status, message } = newest.status.conditions?.find(({ type }) => type === 'Completed') ?? {};
    if (status === 'True') return ok(`${name} succeeded`);
    if (status !== 'False') return warn(`${name} is running`, 'Rerun this check when it has ended');
    const logs = project.fixWith('run', 'jobs', 'logs', 'read', job, `--region=${region}`);
    return fail(`${name} failed${message ? `: ${message}` : ''}`, logs);
  });
}

/** The entry of Cloud Scheduler for a line of deploy/schedules.txt. */
function schedule(project, { job, zone, schedule: time }) {
  const { service: prefix, region } = project.names;
  const name = `${prefix}-${job}`;
  const command = (verb) => ['scheduler', 'jobs', verb, name, `--location=${region}`];
  return project.inspect(`the schedule ${name}`, command('describe'), (found) => {
    const [actual, expected] = [`${found.schedule} ${found.timeZone}`, `${time} ${zone}`];
    if (actual !== expected) return fail(`${actual} instead of ${expected}`, project.bootstrap);
    if (found.state !== 'ENABLED') return warn(`${name} is ${found.state}`, project.fixWith(...command('resume')));
    const { code } = found.status ?? {};
    return code ? fail(`the last call of ${name} failed with code ${code}`, project.bootstrap) : ok(expected);
  });
}

function connections(project) {
  const { connection, cloud_sql: instance, project: id } = project.names;
  const needed = connectionsNeeded(project.options.environment);
  if (!connection) return ok(`a rollout needs ${needed}; SHOW max_connections prints the limit of the database`);
  if (!instance) {
    return fail(
      `GCP_CLOUD_SQL_INSTANCE is ${connection} instead of ${id}:REGION:INSTANCE`,
      `gh variable set ${project.prefix}GCP_CLOUD_SQL_INSTANCE --body ${id}:REGION:INSTANCE`,
    );
  }
  const describe = ['sql', 'instances', 'describe', instance];
  return project.inspect(`the instance ${instance}`, describe, ({ settings, state }) => {
    const patch = project.fixWith('sql', 'instances', 'patch', instance);
    if (state && state !== 'RUNNABLE') return fail(`${instance} is ${state}`, `${patch} --activation-policy=ALWAYS`);
    const { databaseFlags: flags = [], tier } = settings;
    const limits = readMaxConnections();
    const byTier = limits.find((limit) => limit.tier === tier) ?? limits.find((limit) => limit.tier === 'default');
    const allowed = Number(flags.find(({ name }) => name === 'max_connections')?.value ?? byTier.connections);
    if (needed <= allowed) return ok(`a rollout needs ${needed} of ${allowed} or more`);
    // A patch removes the flags that it does not name.
    const kept = flags.filter(({ name }) => name !== 'max_connections').map(({ name, value }) => `,${name}=${value}`);
    return fail(
      `${instance} allows ${allowed}, and a rollout needs ${needed}`,
      `${patch} --database-flags=max_connections=${needed}${kept.join('')}, or lower MAX_INSTANCES or DATABASE_POOL_MAX in deploy/settings.txt`,
    );
  });
}

/** Evaluates the service's images, newest first. */
async function inspectImages(project, evaluate) {
  const { region, project: id, repository, service: name } = project.names;
  const path = `${region}-docker.pkg.dev/${id}/${repository}`;
  const list = ['artifacts', 'docker', 'images', 'list', path, '--include-tags'];
  return project.inspect('the list of images', list, (found) =>
    evaluate(
      found
        .filter((each) => each.package === `${path}/${name}`)
        .toSorted((a, b) => Date.parse(b.createTime) - Date.parse(a.createTime)),
    ),
  );
}

const image = (project) =>
  inspectDeployed(project, ({ metadata, spec }) =>
    inspectImages(project, (found) => {
      const [name, digest] = spec.containers[0].image.split('@');
      const tag = `serving-${project.options.environment}`;
      const deployed = found.find(({ version }) => version === digest);
      if (!deployed) {
        // https://docs.cloud.google.com/run/docs/deploying
        return warn(
          `the registry no longer has the image of ${metadata.name}: Cloud Run keeps a copy only while the revision serves`,
          project.deploy,
        );
      }
      return deployed.tags?.includes(tag)
        ? ok(`the image of ${metadata.name} has the tag ${tag}`)
        : warn(
            `the image of ${metadata.name} lacks the tag ${tag}, so the cleanup may delete it`,
            `gcloud artifacts docker tags add ${name}@${digest} ${name}:${tag}`,
          );
    }),
  );

/** The cleanup runs about once a day. */
const CLEANED_AFTER_DAYS = 3;

const images = (project) =>
  inspectImages(project, (found) => {
    const policies = JSON.parse(read('deploy/cleanup-policy.json'));
    const { keepCount } = policies.find((policy) => policy.mostRecentVersions).mostRecentVersions;
    const due = Date.now() - CLEANED_AFTER_DAYS * 86_400_000;
    const overdue = found
      .slice(keepCount)
      .filter(({ createTime }) => Date.parse(createTime) < due)
      .filter(({ tags }) => !tags?.some((tag) => /^(serving|previous)-/.test(tag)));
    return overdue.length > 0
      ? warn(`the cleanup should have deleted ${overdue.length} of ${found.length}`, project.bootstrap)
      : ok(`${found.length}`);
  });
