// The names of the project's resources, from the repository variables or as in deploy/lib/gcloud.sh, and what gcloud returns
// for them. Each command runs once.
import { execute, fail, ok, warn } from './check.mjs';
import {
  prefixOf,
  readGrants,
  readJobs,
  readSchedules,
  readSettings,
  readVariableNames,
  readVariables,
} from './lists.mjs';

/** Google's sample of deploy/bootstrap.sh serves, or nothing does. */
export const NOT_DEPLOYED = Symbol('not deployed');
export const SIGN_IN = 'gcloud auth login, as an owner of the project';

/** gcloud is a Python program that needs a CPU for a second. */
const MAX_PARALLEL = 4;

const ENVIRONMENT = {
  CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
  CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API: 'false',
  // Otherwise it writes a log of each call.
  CLOUDSDK_CORE_DISABLE_FILE_LOGGING: '1',
};
/** As in deploy/lib/gcloud.sh. */
const NOT_FOUND = /NOT_FOUND|not found|Cannot find (service|job|revision) |instance does not exist/;
const API_DISABLED = /has not been used in project .* before or it is disabled|API \[\S+\] not enabled/;

export class Project {
  #responses = new Map();
  #running = 0;
  #queue = [];

  constructor(options) {
    this.options = options;
    this.prefix = prefixOf(options);
  }

  /** Reads what the project has and how it is named. @returns {Promise<import('./check.mjs').Finding>} */
  async load() {
    const { values = {}, problem } = this.isNamed ? {} : await readVariables(this.options);
    const settings = readVariableNames().map(({ name, value }) => [value, values[this.prefix + name]]);
    const variables = Object.fromEntries(settings.filter(([, value]) => value));
    const { project = variables.project, region = variables.region, service = variables.service } = this.options;
    if (!project || !region || !service) {
      const names = ['GCP_PROJECT_ID', 'GCP_REGION', 'GCP_SERVICE'].map((name) => this.prefix + name);
      return fail(
        `unknown project: ${problem?.detail ?? `${names.join(', ')} are not all set`}`,
        'npm run doctor -- --cloud --project ID --region REGION --service NAME',
      );
    }
    const obstacle = await this.#checkAccess(project);
    if (obstacle) return obstacle;
    this.names = { ...defaultNames(project, region, service, this.number), ...variables, project, region, service };
    this.#nameOwn();
    await this.#readConnection();
    await this.#readTrust();
    await this.#readOptions(variables);
    const { value } = await this.gcloud('billing', 'projects', 'describe', project);
    return value?.billingEnabled === false
      ? fail(`${project} has no billing account`, `gcloud billing projects link ${project} --billing-account=ID`)
      : ok(`${project}, number ${this.number}`);
  }

  /** Whether the options name the project, so that its repository variables are unknown. */
  get isNamed() {
    const { project, region, service } = this.options;
    return Boolean(project && region && service);
  }

  /** @returns {Promise<import('./check.mjs').Finding | undefined>} why gcloud cannot read the project */
  async #checkAccess(project) {
    const accounts = ['auth', 'list', '--filter=status:ACTIVE', '--format=value(account)'];
    const { missing, output } = await execute('gcloud', accounts, { env: ENVIRONMENT });
    if (missing) return fail('gcloud is not installed', 'Install it: https://cloud.google.com/sdk/docs/install');
    if (!output) return fail('gcloud is not signed in', 'gcloud auth login');
    this.names = { project };
    const { value, error = 'it does not exist' } = await this.gcloud('projects', 'describe', project);
    if (!value) return fail(`cannot read ${project}: ${error}`, 'gcloud projects list, which prints the ids');
    this.number = value.projectNumber;
    return undefined;
  }

  /** Names the secrets of deploy/settings.txt besides the database URL, and the jobs of deploy/jobs/. */
  #nameOwn() {
    const { names, options } = this;
    const secrets = [...readSettings(options.environment).values()].filter(({ kind }) => kind === 'secret');
    const own = secrets.map(({ value }) => value).filter((value) => value !== 'database-url');
    for (const value of own) names[`${value}_secret`] = `${names.service}-${value}`;
    this.secrets = ['runtime_secret', 'migrator_secret', ...own.map((value) => `${value}_secret`)];
    this.jobs = readJobs().map((name) => `${name}_job`);
    for (const name of readJobs()) names[`${name}_job`] = `${names.service}-${name}`;
    this.schedules = readSchedules(options.environment);
    const each = { own_secrets: own.map((value) => `${value}_secret`), own_jobs: this.jobs };
    this.listedGrants = readGrants().flatMap((grant) =>
      (each[grant.resource] ?? [grant.resource]).map((resource) => Object.assign({}, grant, { resource })),
    );
  }

  /** Without the repository variable, the connection comes from the last deployment. */
  async #readConnection() {
    const { names } = this;
    if (this.isNamed) {
      const { value: job } = await this.gcloud(...this.command('job', 'describe'));
      names.connection = job?.spec.template.metadata?.annotations?.['run.googleapis.com/cloudsql-instances'];
    }
    names.cloud_sql = new RegExp(`^${names.project}:[^:]+:([^:]+)$`).exec(names.connection)?.[1];
    [, , , , , names.pool, , names.provider] = names.wif_provider.split('/');
  }

  /** The repository that the provider accepts: as GitHub returns its id, or else as the provider's condition has it. */
  async #readTrust() {
    this.repo = this.options.repo ?? (await repositoryOfOrigin());
    if (this.repo) {
      const jq = String.raw`"\(.id) \(.owner.id)"`;
      const { succeeded, output } = await execute('gh', ['api', `repos/${this.repo}`, '--jq', jq]);
      if (succeeded) this.ids = output.split(' ');
    }
    const { value: provider } = await this.gcloud(...this.command('provider', 'describe'));
    this.trustedId = this.ids?.[0] ?? /repository_id=='(\d+)'/.exec(provider?.attributeCondition)?.[1];
  }

  /** The options of deploy/bootstrap.sh that the project was created with, and so what it must have. */
  async #readOptions(variables) {
    const { names, options } = this;
    const { value: service } = await this.gcloud(...this.command('service', 'describe'));
    const { value: builder = variables.builder } = await this.gcloud(...this.command('builder', 'describe'));
    this.chosen = {
      always: true,
      '--private': service && !isPublic(service),
      jobs: this.jobs.length > 0,
      '--cloud-sql': names.cloud_sql,
      '--with-cloud-build': builder,
    };
    this.grants = this.listedGrants.filter(({ option }) => this.chosen[option]);
    const scheduler = this.chosen.jobs ? ['scheduler'] : [];
    this.accounts = ['deployer', 'runtime', 'migrator', ...scheduler, ...(builder ? ['builder'] : [])];
    const buckets = builder ? ['build_bucket', 'build_log_bucket'] : [];
    const ofRun = ['service', 'job', ...this.jobs];
    this.resources = ['project', ...this.accounts, 'repository', ...ofRun, ...this.secrets, ...buckets];

    const environment = options.environment === 'production' ? '' : ` --environment ${options.environment}`;
    this.deploy = `npm run deploy${environment && ` --${environment}`}`;
    this.bootstrap = [
      `deploy/bootstrap.sh --project ${names.project} --region ${names.region} --repo ${this.repo ?? 'OWNER/NAME'}`,
      ` --service ${names.service}${environment}`,
      this.chosen['--private'] ? ' --private' : '',
      names.cloud_sql ? ` --cloud-sql ${names.cloud_sql}` : '',
      builder ? ' --with-cloud-build' : '',
    ].join('');
  }

  // ── Commands

  /** Returns the words of a gcloud command for a resource, by its name in deploy/grants.txt. */
  command(resource, verb) {
    const { names } = this;
    const region = `--region=${names.region}`;
    const [group, ...target] = {
      project: ['projects', names.project],
      cloud_sql: ['projects', names.project],
      repository: ['artifacts repositories', names.repository, `--location=${names.region}`],
      service: ['run services', names.service, region],
      job: ['run jobs', names.job, region],
      ...Object.fromEntries(this.jobs.map((name) => [name, ['run jobs', names[name], region]])),
      pool: ['iam workload-identity-pools', names.pool, '--location=global'],
      provider: [
        ...['iam workload-identity-pools providers', names.provider],
        ...[`--workload-identity-pool=${names.pool}`, '--location=global'],
      ],
      ...Object.fromEntries(this.secrets.map((name) => [name, ['secrets', names[name]]])),
      build_bucket: ['storage buckets', `gs://${names.build_bucket}`],
      build_log_bucket: ['storage buckets', `gs://${names.build_log_bucket}`],
    }[resource] ?? ['iam service-accounts', names[resource]];
    return [...group.split(' '), verb, ...target];
  }

  /** Returns a command line for a fix. */
  fixWith(...words) {
    return ['gcloud', ...words, `--project=${this.names.project}`].join(' ');
  }

  /** Returns the command line that removes a binding. */
  removal(resource, member, { role, condition }) {
    const binding = [`--member=${member}`, `--role=${role}`];
    const words = this.command(resource, 'remove-iam-policy-binding');
    return resource === 'project'
      ? ['gcloud', ...words, ...binding, condition ? '--all' : '--condition=None'].join(' ')
      : [this.fixWith(...words), ...binding].join(' ');
  }

  /** @returns {Promise<{ value?: any, notFound?: boolean, error?: string }>} what gcloud prints as JSON, or why it fails */
  gcloud(...command) {
    const key = command.join(' ');
    if (!this.#responses.has(key)) this.#responses.set(key, this.#run(command));
    return this.#responses.get(key);
  }

  async #run(command) {
    while (this.#running >= MAX_PARALLEL) await new Promise((resolve) => this.#queue.push(resolve));
    this.#running += 1;
    const args = [...command, `--project=${this.names.project}`, '--format=json'];
    const { succeeded, output, error } = await execute('gcloud', args, { env: ENVIRONMENT });
    this.#running -= 1;
    this.#queue.shift()?.();
    if (succeeded) return { value: JSON.parse(output || 'null') };
    if (API_DISABLED.test(error)) return { error: 'its API is disabled' };
    return NOT_FOUND.test(error) ? { notFound: true } : { error: error.replace(/^ERROR: \(gcloud\S+\) /, '') };
  }

  /** Evaluates what a command returns. A missing resource is a failure, a denied request a warning. */
  async inspect(title, command, evaluate) {
    const { value, notFound, error } = await this.gcloud(...command);
    if (notFound) return fail(`${title} does not exist`, this.bootstrap);
    if (error) return warn(`cannot read ${title}: ${error}`, SIGN_IN);
    return evaluate(value);
  }

  // ── The deployed revision

  revisionCommand(name) {
    return ['run', 'revisions', 'describe', name, `--region=${this.names.region}`];
  }

  /** Returns the name of the revision with the most traffic, or NOT_DEPLOYED. */
  async deployedRevision() {
    const { value } = await this.gcloud(...this.command('service', 'describe'));
    const [first] = (value?.status.traffic ?? []).toSorted((a, b) => (b.percent ?? 0) - (a.percent ?? 0));
    if (!first) return NOT_DEPLOYED;
    const { value: revision } = await this.gcloud(...this.revisionCommand(first.revisionName));
    return revision?.metadata.labels?.['commit-sha'] ? first.revisionName : NOT_DEPLOYED;
  }

  /** Returns the version of a secret that the deployed revision reads. */
  async deployedVersion(secret) {
    const revision = await this.deployedRevision();
    if (revision === NOT_DEPLOYED) return undefined;
    const { value } = await this.gcloud(...this.revisionCommand(revision));
    const references = value?.spec.containers[0].env?.map(({ valueFrom }) => valueFrom?.secretKeyRef) ?? [];
    return references.find((reference) => reference?.name === secret)?.key;
  }

  // ── Grants, by the names of deploy/grants.txt

  titleOf(name) {
    if (name === 'workflow') return 'the workflow';
    if (name === 'project') return `the project ${this.names.project}`;
    if (name === 'cloud_sql') return `the instance ${this.names.cloud_sql}`;
    if (name === 'service' || name === 'job') return `the ${name} ${this.names[name]}`;
    if (this.jobs.includes(name)) return `the job ${this.names[name]}`;
    if (name === 'repository') return `the registry ${this.names.repository}`;
    return this.names[name].split('@')[0];
  }

  memberOf(principal) {
    if (principal !== 'workflow') return `serviceAccount:${this.names[principal]}`;
    return `principalSet://iam.googleapis.com/projects/${this.number}/locations/global/workloadIdentityPools/${this.names.pool}/attribute.repository_id/${this.trustedId}`;
  }

  /** Whether a binding is exactly this grant. */
  isGrant({ principal, role, resource }, binding) {
    const { project, cloud_sql: instance } = this.names;
    // The instance is unknown until the first deployment, unless the repository variable names it.
    const condition = new RegExp(
      `^resource\\.service == 'sqladmin\\.googleapis\\.com' && resource\\.name == 'projects/${project}/instances/${instance ?? '[^/]+'}'$`,
    );
    const hasCondition = resource === 'cloud_sql' ? condition.test(binding.condition?.expression) : !binding.condition;
    return binding.role === role && binding.members.includes(this.memberOf(principal)) && hasCondition;
  }
}

/** Returns the names of deploy/lib/gcloud.sh. */
export function defaultNames(project, region, service, number) {
  const account = (name) => `${service}-${name}@${project}.iam.gserviceaccount.com`;
  return {
    job: `${service}-migrate`,
    repository: service,
    wif_provider: `projects/${number}/locations/global/workloadIdentityPools/${service}-github/providers/github`,
    deployer: account('deploy'),
    runtime: account('runtime'),
    migrator: account('migrate'),
    scheduler: account('cron'),
    builder: account('build'),
    runtime_secret: `${service}-database-url`,
    migrator_secret: `${service}-migrator-database-url`,
    build_bucket: `${project}-${service}-source`,
    build_log_bucket: `${project}-${service}-logs`,
  };
}

/** Whether the service is public. gcloud writes True. */
export const isPublic = ({ metadata }) =>
  /^true$/i.test(metadata.annotations?.['run.googleapis.com/invoker-iam-disabled']);

/** Returns OWNER/NAME of the remote `origin`, if it is on GitHub. */
async function repositoryOfOrigin() {
  const { output } = await execute('git', ['remote', 'get-url', 'origin']);
  return /github\.com[:/]([^/]+\/[^/]+?)(\.git)?$/.exec(output)?.[1];
}
