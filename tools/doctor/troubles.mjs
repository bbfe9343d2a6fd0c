import { stripVTControlCharacters } from 'node:util';

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
const WITH_CLOUD_BUILD = 'Run deploy/bootstrap.sh again, with --with-cloud-build';

/** The more special before the more general: a line is explained by the first that fits. @type {Trouble[]} */
export const TROUBLES = [
  // ── The project
  {
    message: 'API […] has not been used in project … before or it is disabled',
    pattern: /has not been used in project .* before or it is disabled|SERVICE_DISABLED|API \[\S+\] (is )?not enabled/,
    cause: 'An API is off. A person would be asked whether to enable it, a workflow just fails (lesson 1).',
    fix: BOOTSTRAP_AGAIN,
  },
  {
    message: 'billing account … is disabled / requires billing',
    pattern:
      /billing account .*(disabled|absent|not found)|has no billing account|requires billing|[Bb]illing must be enabled/,
    cause: 'The project has no billing account, or a closed one.',
    fix: 'gcloud billing projects link PROJECT --billing-account=ID',
  },
  {
    message: 'Repository variables are missing',
    pattern: /Repository variables are missing/,
    cause: 'GitHub does not know where to deploy to.',
    fix: 'deploy/bootstrap.sh prints the variables, and sets them with --set-vars',
  },

  {
    message: 'not started because recent account payments have failed or your spending limit needs to be increased',
    pattern: /job was not started because/,
    cause: 'GitHub gives a private repository no more minutes this month.',
    fix: 'Settings, Billing, of the repository’s owner: raise the limit, or wait for the next month',
  },
  {
    message: "Workflow does not have 'workflow_dispatch' trigger",
    pattern: /does not have 'workflow_dispatch' trigger|workflow deploy\.yml not found|deploy\.yml\/dispatches.*404/,
    cause: 'main on GitHub has no such workflow yet, or gh looks at another repository.',
    fix: 'git push, then gh repo set-default OWNER/NAME',
  },
  {
    message: 'do not belong to a permitted customer / constraints/iam.allowedPolicyMemberDomains',
    pattern: /permitted customer|iam\.allowedPolicyMemberDomains|run\.managed\.requireInvokerIam/,
    cause: 'The organisation forbids services that everybody may call.',
    fix: 'deploy/bootstrap.sh --private; or ask the organisation’s administrator for an exception',
  },
  {
    message: 'Quota exceeded for total allowable CPU per project per region',
    pattern: /Quota exceeded for|Quota violated/,
    cause: 'All services of the project in this region together may have no more instances.',
    fix: 'Lower maxScale in deploy/service.yaml, or ask for more under IAM & Admin, Quotas',
  },

  // ── The sign-in
  {
    message: 'did not inject $ACTIONS_ID_TOKEN_REQUEST_TOKEN',
    pattern:
      /did not inject \$ACTIONS_ID_TOKEN_REQUEST|\$?ACTIONS_ID_TOKEN_REQUEST_(TOKEN|URL) is not set|Unable to get ACTIONS_ID_TOKEN_REQUEST/,
    cause: 'The job has no permission to ask GitHub who it is.',
    fix: 'Give the job `permissions: id-token: write`. A run from a fork never has it',
  },
  {
    message: 'The size of mapped attribute google.subject exceeds the 127 bytes limit',
    pattern: /mapped attribute .*exceeds the 127 bytes/,
    cause: 'The provider maps the whole of GitHub’s subject, which has grown with the numbers in it.',
    fix: 'Give it the --attribute-mapping of deploy/bootstrap.sh, by gcloud iam workload-identity-pools providers update-oidc',
  },
  {
    message: 'The given credential is rejected by the attribute condition',
    pattern: /rejected by the attribute condition|unauthorized_client/,
    cause:
      'Not the repository, branch, event or workflow file that the provider trusts. Google heeds upper and lower case.',
    fix: 'Start Deploy by hand, on main. After the repository was made anew: deploy/bootstrap.sh',
  },
  {
    message: 'Invalid value for "audience"',
    pattern: /Invalid value for \\*"audience\\*"/,
    cause: 'GCP_WIF_PROVIDER is not the whole name of a provider, projects/NUMBER/…/providers/NAME.',
    fix: 'Set GCP_WIF_PROVIDER to what deploy/bootstrap.sh prints',
  },
  {
    message: 'The target service indicated by the "audience" parameters is invalid',
    pattern: /invalid_target|target service indicated by the \W*audience\W* parameters is invalid/,
    cause:
      'There is no such provider: GCP_WIF_PROVIDER has another number or a typing error, or the provider or its pool was deleted or switched off.',
    fix: `Compare GCP_WIF_PROVIDER with what deploy/bootstrap.sh prints. ${BOOTSTRAP_AGAIN}, and revives what was deleted`,
  },
  {
    message: "Permission 'iam.serviceAccounts.getAccessToken' denied on resource",
    pattern:
      /iam\.serviceAccounts\.(getAccessToken|getOpenIdToken)\b|generate Google Cloud (OAuth 2\.0 )?[Aa]ccess [Tt]oken.*The caller does not have permission/,
    cause:
      'The workflow may not act as the deployer: roles/iam.workloadIdentityUser is missing on it, GCP_DEPLOY_SERVICE_ACCOUNT is another account, or the grant is younger than five minutes.',
    fix: `${BOOTSTRAP_AGAIN}. Then wait five minutes`,
  },
  {
    message: 'Failed to generate Google Cloud federated token',
    pattern: /generate Google Cloud federated token/,
    cause: 'Google does not believe what GitHub says of this run: the provider, its condition or its issuer.',
    fix: `${BOOTSTRAP_AGAIN}; compare GCP_WIF_PROVIDER with what it prints`,
  },
  {
    message: 'Invalid account type for --audiences',
    pattern: /Invalid account type for `?--audiences/,
    cause: 'gcloud cannot make an ID token from a federated sign-in.',
    fix: 'Let google-github-actions/auth make it, with token_format: id_token, as deploy.yml does',
  },

  // ── The build
  {
    message: 'The builder cloud-build needs GCP_BUILD_ACCOUNT, GCP_BUILD_BUCKET and GCP_BUILD_LOG_BUCKET',
    pattern: /builder cloud-build needs GCP_BUILD_ACCOUNT/,
    cause: 'Bootstrap has not been told that Cloud Build would build.',
    fix: `${WITH_CLOUD_BUILD} and --set-vars`,
  },
  {
    message: 'the --mount option requires BuildKit',
    pattern: /requires BuildKit|unknown flag: (mount|link|chmod)/i,
    cause: 'Cloud Build’s Docker has no BuildKit (lesson 3).',
    fix: 'Take the option out of docker/Dockerfile; npm run doctor names it',
  },
  {
    message: 'The user is forbidden from accessing the bucket',
    pattern: /forbidden from accessing the bucket|serviceusage\.services\.use|required permission to use project/,
    cause: 'The deployer has no roles/serviceusage.serviceUsageConsumer, or may not write to the bucket of sources.',
    fix: WITH_CLOUD_BUILD,
  },
  {
    message: 'This tool can only stream logs if you are Viewer/Owner of the project',
    pattern:
      /can only stream logs if you are Viewer|default logs bucket|storage\.objects\.get access to .*cloudbuild-logs/,
    cause: 'The build’s log is in Google’s own bucket, which is closed to the deployer (lesson 6).',
    fix: `Build with --gcs-log-dir, as deploy/pipeline/build.sh does. ${WITH_CLOUD_BUILD}`,
  },
  {
    message: 'does not have storage.objects.get access',
    pattern: /does not have storage\.\w+\.\w+ access|'storage\.\w+\.\w+' denied/,
    cause: 'The account that is named may not use a bucket of Cloud Build: the one of sources, or the one of logs.',
    fix: WITH_CLOUD_BUILD,
  },
  {
    message: 'caller does not have permission to act as service account',
    pattern: /does not have permission to act as service account/,
    cause: 'The deployer has no roles/iam.serviceAccountUser on the account that builds run as.',
    fix: WITH_CLOUD_BUILD,
  },
  {
    message: '(gcloud.builds.submit) The caller does not have permission',
    pattern: /gcloud\.builds\.submit\) .*The caller does not have permission|cloudbuild\.builds\.create/,
    cause: 'The deployer has no roles/cloudbuild.builds.editor.',
    fix: WITH_CLOUD_BUILD,
  },
  {
    message: 'Unauthenticated request. Unauthenticated requests do not have permission "…uploadArtifacts"',
    pattern: /Unauthenticated request|no basic auth credentials|failed to fetch anonymous token/,
    cause: 'Docker is not signed in to this registry.',
    fix: 'gcloud auth configure-docker REGION-docker.pkg.dev, with the very host of the image',
  },
  {
    message: "Permission 'artifactregistry.repositories.uploadArtifacts' denied (or it may not exist)",
    pattern: /artifactregistry\.repositories\.uploadArtifacts/,
    cause:
      'The registry is not there or in another region, the deployer (with Cloud Build, the build) may not write to it, or Docker is signed in to another host.',
    fix: `Compare GCP_REGION and GCP_ARTIFACT_REPOSITORY with what deploy/bootstrap.sh prints. ${BOOTSTRAP_AGAIN}`,
  },
  {
    message: "Permission 'artifactregistry.repositories.get' or '…downloadArtifacts' denied",
    pattern:
      /artifactregistry\.(repositories\.(get|downloadArtifacts)|tags\.\w+|versions\.\w+)\b|Permission denied while accessing Artifact Registry|User does not have access to image/,
    cause: 'The deployer may not read the registry, of which Cloud Run, too, asks whoever deploys; or it is not there.',
    fix: BOOTSTRAP_AGAIN,
  },
  {
    message: 'Google Cloud Run Service Agent … must have permission to read the image',
    pattern: /must have permission to read the image/,
    cause:
      'Cloud Run’s own account cannot read the image: the registry is of another project, or the image is not there.',
    fix: 'Let GCP_ARTIFACT_REPOSITORY be a registry of the service’s project, as deploy/bootstrap.sh makes it',
  },
  {
    message: 'Repository "…" not found',
    pattern: /Repository ["'\\]+[^"'\\]+["'\\]+ not found|name unknown: Repository|repositories\/\S+ (was )?not found/,
    cause: 'The registry is not there, or in another region (lesson 1).',
    fix: `Compare GCP_REGION and GCP_ARTIFACT_REPOSITORY with what deploy/bootstrap.sh prints. ${BOOTSTRAP_AGAIN}`,
  },
  {
    message: 'Image … not found',
    pattern: /Image '[^']+' not found|manifest unknown|MANIFEST_UNKNOWN/,
    cause: 'The registry has no such image: it was never pushed, or the clean-up has taken it.',
    fix: 'Start Deploy anew, which builds it',
  },
  {
    message: 'No credentials found for registry',
    pattern: /No credentials found for registry/,
    cause: 'actions/attest does not ask the credential helpers of Docker.',
    fix: 'Leave push-to-registry out, as deploy.yml does: the attestation stays with GitHub',
  },
  {
    message: "Skip output '…' since it may contain secret",
    pattern: /since it may contain secret|handed on no digest/,
    cause: 'GitHub drops a job’s output that contains the text of a secret.',
    fix: 'Make repository variables of what is no secret, such as the project’s id, and delete the secret',
  },

  // ── Cloud Run
  {
    message: "Permission 'iam.serviceaccounts.actAs' denied on service account",
    pattern: /serviceaccounts?\.actAs/i,
    cause: 'The deployer has no roles/iam.serviceAccountUser on the account that is named: the third key (lesson 2).',
    fix: `${BOOTSTRAP_AGAIN}. roles/run.serviceAgent, a common advice, is not it`,
  },
  {
    message: "Permission 'run.services.get' denied on resource (or resource may not exist)",
    pattern: /Permission '?run\.\w+\.\w+'? denied/,
    cause:
      'Another project, region or name than at bootstrap, or the deployer has no roles/run.developer on it: the second key.',
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
    pattern:
      /has no enabled version|Secret Version \[.*\] not found|[Ss]ecret \S+ was not found|is in (DISABLED|DESTROYED) state/,
    cause: 'Nobody has filled the secret yet, or the version was disabled.',
    fix: 'gcloud secrets versions add SECRET --project=PROJECT --data-file=FILE, where the file has the URL without a line break',
  },
  {
    message: 'logging.logEntries.list denied',
    pattern: /logging\.logEntries\.list/,
    cause: 'The deployer has no roles/logging.viewer, so a canary has no verdict and a failure no log.',
    fix: BOOTSTRAP_AGAIN,
  },
  {
    message: 'exec format error',
    pattern: /exec format error/,
    cause: 'The image is for another processor than Cloud Run’s, such as one built on a Mac.',
    fix: 'Build it with the workflow, or with --platform=linux/amd64',
  },
  {
    message: '"node": executable file not found in $PATH',
    pattern: /exec: "?node"?: (executable file )?not found|"node": executable file not found/,
    cause: 'The image has no node on its path: Node is its entrypoint already.',
    fix: 'Give arguments alone, such as args: [dist/migrate.js], and no command',
  },
  {
    message: 'failed to start and listen on the port defined provided by the PORT=8080',
    pattern: /[Ff]ailed to start and (then )?listen on the port|STARTUP TCP probe failed|Container called exit\(/,
    cause: 'The container ended before it listened, or listens elsewhere (lesson 4). Its log, above, says why.',
    fix: 'Read the log for "The environment is not usable"; npm run test:container plays the same start',
  },
  {
    message: 'The environment is not usable',
    pattern: /The environment is not usable/,
    cause: 'A variable has a value that the service refuses. The lines behind it name it.',
    fix: 'Correct the repository variable (APP_…), the secret or deploy/service.yaml',
  },
  {
    message: 'Waiting for database … past DATABASE_STARTUP_WARN_AFTER_MS',
    pattern: /past DATABASE_STARTUP_WARN_AFTER_MS/,
    cause:
      'The database cannot be reached: wrong address, no roles/cloudsql.client, or it needs longer than the budget.',
    fix: 'The line itself has the reason. DEPLOYMENT.md, "Time to connect"',
  },
  {
    message: 'pending: run the migrations of this build',
    pattern: /pending: run the migrations|relation "\w+" does not exist/,
    cause: 'The database lacks migrations of this image.',
    fix: 'Deploy by the workflow, which runs them first',
  },
  {
    message: 'failed the configured startup probe checks / STARTUP HTTP probe failed',
    pattern: /failed the configured startup probe checks|STARTUP HTTP probe failed/,
    cause: 'The container listens, but was never ready within the window of its probe.',
    fix: 'The last lines of its log say what it waited for. DEPLOYMENT.md, "Time to connect"',
  },
  {
    message: 'LIVENESS HTTP probe failed',
    pattern: /LIVENESS HTTP probe failed|failed the configured liveness probe checks/,
    cause: 'The event loop stood still for the whole window of the probe, so Cloud Run killed the instance.',
    fix: 'Look in the log for what ran just before: long synchronous work belongs into a job, or in smaller pieces',
  },
  {
    message: 'READINESS HTTP probe failed',
    pattern: /READINESS HTTP probe failed|failed the configured readiness probe checks/,
    cause: 'The database has not answered the instance for the whole window of the probe.',
    fix: 'Look at the database: is it there, and has it connections left? DEPLOYMENT.md, "Connections"',
  },
  {
    message: 'Memory limit of 512 MiB exceeded / JavaScript heap out of memory',
    pattern: /Memory limit of .* exceeded|JavaScript heap out of memory|Reached heap limit/,
    cause: 'The instance needed more memory than it has, and ended with all its requests.',
    fix: 'Raise memory in deploy/service.yaml, and --max-old-space-size with it',
  },
  {
    message: 'The request was aborted because there was no available instance',
    pattern: /no available instance/,
    cause: 'All instances that maxScale allows were busy, or none started in time.',
    fix: 'Raise maxScale in deploy/service.yaml, as far as DEPLOYMENT.md, "Connections", allows',
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
    pattern: /password authentication failed|is not permitted to log in/,
    cause: 'The URL in the secret has another password than the role, or the role has none yet.',
    fix: 'Set the password again (\\password in psql), add the URL as a new version of the secret, deploy',
  },
  {
    message: 'database "…" does not exist',
    pattern: /database "[^"]+" does not exist/,
    cause: 'The URL in the secret names a database that the server does not have.',
    fix: 'Correct the URL, or make it: gcloud sql databases create NAME --instance=INSTANCE',
  },
  {
    message: 'no pg_hba.conf entry for host … no encryption',
    pattern: /no pg_hba\.conf entry/,
    cause: 'The database takes connections with TLS alone, or none from there.',
    fix: 'Add ?sslmode=require to the URL in the secret; on Cloud SQL use its socket, which needs none',
  },
  {
    message: 'remaining connection slots are reserved / too many clients already',
    pattern: /remaining connection slots are reserved|too many clients already|too many connections for/,
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
    message: 'cloudsql.instances.get / The client is not authorized to make this request',
    pattern:
      /cloudsql\.instances\.(get|connect)|client is not authorized to make this request|Cloud ?SQL connection failed|connect (ENOENT|ECONNREFUSED) \/cloudsql/i,
    cause:
      'No roles/cloudsql.client on the instance, the API sqladmin is off, or GCP_CLOUD_SQL_INSTANCE is not PROJECT:REGION:INSTANCE.',
    fix: 'Run deploy/bootstrap.sh again, with --cloud-sql INSTANCE',
  },
  {
    message: 'Connection terminated unexpectedly / read ECONNRESET',
    pattern: /Connection terminated unexpectedly|read ECONNRESET/,
    cause:
      'The database, or the network on the way to it, closed a connection: a restart, a failover, a long idle time.',
    fix: 'Once is nothing, since the pool opens another; if it goes on, look at the database’s own log',
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
 * @param {string} log any text, such as a step's output, or what GitHub gives for download
 * @returns {{ line: string, trouble: Trouble }[]} each known trouble once, with the first line that shows it
 */
export function explain(log) {
  const found = new Map();
  for (const line of linesOf(log)) {
    const trouble = TROUBLES.find(({ pattern }) => pattern.test(line));
    if (trouble && !found.has(trouble)) found.set(trouble, line);
  }
  return [...found].map(([trouble, line]) => ({ line, trouble }));
}

/** Without GitHub's times and marks and a terminal's colours; an answer in JSON over several lines is one line. */
function linesOf(log) {
  return stripVTControlCharacters(log)
    .replaceAll(/^\uFEFF?(?:\d{4}-\d\d-\d\dT[\d:.]+Z )?(?:##\[\w+\])?/gm, '')
    .replaceAll(/\{\r?\n\s*"error": \{[^]*?\n\}/g, (answer) => answer.replaceAll(/\s*\n\s*/g, ' '))
    .split(/\r?\n/)
    .map((line) => line.trim());
}
