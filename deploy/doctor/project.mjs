// What things are called in the project, as deploy/cloud.sh names them or the repository variables do, and what gcloud
// says of them. Each question is asked once.
import { ask, fail, ok } from './check.mjs';
import { readGrants } from './grants.mjs';
import { askVariables, prefixOf } from './variables.mjs';

/** Instead of a revision: Google's sample serves, as deploy/bootstrap.sh has left it, or nothing does. */
export const NOTHING_THERE = Symbol('nothing there');

/** Each gcloud is a Python program that wants a CPU of its own for a second. */
const AT_ONCE = 4;

const ENVIRONMENT = {
  CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
  CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API: 'false',
  // It would write a log of each call.
  CLOUDSDK_CORE_DISABLE_FILE_LOGGING: '1',
};
/** As in deploy/cloud.sh. */
const ABSENT = /NOT_FOUND|not found|Cannot find (service|job|revision) |instance does not exist/;
const API_OFF = /has not been used in project .* before or it is disabled|API \[\S+\] not enabled/;

export class Project {
  #answers = new Map();
  #running = 0;
  #waiting = [];

  constructor(options) {
    this.options = options;
    this.prefix = prefixOf(options);
  }

  /** Finds out what everything is called. @returns {Promise<import('./check.mjs').Finding>} */
  async find() {
    const { options, prefix } = this;
    const isNamed = options.project && options.region && options.service;
    const { values = {}, problem } = isNamed ? {} : await askVariables(options);
    const variable = (name) => values[`${prefix}${name}`];
    const project = options.project ?? variable('GCP_PROJECT_ID');
    const region = options.region ?? variable('GCP_REGION');
    const service = options.service ?? variable('GCP_SERVICE');
    if (!project || !region || !service) {
      const why = problem
        ? problem.detail
        : `${prefix}GCP_PROJECT_ID, ${prefix}GCP_REGION and ${prefix}GCP_SERVICE are not all set`;
      return fail(
        `the project is not known: ${why}`,
        'npm run doctor -- --cloud --project ID --region REGION --service NAME',
      );
    }
    this.repo = options.repo ?? (await repositoryOfOrigin());

    const { missing, output } = await ask(
      'gcloud',
      ['auth', 'list', '--filter=status:ACTIVE', '--format=value(account)'],
      { env: ENVIRONMENT },
    );
    if (missing) return fail('gcloud is not installed', 'Install it: https://cloud.google.com/sdk/docs/install');
    if (!output) return fail('gcloud is not signed in', 'gcloud auth login');
    this.names = { project };
    const { value, error, absent } = await this.gcloud('projects', 'describe', project);
    if (!value)
      return fail(
        `${project} cannot be read: ${absent ? 'it is not there' : error}`,
        'gcloud projects list, which has the id of each',
      );
    this.number = value.projectNumber;

    const account = (name) => `${service}-${name}@${project}.iam.gserviceaccount.com`;
    const wifProvider =
      variable('GCP_WIF_PROVIDER') ??
      `projects/${this.number}/locations/global/workloadIdentityPools/${service}-github/providers/github`;
    this.names = {
      project,
      region,
      service,
      job: `${service}-migrate`,
      repository: variable('GCP_ARTIFACT_REPOSITORY') ?? service,
      deployer: variable('GCP_DEPLOYER') ?? account('deploy'),
      runtime: variable('GCP_RUNTIME_ACCOUNT') ?? account('runtime'),
      migrator: variable('GCP_MIGRATOR_ACCOUNT') ?? account('migrate'),
      builder: variable('GCP_BUILD_ACCOUNT') ?? account('build'),
      wifProvider,
      pool: wifProvider.split('/')[5],
      provider: wifProvider.split('/')[7],
      runtime_secret: `${service}-database-url`,
      migrator_secret: `${service}-migrator-database-url`,
      build_bucket: variable('GCP_BUILD_BUCKET') ?? `${project}-${service}-source`,
      build_log_bucket: variable('GCP_BUILD_LOG_BUCKET') ?? `${project}-${service}-logs`,
      cloud_sql: (isNamed ? await this.#connection(region, service) : variable('GCP_CLOUD_SQL_INSTANCE'))?.split(
        ':',
      )[2],
    };

    // Whom the pool may vouch for: by GitHub's word, or else by what the provider trusts.
    this.ids = await this.#repositoryIds();
    const { value: trust } = await this.gcloud(...this.describeProvider);
    this.trustedId = this.ids?.repository ?? /repository_id=='(\d+)'/.exec(trust?.attributeCondition)?.[1];

    const builds =
      variable('GCP_BUILD_ACCOUNT') ||
      (await this.gcloud('iam', 'service-accounts', 'describe', this.names.builder)).value;
    this.accounts = ['deployer', 'runtime', 'migrator', ...(builds ? ['builder'] : [])];
    const { value: live } = await this.gcloud(...this.describeService);
    const isPrivate = live && live.metadata.annotations?.['run.googleapis.com/invoker-iam-disabled'] !== 'true';
    const chosen = {
      always: true,
      '--private': isPrivate,
      '--cloud-sql': this.names.cloud_sql,
      '--with-cloud-build': builds,
    };
    this.expectedGrants = readGrants().filter(({ when }) => chosen[when]);
    this.resources = [
      ...[
        'project',
        'deployer',
        'runtime',
        'migrator',
        'repository',
        'service',
        'job',
        'runtime_secret',
        'migrator_secret',
      ],
      ...(builds ? ['builder', 'build_bucket', 'build_log_bucket'] : []),
    ];
    this.bootstrap = [
      `deploy/bootstrap.sh --project ${project} --region ${region} --repo ${this.repo ?? 'OWNER/NAME'} --service ${service}`,
      options.environment !== 'production' && `--environment ${options.environment}`,
      isPrivate && '--private',
      this.names.cloud_sql && `--cloud-sql ${this.names.cloud_sql}`,
      builds && '--with-cloud-build',
    ]
      .filter(Boolean)
      .join(' ');
    this.deploy = `npm run deploy${options.environment === 'production' ? '' : ` -- --environment ${options.environment}`}`;
    return this.#billing();
  }

  async #billing() {
    const { names, number } = this;
    const { value } = await this.gcloud('billing', 'projects', 'describe', names.project);
    return value?.billingEnabled === false
      ? fail(
          `${names.project} has no billing account`,
          `gcloud billing projects link ${names.project} --billing-account=ID`,
        )
      : ok(`${names.project}, number ${number}`);
  }

  /**
   * @returns {Promise<{ value?: any, absent?: boolean, error?: string }>} what gcloud prints as JSON; or that there is no
   * such thing; or why it does not tell
   */
  gcloud(...command) {
    const key = command.join(' ');
    if (!this.#answers.has(key)) this.#answers.set(key, this.#ask(command));
    return this.#answers.get(key);
  }

  async #ask(command) {
    if (this.#running === AT_ONCE) await new Promise((free) => this.#waiting.push(free));
    this.#running += 1;
    const args = [...command, `--project=${this.names.project}`, '--format=json'];
    const { succeeded, output, error } = await ask('gcloud', args, { env: ENVIRONMENT });
    this.#running -= 1;
    this.#waiting.shift()?.();
    if (succeeded) return { value: JSON.parse(output || 'null') };
    if (API_OFF.test(error)) return { error: 'its API is off' };
    return ABSENT.test(error) ? { absent: true } : { error: error.replace(/^ERROR: \(gcloud\S+\) /, '') };
  }

  get describeService() {
    return ['run', 'services', 'describe', this.names.service, `--region=${this.names.region}`];
  }

  get describeProvider() {
    const { pool, provider } = this.names;
    const location = [`--workload-identity-pool=${pool}`, '--location=global'];
    return ['iam', 'workload-identity-pools', 'providers', 'describe', provider, ...location];
  }

  describeRevision(name) {
    return ['run', 'revisions', 'describe', name, `--region=${this.names.region}`];
  }

  /** The revision that has the most of the traffic, or that nothing of ours does. */
  async serving() {
    const { value } = await this.gcloud(...this.describeService);
    const [first] = (value?.status.traffic ?? []).toSorted((a, b) => (b.percent ?? 0) - (a.percent ?? 0));
    if (!first) return NOTHING_THERE;
    const { value: revision } = await this.gcloud(...this.describeRevision(first.revisionName));
    return revision?.metadata.labels?.['commit-sha'] ? first.revisionName : NOTHING_THERE;
  }

  /** The version of a secret that the revision reads which serves. */
  async secretVersion(secret) {
    const revision = await this.serving();
    if (revision === NOTHING_THERE) return undefined;
    const { value } = await this.gcloud(...this.describeRevision(revision));
    return value?.spec.containers[0].env?.find(({ valueFrom }) => valueFrom?.secretKeyRef?.name === secret)?.valueFrom
      .secretKeyRef.key;
  }

  /** PROJECT:REGION:INSTANCE without the variable for it: as the last deployment has left it in the job. */
  async #connection(region, service) {
    const { value } = await this.gcloud('run', 'jobs', 'describe', `${service}-migrate`, `--region=${region}`);
    return value?.spec.template.metadata?.annotations?.['run.googleapis.com/cloudsql-instances'];
  }

  /** The numbers of the repository and its owner, if gh tells them. */
  async #repositoryIds() {
    if (!this.repo) return undefined;
    const { succeeded, output } = await ask('gh', [
      'api',
      `repos/${this.repo}`,
      '--jq',
      String.raw`"\(.id) \(.owner.id)"`,
    ]);
    const [repository, owner] = output.split(' ');
    return succeeded ? { repository, owner } : undefined;
  }

  // ── Policies, by the names of deploy/grants.txt

  /** The command that prints who may do what on it. */
  policyOf(on) {
    const { names } = this;
    if (on === 'project' || on === 'cloud_sql') return ['projects', 'get-iam-policy', names.project];
    if (on === 'repository')
      return ['artifacts', 'repositories', 'get-iam-policy', names.repository, `--location=${names.region}`];
    if (on === 'service' || on === 'job')
      return ['run', `${on}s`, 'get-iam-policy', names[on], `--region=${names.region}`];
    if (on.endsWith('_secret')) return ['secrets', 'get-iam-policy', names[on]];
    if (on.endsWith('_bucket')) return ['storage', 'buckets', 'get-iam-policy', `gs://${names[on]}`];
    return ['iam', 'service-accounts', 'get-iam-policy', names[on]];
  }

  /** The command that takes a binding away. */
  removal(on, member, { role, condition }) {
    const [...command] = this.policyOf(on);
    command[command.indexOf('get-iam-policy')] = 'remove-iam-policy-binding';
    const where = on === 'project' ? [] : [`--project=${this.names.project}`];
    const only = on === 'project' ? [condition ? '--all' : '--condition=None'] : [];
    return ['gcloud', ...command, ...where, `--member=${member}`, `--role=${role}`, ...only].join(' ');
  }

  titleOf(name) {
    if (name === 'workflow') return 'the workflow';
    if (name === 'project') return `the project ${this.names.project}`;
    if (name === 'cloud_sql') return `the instance ${this.names.cloud_sql}`;
    if (name === 'service' || name === 'job') return `the ${name} ${this.names[name]}`;
    if (name === 'repository') return `the registry ${this.names.repository}`;
    return this.names[name].split('@')[0];
  }

  memberOf(who) {
    if (who !== 'workflow') return `serviceAccount:${this.names[who]}`;
    return `principalSet://iam.googleapis.com/projects/${this.number}/locations/global/workloadIdentityPools/${this.names.pool}/attribute.repository_id/${this.trustedId}`;
  }

  /** Whether a binding is the grant, no narrower and no wider. */
  isGrant({ who, role, on }, binding) {
    const { project, cloud_sql: instance } = this.names;
    const only = `resource.service == 'sqladmin.googleapis.com' && resource.name == 'projects/${project}/instances/${instance}'`;
    const expected = on === 'cloud_sql' ? only : undefined;
    return (
      binding.role === role &&
      binding.members.includes(this.memberOf(who)) &&
      binding.condition?.expression === expected
    );
  }
}

/** OWNER/NAME of the remote `origin`, where that is at GitHub. */
async function repositoryOfOrigin() {
  const { output } = await ask('git', ['remote', 'get-url', 'origin']);
  return /github\.com[:/]([^/]+\/[^/]+?)(\.git)?$/.exec(output)?.[1];
}
