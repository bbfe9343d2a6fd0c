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

  /** Finds out what there is and what it is called, or why that cannot be. @returns {Promise<import('./check.mjs').Finding>} */
  async find() {
    const { values = {}, problem } = this.#isNamed ? {} : await askVariables(this.options);
    this.variable = (name) => values[`${this.prefix}${name}`];
    const project = this.options.project ?? this.variable('GCP_PROJECT_ID');
    const region = this.options.region ?? this.variable('GCP_REGION');
    const service = this.options.service ?? this.variable('GCP_SERVICE');
    if (!project || !region || !service) {
      const names = ['GCP_PROJECT_ID', 'GCP_REGION', 'GCP_SERVICE'].map((name) => `${this.prefix}${name}`);
      return fail(
        `the project is not known: ${problem?.detail ?? `${names.join(', ')} are not all set`}`,
        'npm run doctor -- --cloud --project ID --region REGION --service NAME',
      );
    }
    const hindrance = await this.#signIn(project);
    if (hindrance) return hindrance;
    await this.#name(project, region, service);
    await this.#lookAround();
    return this.#billing();
  }

  get #isNamed() {
    const { project, region, service } = this.options;
    return Boolean(project && region && service);
  }

  /** @returns {Promise<import('./check.mjs').Finding | undefined>} what is in the way */
  async #signIn(project) {
    const accounts = ['auth', 'list', '--filter=status:ACTIVE', '--format=value(account)'];
    const { missing, output } = await ask('gcloud', accounts, { env: ENVIRONMENT });
    if (missing) return fail('gcloud is not installed', 'Install it: https://cloud.google.com/sdk/docs/install');
    if (!output) return fail('gcloud is not signed in', 'gcloud auth login');
    this.names = { project };
    const { value, error = 'it is not there' } = await this.gcloud('projects', 'describe', project);
    if (!value) return fail(`${project} cannot be read: ${error}`, 'gcloud projects list, which has the id of each');
    this.number = value.projectNumber;
    return undefined;
  }

  /** As the variables say, by which the workflows go, or else as deploy/cloud.sh does. */
  async #name(project, region, service) {
    const { variable } = this;
    const account = (name) => `${service}-${name}@${project}.iam.gserviceaccount.com`;
    const pools = `projects/${this.number}/locations/global/workloadIdentityPools`;
    const wifProvider = variable('GCP_WIF_PROVIDER') ?? `${pools}/${service}-github/providers/github`;
    this.names = {
      project,
      region,
      service,
      job: `${service}-migrate`,
      repository: variable('GCP_ARTIFACT_REPOSITORY') ?? service,
      deployer: variable('GCP_DEPLOY_SERVICE_ACCOUNT') ?? account('deploy'),
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
    };
    const connection = this.#isNamed ? await this.#connection() : variable('GCP_CLOUD_SQL_INSTANCE');
    this.names.connection = connection;
    this.names.cloud_sql = new RegExp(`^${project}:[^:]+:([^:]+)$`).exec(connection)?.[1];
  }

  /** Which of bootstrap's options were taken, and so what there must be. */
  async #lookAround() {
    const { names, options } = this;
    // Whom the pool may vouch for: by GitHub's word, or else by what the provider trusts.
    this.repo = options.repo ?? (await repositoryOfOrigin());
    this.ids = await this.#repositoryIds();
    const { value: trust } = await this.gcloud(...this.describeProvider);
    this.trustedId = this.ids?.[0] ?? /repository_id=='(\d+)'/.exec(trust?.attributeCondition)?.[1];

    const { value: service } = await this.gcloud(...this.describeService);
    const { value: builder } = await this.gcloud('iam', 'service-accounts', 'describe', names.builder);
    const taken = {
      always: true,
      '--private': service && !isPublic(service),
      '--cloud-sql': names.cloud_sql,
      '--with-cloud-build': builder || this.variable('GCP_BUILD_ACCOUNT'),
    };
    this.expectedGrants = readGrants().filter(({ when }) => taken[when]);
    this.accounts = ['deployer', 'runtime', 'migrator'];
    this.resources = ['project', ...this.accounts, 'repository', 'service', 'job', 'runtime_secret', 'migrator_secret'];
    if (taken['--with-cloud-build']) {
      this.accounts.push('builder');
      this.resources.push('builder', 'build_bucket', 'build_log_bucket');
    }

    const environment = options.environment === 'production' ? '' : ` --environment ${options.environment}`;
    this.deploy = `npm run deploy${environment && ` --${environment}`}`;
    this.bootstrap = [
      `deploy/bootstrap.sh --project ${names.project} --region ${names.region} --repo ${this.repo ?? 'OWNER/NAME'}`,
      ` --service ${names.service}${environment}`,
      taken['--private'] ? ' --private' : '',
      names.cloud_sql ? ` --cloud-sql ${names.cloud_sql}` : '',
      taken['--with-cloud-build'] ? ' --with-cloud-build' : '',
    ].join('');
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
    while (this.#running >= AT_ONCE) await new Promise((free) => this.#waiting.push(free));
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
  async #connection() {
    const { job, region } = this.names;
    const { value } = await this.gcloud('run', 'jobs', 'describe', job, `--region=${region}`);
    return value?.spec.template.metadata?.annotations?.['run.googleapis.com/cloudsql-instances'];
  }

  /** @returns {Promise<string[] | undefined>} the numbers of the repository and its owner, if gh tells them */
  async #repositoryIds() {
    if (!this.repo) return undefined;
    const jq = String.raw`"\(.id) \(.owner.id)"`;
    const { succeeded, output } = await ask('gh', ['api', `repos/${this.repo}`, '--jq', jq]);
    return succeeded ? output.split(' ') : undefined;
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
  isGrant({ who, role, on }, { role: given, members, condition }) {
    const { project, cloud_sql: instance } = this.names;
    // Which instance is unknown until the first deployment, unless the repository variable says so.
    const only = new RegExp(
      `^resource\\.service == 'sqladmin\\.googleapis\\.com' && resource\\.name == 'projects/${project}/instances/${instance ?? '[^/]+'}'$`,
    );
    const isNarrow = on === 'cloud_sql' ? only.test(condition?.expression) : !condition;
    return given === role && members.includes(this.memberOf(who)) && isNarrow;
  }
}

/** Whether everybody may call it. gcloud writes True. */
export const isPublic = ({ metadata }) =>
  /^true$/i.test(metadata.annotations?.['run.googleapis.com/invoker-iam-disabled']);

/** OWNER/NAME of the remote `origin`, where that is at GitHub. */
async function repositoryOfOrigin() {
  const { output } = await ask('git', ['remote', 'get-url', 'origin']);
  return /github\.com[:/]([^/]+\/[^/]+?)(\.git)?$/.exec(output)?.[1];
}
