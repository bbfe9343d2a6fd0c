/**
 * What goes wrong on the way to Cloud Run: the message, what it means, and what to do. One place for `npm run doctor --
 * --explain`, for the summary of a run that failed, and for the table in DEPLOYMENT.md, which a test holds to this one.
 *
 * @typedef {object} Trouble
 * @property {string} message how it begins or what it contains, for people to recognise
 * @property {RegExp} pattern finds it in a line of a log
 * @property {string} cause
 * @property {string} fix
 */

const BOOTSTRAP_AGAIN = 'Run deploy/bootstrap.sh again: it makes what is missing';

/** The more special before the more general: a line is explained by the first that fits. @type {Trouble[]} */
export const TROUBLES = [
  // ── The sign-in
  {
    message: 'did not inject $ACTIONS_ID_TOKEN_REQUEST_TOKEN',
    pattern: /did not inject \$ACTIONS_ID_TOKEN_REQUEST_TOKEN|Unable to get ACTIONS_ID_TOKEN_REQUEST_URL/,
    cause: 'The job has no permission to ask GitHub who it is.',
    fix: 'Give the job `permissions: id-token: write`. A run from a fork never has it',
  },
  {
    message: 'size of mapped attribute google.subject exceeds the 127 bytes limit',
    pattern: /mapped attribute .*exceeds the 127 bytes/,
    cause: 'The provider maps the whole of GitHub’s subject, which has grown with the numbers in it.',
    fix: `${BOOTSTRAP_AGAIN}, with a shorter subject`,
  },
  {
    message: 'rejected by the attribute condition',
    pattern: /rejected by the attribute condition|unauthorized_client/,
    cause:
      'Not the repository, branch, event or workflow file that the provider trusts. Google heeds upper and lower case.',
    fix: 'Start Deploy by hand, on main. After the repository was made anew: deploy/bootstrap.sh',
  },
  {
    message: 'Invalid value for "audience"',
    pattern:
      /Invalid value for \\?"audience\\?"|invalid_target|target service indicated by the .*audience.* parameters is invalid/,
    cause:
      'There is no such provider: GCP_WIF_PROVIDER has another project’s number, the project’s id in its place, or a typing error.',
    fix: 'Set GCP_WIF_PROVIDER to what deploy/bootstrap.sh prints',
  },
  {
    message: "Permission 'iam.serviceAccounts.getAccessToken' denied",
    pattern:
      /iam\.serviceAccounts\.(getAccessToken|getOpenIdToken)\b.*denied|denied.*iam\.serviceAccounts\.(getAccessToken|getOpenIdToken)/i,
    cause:
      'The workflow may not act as the deployer: roles/iam.workloadIdentityUser is missing on it, or younger than five minutes.',
    fix: `${BOOTSTRAP_AGAIN}. Then wait five minutes`,
  },
  {
    message: 'Failed to generate Google Cloud federated token',
    pattern: /federated token/,
    cause: 'Google does not believe what GitHub says of this run: the provider, its condition or its issuer.',
    fix: `${BOOTSTRAP_AGAIN}; compare GCP_WIF_PROVIDER with what it prints`,
  },
  {
    message: 'Invalid account type for --audiences',
    pattern: /Invalid account type for `?--audiences/,
    cause: 'gcloud cannot make an ID token from a federated sign-in.',
    fix: 'Let google-github-actions/auth make it, with token_format: id_token, as deploy.yml does',
  },

  // ── The project
  {
    message: 'API […] has not been used in project … before or it is disabled',
    pattern: /has not been used in project|SERVICE_DISABLED|API .* is not enabled/,
    cause: 'An API is off. A person would be asked whether to enable it, a workflow just fails.',
    fix: BOOTSTRAP_AGAIN,
  },
  {
    message: 'Repository variables are missing',
    pattern: /Repository variables are missing/,
    cause: 'GitHub does not know where to deploy to.',
    fix: 'deploy/bootstrap.sh prints the variables, and sets them with --set-vars',
  },
  {
    message: 'billing account … is disabled / requires billing',
    pattern: /[Bb]illing (account|must be|is disabled|to be enabled)|requires billing/,
    cause: 'The project has no billing account, or a closed one.',
    fix: 'gcloud billing projects link PROJECT --billing-account=ID',
  },

  // ── The build
  {
    message: 'the --mount option requires BuildKit',
    pattern: /requires BuildKit|unknown flag: (mount|link|chmod)|Unknown flag: mount/i,
    cause: 'Cloud Build’s Docker has no BuildKit (lesson 3).',
    fix: 'Take the option out of docker/Dockerfile; npm test names it',
  },
  {
    message: 'The user is forbidden from accessing the bucket',
    pattern: /forbidden from accessing the bucket/,
    cause: 'The deployer has no roles/serviceusage.serviceUsageConsumer, or may not write to the bucket of sources.',
    fix: 'Run deploy/bootstrap.sh again, with --with-cloud-build',
  },
  {
    message: 'This tool can only stream logs if you are Viewer/Owner of the project',
    pattern: /can only stream logs if you are Viewer|storage\.objects\.get.*(logs|cloudbuild)/,
    cause: 'The build’s log is not where the deployer may read it: Google’s own bucket is closed to it (lesson 6).',
    fix: 'Build with --gcs-log-dir, as deploy/pipeline/build.sh does; run deploy/bootstrap.sh --with-cloud-build again',
  },
  {
    message: 'Unauthenticated request … uploadArtifacts',
    pattern: /Unauthenticated request.*(upload|download)Artifacts|no basic auth credentials/,
    cause: 'Docker is not signed in to this registry.',
    fix: 'gcloud auth configure-docker REGION-docker.pkg.dev, with the very host of the image',
  },
  {
    message: "Permission 'artifactregistry.repositories.uploadArtifacts' denied (or it may not exist)",
    pattern: /uploadArtifacts/,
    cause:
      'The registry is not there, is in another region, or the deployer (with Cloud Build, the build) may not write to it.',
    fix: `Compare GCP_REGION and GCP_ARTIFACT_REPOSITORY with what deploy/bootstrap.sh prints. ${BOOTSTRAP_AGAIN}`,
  },
  {
    message: "Permission 'artifactregistry.repositories.downloadArtifacts' denied",
    pattern: /artifactregistry\.\S*(downloadArtifacts|repositories\.get|tags\.(list|get|create|update))/,
    cause: 'The deployer may not read the registry, or it is not there.',
    fix: BOOTSTRAP_AGAIN,
  },
  {
    message: 'Repository "…" not found',
    pattern: /Repository ["\\]+\S+ not found|name unknown: Repository|repositories\/\S+ (was )?not found/,
    cause: 'The registry is not there, or in another region (lesson 1).',
    fix: `Compare GCP_REGION and GCP_ARTIFACT_REPOSITORY with what deploy/bootstrap.sh prints. ${BOOTSTRAP_AGAIN}`,
  },
  {
    message: 'No credentials found for registry',
    pattern: /No credentials found for registry/,
    cause: 'actions/attest does not ask the credential helpers of Docker.',
    fix: 'Leave push-to-registry out, as deploy.yml does: the attestation stays with GitHub',
  },
  {
    message: 'The build handed on no digest',
    pattern: /handed on no digest|since it may contain secret/,
    cause: 'GitHub drops a job’s output that contains the text of a secret.',
    fix: 'Make repository variables of what is no secret, such as the project’s id, and delete the secret',
  },
  {
    message: 'exec format error',
    pattern: /exec format error/,
    cause: 'The image is for another processor than Cloud Run’s, such as one built on a Mac.',
    fix: 'Build it with the workflow, or with --platform=linux/amd64',
  },

  // ── Cloud Run
  {
    message: "Permission 'iam.serviceaccounts.actAs' denied on service account",
    pattern: /serviceaccounts?\.actAs/i,
    cause: 'The deployer has no roles/iam.serviceAccountUser on the account that is named: the third key (lesson 2).',
    fix: `${BOOTSTRAP_AGAIN}. roles/run.serviceAgent, a common advice, is not it`,
  },
  {
    message: "Permission 'run.services.get' denied",
    pattern:
      /run\.(services|jobs|revisions|executions)\.\w+.*denied|denied.*run\.(services|jobs|revisions|executions)\.\w+/i,
    cause: 'Another project or region than at bootstrap, or the deployer has no roles/run.developer there.',
    fix: `Compare GCP_PROJECT_ID, GCP_REGION and GCP_SERVICE with what deploy/bootstrap.sh prints. ${BOOTSTRAP_AGAIN}`,
  },
  {
    message: 'Permission denied on secret',
    pattern: /Permission denied on secret|secretmanager\.versions\.(access|list)/,
    cause:
      'The account that is named may not use the secret: roles/secretmanager.secretAccessor, for the deployer roles/secretmanager.viewer.',
    fix: BOOTSTRAP_AGAIN,
  },
  {
    message: 'The secret … has no enabled version',
    pattern: /has no enabled version|Secret Version \[.*\] not found|secret .* was not found/i,
    cause: 'Nobody has filled the secret yet, or its last version was disabled.',
    fix: 'gcloud secrets versions add SECRET --project=PROJECT --data-file=FILE, where the file has the URL without a line break',
  },
  {
    message: 'failed to start and listen on the port defined provided by the PORT=8080',
    pattern: /failed to start and listen on the port/,
    cause: 'The container ended before it listened, or listens elsewhere (lesson 4). Its log, above, says why.',
    fix: 'Read the log for "The environment is not usable"; npm run container:test plays the same start',
  },
  {
    message: 'The environment is not usable',
    pattern: /The environment is not usable/,
    cause: 'A variable has a value that the service refuses. The lines behind it name it.',
    fix: 'Correct the repository variable (APP_…), the secret or deploy/service.yaml',
  },
  {
    message: 'Waiting for database … past DATABASE_STARTUP_BUDGET_MS',
    pattern: /past DATABASE_STARTUP_BUDGET_MS/,
    cause:
      'The database cannot be reached: wrong address, no roles/cloudsql.client, or it needs longer than the budget.',
    fix: 'The line itself has the reason. DEPLOYMENT.md, "Time to connect"',
  },
  {
    message: 'pending: run the migrations of this build',
    pattern: /pending: run the migrations/,
    cause: 'The database lacks migrations of this image.',
    fix: 'Deploy by the workflow, which runs them first',
  },
  {
    message: 'STARTUP HTTP probe failed',
    pattern: /(STARTUP|LIVENESS) (HTTP|TCP) probe failed|probe failed .* times/i,
    cause: 'The container listens, but was never ready within the window of its probe.',
    fix: 'The last lines of its log say what it waited for. DEPLOYMENT.md, "Time to connect"',
  },
  {
    message: 'Memory limit of 512 MiB exceeded',
    pattern: /Memory limit of .* exceeded/,
    cause: 'The instance was killed, with all its requests.',
    fix: 'Raise memory in deploy/service.yaml, and --max-old-space-size with it',
  },
  {
    message: 'Failed to parse value(s) in protobuf [Service]',
    pattern: /Failed to parse value\(s\) in protobuf|unrecognized arguments/,
    cause: 'gcloud is too old for a field of the manifest or an option, or it is misspelt.',
    fix: 'npm test -- test/deploy names the field; the workflows pin the version of gcloud',
  },
  {
    message: 'with different configuration already exists',
    pattern: /with different configuration already exists/,
    cause: 'A revision’s name is never free again.',
    fix: 'Start the run again: each attempt has a name of its own',
  },
  {
    message: 'The traffic is divided',
    pattern: /The traffic is divided/,
    cause: 'A deployment ended half-way, or somebody divided it by hand.',
    fix: 'Run the Rollback workflow with the revision that is to have all of it, then deploy',
  },
  {
    message: 'Your client does not have permission to get URL / 403',
    pattern: /does not have permission to get URL|of the candidate answered 403/,
    cause: 'The service is private, and the deployer has no roles/run.developer on it.',
    fix: 'Run deploy/bootstrap.sh again',
  },
  {
    message: 'of the candidate answered 404',
    pattern: /of the candidate answered 404/,
    cause: 'Google’s front end keeps outside callers away (the service’s ingress), or the path is not the service’s.',
    fix: 'DEPLOYMENT.md, "A custom domain": with another ingress than `all` the workflow must run inside the network',
  },

  // ── The database
  {
    message: 'password authentication failed for user',
    pattern: /password authentication failed/,
    cause: 'The URL in the secret has another password than the role.',
    fix: 'Set the password again (\\password in psql), add the URL as a new version of the secret, deploy',
  },
  {
    message: 'remaining connection slots are reserved / too many clients already',
    pattern: /remaining connection slots are reserved|too many clients already/,
    cause: 'All instances together want more connections than the database allows.',
    fix: 'DEPLOYMENT.md, "Connections": lower maxScale or DATABASE_POOL_MAX, or raise max_connections',
  },
  {
    message: 'permission denied for schema public / table',
    pattern: /permission denied for (schema|table|sequence|relation)/,
    cause: 'The role of the URL may not do this: the two URLs are swapped, or the tables are another role’s.',
    fix: 'Run deploy/database-roles.sql again as the owner; the migrator’s URL goes into …-migrator-database-url',
  },
  {
    message: 'cloudsql.instances.get / Cloud SQL connection failed',
    pattern:
      /cloudsql\.instances\.(get|connect)|Cloud SQL (connection|Admin API)|connect (ENOENT|ECONNREFUSED) \/cloudsql/i,
    cause:
      'No roles/cloudsql.client on the instance, the API sqladmin is off, or GCP_CLOUD_SQL_INSTANCE is not PROJECT:REGION:INSTANCE.',
    fix: 'Run deploy/bootstrap.sh again, with --cloud-sql INSTANCE',
  },
  {
    message: 'EAI_AGAIN / ENOTFOUND / ECONNREFUSED / timeout expired',
    pattern: /getaddrinfo (EAI_AGAIN|ENOTFOUND)|connect (ECONNREFUSED|ETIMEDOUT)|timeout expired/,
    cause:
      'The database’s address does not exist or does not answer: a typing error, a firewall, a private address without a network.',
    fix: 'Check host and port in the secret’s URL; a private address needs network-interfaces in deploy/service.yaml',
  },
];

/**
 * @param {string} log any text, such as a step's output
 * @returns {{ line: string, trouble: Trouble }[]} each known trouble once, with the first line that shows it
 */
export function explain(log) {
  const found = new Map();
  for (const line of log.split(/\r?\n/)) {
    const trouble = TROUBLES.find(({ pattern }) => pattern.test(line));
    if (trouble && !found.has(trouble)) found.set(trouble, line.trim());
  }
  return [...found].map(([trouble, line]) => ({ line, trouble }));
}
