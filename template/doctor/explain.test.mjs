// `npm run doctor -- --explain`: messages as people have reported them, and as the pipeline prints them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { explain, knownMessages } from '../../tools/doctor/explain.mjs';

/** Lines of logs, and how the message starts that explains them. */
const CASES = [
  // The project
  [
    'ERROR: (gcloud.run.services.replace) PERMISSION_DENIED: Cloud Run Admin API has not been used in project 123 before or it is disabled. Enable it by visiting https://example.com then retry.',
    'API […]',
  ],
  [
    "ERROR: (gcloud.services.enable) FAILED_PRECONDITION: Billing account for project '123' is not found. Billing must be enabled for activation of service(s) to proceed.",
    'billing account',
  ],
  [
    '##[error]Repository variables are missing: GCP_REGION. deploy/bootstrap.sh prints them, and sets them with --set-vars.',
    'Repository variables',
  ],
  // The sign-in: google-github-actions/auth
  [
    'Error: google-github-actions/auth failed with: GitHub Actions did not inject $ACTIONS_ID_TOKEN_REQUEST_TOKEN or $ACTIONS_ID_TOKEN_REQUEST_URL into this job.',
    'did not inject',
  ],
  ['Error: Action failed with error: Error: $ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set', 'did not inject'],
  [
    'Error: google-github-actions/auth failed with: failed to generate Google Cloud federated token for //iam.googleapis.com/***: {"error":"unauthorized_client","error_description":"The given credential is rejected by the attribute condition."}',
    'The given credential is rejected',
  ],
  [
    'failed to generate Google Cloud federated token for p: {"error":"invalid_request","error_description":"Invalid value for \\"audience\\". This value should be the full resource name of the Identity Provider."}',
    'Invalid value for "audience"',
  ],
  [
    'ERROR: gcloud crashed (OAuthError): (\'Error code invalid_request: Invalid value for "audience". This value should be the full resource name of the Identity Provider.\')',
    'Invalid value for "audience"',
  ],
  [
    'ERROR: (gcloud.config.set) There was a problem refreshing your current auth tokens: (\'Error code invalid_target: The target service indicated by the "audience" parameters is invalid. This might either be because the pool or provider is disabled or deleted\')',
    'The target service',
  ],
  [
    '{"error":"invalid_request","error_description":"The size of mapped attribute google.subject exceeds the 127 bytes limit."}',
    'The size of mapped attribute',
  ],
  ['The size of mapped attribute exceeds the 127 bytes limit.', 'The size of mapped attribute'],
  [
    'failed to generate Google Cloud federated token for p: {"error":"invalid_grant","error_description":"The issuer in ID Token does not match the expected ones"}',
    'Failed to generate Google Cloud federated token',
  ],
  [
    '    "message": "Permission \'iam.serviceAccounts.getAccessToken\' denied on resource (or it may not exist).",',
    "Permission 'iam.serviceAccounts.getAccessToken'",
  ],
  [
    'ERROR: (gcloud.auth.print-identity-token) Invalid account type for `--audiences`. Requires valid service account.',
    'Invalid account type',
  ],
  // The build
  [
    '::error title=build::The builder cloud-build needs GCP_BUILD_ACCOUNT, GCP_BUILD_BUCKET and GCP_BUILD_LOG_BUCKET. Rerun deploy/bootstrap.sh with --with-cloud-build.',
    'The builder cloud-build needs',
  ],
  [
    'the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled',
    'the --mount option',
  ],
  [
    'ERROR: (gcloud.builds.submit) The user is forbidden from accessing the bucket [my-project_cloudbuild]. Please check your organization\'s policy or if the user has the "serviceusage.services.use" permission.',
    'The user is forbidden',
  ],
  [
    'Caller does not have required permission to use project my-project. Grant the caller the roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission',
    'The user is forbidden',
  ],
  [
    'This tool can only stream logs if you are Viewer/Owner of the project and, if applicable, allowed by your VPC-SC security policy.',
    'This tool can only stream',
  ],
  [
    "ERROR: (gcloud.builds.submit) HTTPError 403: <?xml version='1.0'?><Error><Details>ci@p.iam.gserviceaccount.com does not have storage.objects.get access to 43928094282.cloudbuild-logs.googleusercontent.com/log-6a78.txt.</Details></Error>",
    'This tool can only stream',
  ],
  [
    'Unfortunately, the default logs bucket is always outside any VPC-SC security perimeter, so this tool cannot stream the logs for you.',
    'This tool can only stream',
  ],
  [
    'orders-build@p.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object.',
    'does not have storage.objects.get',
  ],
  [
    'ERROR: (gcloud.builds.submit) PERMISSION_DENIED: caller does not have permission to act as service account projects/p/serviceAccounts/orders-build@p.iam.gserviceaccount.com',
    'caller does not have permission to act',
  ],
  [
    'ERROR: (gcloud.builds.submit) PERMISSION_DENIED: The caller does not have permission. This command is authenticated as a@b which is the active account',
    '(gcloud.builds.submit)',
  ],
  [
    'denied: Unauthenticated request. Unauthenticated requests do not have permission "artifactregistry.repositories.uploadArtifacts" on resource "projects/p/locations/l/repositories/r" (or it may not exist)',
    'Unauthenticated request',
  ],
  [
    'ERROR: failed to push asia-south2-docker.pkg.dev/p: failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden',
    'Unauthenticated request',
  ],
  [
    'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/p/locations/us-central1/repositories/r" (or it may not exist)',
    "Permission 'artifactregistry.repositories.uploadArtifacts'",
  ],
  [
    'denied: Permission "artifactregistry.repositories.downloadArtifacts" denied on resource "projects/p/locations/l/repositories/r" (or it may not exist)',
    "Permission 'artifactregistry.repositories.get'",
  ],
  [
    "ERROR: (gcloud.run.deploy) PERMISSION_DENIED: Permission 'artifactregistry.repositories.get' denied on resource '//artifactregistry.googleapis.com/projects/p' (or it may not exist).",
    "Permission 'artifactregistry.repositories.get'",
  ],
  ['ERROR: Permission denied while accessing Artifact Registry.', "Permission 'artifactregistry.repositories.get'"],
  [
    'Google Cloud Run Service Agent service-123@serverless-robot-prod.iam.gserviceaccount.com must have permission to read the image, europe-west1-docker.pkg.dev/p/r/i.',
    'Google Cloud Run Service Agent',
  ],
  ['name unknown: Repository "orders" not found', 'Repository "…" not found'],
  ["Repository 'orders' not found", 'Repository "…" not found'],
  [
    "ERROR: (gcloud.run.deploy) Revision 'a-00042-fow' is not ready and cannot serve traffic. Image 'gcr.io/p/a:latest' not found.",
    'Image … not found',
  ],
  ['Error: No credentials found for registry europe-west1-docker.pkg.dev', 'No credentials found'],
  ["##[warning]Skip output 'image-uri' since it may contain secret.", "Skip output '…'"],
  [
    "::error title=migrate::Expected an image digest, got ''. GitHub drops an output that contains the text of a secret: check the repository's secrets.",
    "Skip output '…'",
  ],
  // The project and the repository
  [
    'The job was not started because recent account payments have failed or your spending limit needs to be increased.',
    'not started because',
  ],
  [
    "HTTP 422: Workflow does not have 'workflow_dispatch' trigger (https://api.github.com/repos/o/r/actions/workflows/1/dispatches)",
    'Workflow does not have',
  ],
  [
    'ERROR: (gcloud.run.services.add-iam-policy-binding) FAILED_PRECONDITION: One or more users named in the policy do not belong to a permitted customer.',
    'do not belong to a permitted customer',
  ],
  [
    'ERROR: (gcloud.run.services.replace) spec.template.metadata.annotations[autoscaling.knative.dev/maxScale]: Quota exceeded for total allowable CPU per project per region.',
    'Quota exceeded',
  ],
  // Cloud Run
  [
    "ERROR: (gcloud.run.deploy) PERMISSION_DENIED: Permission 'iam.serviceaccounts.actAs' denied on service account a@p.iam.gserviceaccount.com (or it may not exist). This command is authenticated as b@p.iam.gserviceaccount.com",
    "Permission 'iam.serviceaccounts.actAs'",
  ],
  [
    "ERROR: (gcloud.run.deploy) PERMISSION_DENIED: Permission 'run.services.get' denied on resource 'namespaces/***/services/***' (or resource may not exist).",
    "Permission 'run.services.get'",
  ],
  [
    "PERMISSION_DENIED: Permission 'run.operations.get' denied on resource 'projects/p' (or resource may not exist).",
    "Permission 'run.services.get'",
  ],
  [
    'spec.template.spec.containers[0].env[0].value_from.secret_key_ref.name: Permission denied on secret: projects/1/secrets/s/versions/latest for Revision service account a@b.',
    'Permission denied on secret',
  ],
  [
    "Permission 'secretmanager.versions.access' denied for resource 'projects/p/secrets/HF/versions/latest' (or it may not exist).",
    'Permission denied on secret',
  ],
  [
    '::error title=candidate::The secret orders-database-url has no enabled version. Run: gcloud secrets versions add',
    'The secret … has no enabled version',
  ],
  [
    'env[7].value_from.secret_key_ref.name: Secret projects/123/secrets/orders-database-url/versions/3 was not found',
    'The secret … has no enabled version',
  ],
  [
    "PERMISSION_DENIED: Permission 'logging.logEntries.list' denied on resource (or it may not exist).",
    'logging.logEntries.list',
  ],
  ['terminated: Application failed to start: failed to load /nodejs/bin/node: exec format error', 'exec format error'],
  ['exec: "node": executable file not found in $PATH', '"node": executable file not found'],
  [
    "ERROR: (gcloud.run.deploy) Revision 'm-00002-dj9' is not ready and cannot serve traffic. The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout.",
    'failed to start and listen',
  ],
  [
    'Cloud Run error: Container failed to start. Failed to start and then listen on the port defined by the PORT environment variable.',
    'failed to start and listen',
  ],
  [
    'Default STARTUP TCP probe failed 1 time consecutively for container "scim" on port 3002. The instance was not started.',
    'failed to start and listen',
  ],
  ['Invalid configuration:', 'Invalid configuration'],
  [
    'Waiting for database app at db:5432 for 53 s, past DATABASE_STARTUP_WARN_AFTER_MS (30000 ms): connect ECONNREFUSED',
    'Waiting for database',
  ],
  ['2 pending: run the migrations of this build', 'pending: run the migrations'],
  ['error: relation "orders" does not exist', 'pending: run the migrations'],
  [
    'The user-provided container failed the configured startup probe checks. Logs for this revision might contain more information.',
    'failed the configured startup probe',
  ],
  [
    'STARTUP HTTP probe failed 66 times consecutively for container "app" on port 8080 path "/health/startup".',
    'failed the configured startup probe',
  ],
  [
    'LIVENESS HTTP probe failed 3 times consecutively for container "app" on port 8080 path "/health/live".',
    'LIVENESS HTTP probe',
  ],
  [
    'READINESS HTTP probe failed 3 times consecutively for container "app" on port 8080 path "/health/ready".',
    'READINESS HTTP probe',
  ],
  ['Memory limit of 512 MiB exceeded with 516 MiB used. Consider increasing the memory limit', 'Memory limit'],
  ['Memory limit of 512M exceeded with 526M used.', 'Memory limit'],
  ['FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory', 'Memory limit'],
  ['The request was aborted because there was no available instance.', 'The request was aborted'],
  ['ERROR: (gcloud.run.services.replace) Failed to parse value(s) in protobuf [Service]:', 'Failed to parse value(s)'],
  [
    "ALREADY_EXISTS: Revision named 'orders-c0ffee0-1-1' with different configuration already exists.",
    'with different configuration',
  ],
  ['::error title=candidate::The traffic is split (a 90;b 10;). Run the Rollback workflow', 'The traffic is split'],
  [
    '::error title=smoke::GET /health/startup of the candidate returned 403 instead of 200: <html>',
    'Your client does not have permission',
  ],
  [
    '::error title=smoke::GET /health/startup of the candidate returned 404 instead of 200: <html>',
    'of the candidate returned 404',
  ],
  // The database
  ['password authentication failed for user "orders_runtime"', 'password authentication failed'],
  ['error: role "orders_runtime" is not permitted to log in', 'password authentication failed'],
  ['error: database "orders" does not exist', 'database "…" does not exist'],
  ['no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", no encryption', 'no pg_hba.conf entry'],
  [
    'FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute',
    'remaining connection slots',
  ],
  ['error: sorry, too many clients already', 'remaining connection slots'],
  ['QueryFailedError: permission denied for schema public', 'permission denied for schema'],
  [
    'Cloud SQL connection failed. Please see https://example.com for additional details: googleapi: Error 403: Not authorized to access resource. Possibly missing permission cloudsql.instances.get on resource instances/main., notAuthorized',
    'cloudsql.instances.get',
  ],
  ['googleapi: Error 403: The client is not authorized to make this request., notAuthorized', 'cloudsql.instances.get'],
  ['connect ENOENT /cloudsql/p:r:main/.s.PGSQL.5432', 'cloudsql.instances.get'],
  ['Error: Connection terminated unexpectedly', 'Connection terminated'],
  ['Error: read ECONNRESET', 'Connection terminated'],
  ['Error: getaddrinfo ENOTFOUND db.example', 'EAI_AGAIN'],
  ['Error: connect ECONNREFUSED 10.0.0.1:5432', 'EAI_AGAIN'],
];

describe('explains', () => {
  for (const [line, expected] of CASES) {
    test(line, () => {
      const [found, ...others] = explain(`before\n${line}\nafter`);
      assert.ok(found?.message.startsWith(expected), found?.message);
      assert.deepEqual(others, []);
    });
  }

  test('every entry of docs/deployment/troubleshooting.md has a case', () => {
    const explained = new Set(CASES.map(([line]) => explain(line)[0]?.message));
    const missing = knownMessages().filter(({ message }) => !explained.has(message));
    assert.deepEqual(missing, []);
    const headings = readFileSync('docs/deployment/troubleshooting.md', 'utf8').match(/^### /gm);
    assert.equal(knownMessages().length, headings.length);
  });

  for (const [title, message, reason] of [
    ['an error response in JSON', 'iam.serviceAccounts.getAccessToken', 'The caller does not have permission'],
    [
      'the reason in it instead of its beginning',
      'has not been used in project',
      'IAM Service Account Credentials API has not been used in project 123 before or it is disabled.',
    ],
  ]) {
    test(`a log downloaded from GitHub: ${title}`, () => {
      const lines = [
        'Error: google-github-actions/auth failed with: failed to generate Google Cloud OAuth 2.0 Access Token for a@p.iam.gserviceaccount.com: {',
        '  "error": {',
        '    "code": 403,',
        `    "message": "${reason}",`,
        '    "status": "PERMISSION_DENIED"',
        '  }',
        '}',
        '##[error]Process completed with exit code 1.',
      ];
      const found = explain(lines.map((line) => `2026-04-13T19:07:51.8298951Z ${line}`).join('\r\n'));
      assert.equal(found.length, 1);
      assert.ok(found[0].message.includes(message), found[0].message);
    });
  }

  test('nothing in a log without a known message', () => {
    const log = `
    npm warn deprecated inflight@1.0.6: This module is not supported
    added 729 packages in 27s
    Step 8/16 : RUN npm ci --omit=dev
    Successfully tagged europe-west1-docker.pkg.dev/p/r/i:c0ffee0
    The push refers to repository [europe-west1-docker.pkg.dev/p/r/i]
    c0ffee0: digest: sha256:0000 size: 2204
    Permission 'storage' is fine; permission denied (publickey).
    PASS test/platform/health.e2e-spec.ts (the database does not exist yet, and the port is 8080)
    Executing job orders-migrate... Done. Execution [orders-migrate-x] has successfully completed.
    ERROR: (gcloud.run.jobs.execute) The execution failed.
    ERROR: Forbidden
    Error: Process completed with exit code 1.
    GET /health/startup: 200
    All traffic is back at orders-1; orders-2 has none.`;
    assert.deepEqual(explain(log), []);
  });

  test('each message once, in the order of the log', () => {
    const log = `error: sorry, too many clients already\nerror: read ECONNRESET\nerror: sorry, too many clients already`;
    assert.deepEqual(
      explain(log).map(({ line }) => line),
      ['error: sorry, too many clients already', 'error: read ECONNRESET'],
    );
  });
});

describe('prints', () => {
  const run = (input, ...args) =>
    spawnSync(process.execPath, ['tools/doctor/doctor.mjs', '--explain', ...args], { input, encoding: 'utf8' });
  const log = '\u001B[31merror: sorry, too many clients already\u001B[0m\n';
  const [{ message, cause, fix }] = explain(log);

  test('text, and ends with 0', () => {
    const { status, stdout } = run(log);
    assert.equal(status, 0);
    assert.equal(
      stdout,
      `${message}\n  line:   error: sorry, too many clients already\n  cause:  ${cause}\n  fix:    ${fix}\n\n`,
    );
  });

  test('Markdown with --markdown', () => {
    const { stdout } = run(log, '--markdown');
    assert.equal(stdout, `**${message}**\n\n> error: sorry, too many clients already\n\n${cause} ${fix}\n\n`);
  });

  test('where to look when no message is known', () => {
    assert.match(run('all is well').stdout, /^No known message in this log/);
  });
});
