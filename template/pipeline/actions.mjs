// The actions of the workflows, with their effects on later steps. They reject unknown inputs.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OTHERS } from '../standin/commands.mjs';
import { idToken, impersonate } from '../standin/permissions.mjs';
import { Refusal } from '../standin/refusal.mjs';

/** Actions by name: the inputs of action.yml, and a function that runs the action and returns its outputs. */
const ACTIONS = {
  'actions/checkout': {
    inputs: ['fetch-depth', 'persist-credentials', 'ref'],
    run({ repository, workspace }) {
      cpSync(repository, workspace, { recursive: true });
    },
  },
  'actions/setup-node': {
    inputs: ['cache', 'node-version', 'node-version-file', 'package-manager-cache', 'registry-url'],
    run({ inputs, workspace }) {
      const file = inputs['node-version-file'];
      if (file && !existsSync(join(workspace, file)))
        throw new Refusal(`The specified node version file at: ${file} does not exist`);
    },
  },
  'google-github-actions/auth': {
    inputs: [
      ...['access_token_lifetime', 'access_token_scopes', 'access_token_subject', 'audience', 'cleanup_credentials'],
      ...[
        'create_credentials_file',
        'credentials_json',
        'delegates',
        'export_environment_variables',
        'id_token_audience',
      ],
      ...['id_token_include_email', 'project_id', 'request_reason', 'service_account', 'token_format', 'universe'],
      'workload_identity_provider',
    ],
    run: signIn,
  },
  'google-github-actions/setup-gcloud': {
    inputs: ['cache', 'install_components', 'project_id', 'skip_install', 'version'],
    run: () => {},
  },
  'actions/upload-artifact': {
    inputs: [
      'compression-level',
      'if-no-files-found',
      'include-hidden-files',
      'name',
      'overwrite',
      'path',
      'retention-days',
    ],
    run({ inputs, cloud }) {
      if (!existsSync(inputs.path)) throw new Refusal(`No files were found with the provided path: ${inputs.path}.`);
      cloud.state.artifacts ??= {};
      cloud.state.artifacts[inputs.name] = readFileSync(inputs.path, 'utf8');
    },
  },
  'actions/attest': {
    inputs: [
      ...['create-storage-record', 'github-token', 'predicate', 'predicate-path', 'predicate-type', 'push-to-registry'],
      ...['sbom-path', 'show-summary', 'subject-checksums', 'subject-digest', 'subject-name', 'subject-path'],
    ],
    run({ inputs, job, claims, cloud }) {
      if (!/^sha256:[0-9a-f]{64}$/.test(inputs['subject-digest']))
        throw new Refusal('subject-digest must be in the format "sha256:<hex-digest>"');
      for (const permission of ['id-token', 'attestations']) {
        if (job.permissions[permission] !== 'write')
          throw new Refusal(`Error: Failed to persist attestation: the job has no ${permission}: write`);
      }
      cloud.state.attestations.push({
        repository: claims.repository,
        commit: claims.sha,
        workflow: claims.workflow_ref.split('@')[0],
        digest: inputs['subject-digest'],
      });
    },
  },
};

/** @throws {Refusal} with the message of the action */
export function act(uses, context) {
  const [name] = uses.split('@');
  const action = ACTIONS[name];
  if (!action) throw new Refusal(`The proofs do not support the action ${name}.`);
  const unknown = Object.keys(context.inputs).filter((input) => !action.inputs.includes(input));
  if (unknown.length > 0)
    throw new Refusal(
      `Unexpected input(s) '${unknown.join("', '")}', valid inputs are ['${action.inputs.join("', '")}']`,
    );
  return action.run(context) ?? {};
}

/** Signs in with the job's OIDC token, which GitHub issues to jobs with id-token: write. */
function signIn({ cloud, inputs, job, claims, workspace, exportVariable }) {
  const { workload_identity_provider: provider, service_account: email } = inputs;
  if (job.permissions['id-token'] !== 'write') {
    throw new Refusal(
      'google-github-actions/auth failed with: GitHub Actions did not inject $ACTIONS_ID_TOKEN_REQUEST_TOKEN or $ACTIONS_ID_TOKEN_REQUEST_URL into this job.',
    );
  }
  if (!/^projects\/\d+\/locations\/global\/workloadIdentityPools\/[^/]+\/providers\/[^/]+$/.test(provider)) {
    throw new Refusal(`google-github-actions/auth failed with: Invalid value for "audience": ${provider}`);
  }
  if (inputs.create_credentials_file !== 'false') {
    const file = join(
      workspace,
      `gha-creds-${createHash('sha256').update(claims.run_id).digest('hex').slice(0, 16)}.json`,
    );
    writeFileSync(`${file}.token`, JSON.stringify(claims));
    writeFileSync(
      file,
      JSON.stringify({
        type: 'external_account',
        audience: `//iam.googleapis.com/${provider}`,
        credential_source: { file: `${file}.token` },
        service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${email}:generateAccessToken`,
      }),
    );
    if (inputs.export_environment_variables !== 'false') {
      exportVariable('CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE', file);
      exportVariable('GOOGLE_APPLICATION_CREDENTIALS', file);
    }
  }
  if (!inputs.token_format) return {};
  if (inputs.token_format !== 'id_token')
    throw new Refusal(`The proofs do not know token_format ${inputs.token_format}.`);
  try {
    impersonate(cloud.state, provider, claims, email, OTHERS['an ID token']);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal(
      `google-github-actions/auth failed with: Failed to generate Google Cloud ID token for ${email}: ${error.message}`,
    );
  }
  return { id_token: idToken(email, inputs.id_token_audience, inputs.id_token_include_email === 'true') };
}
