// Authentication and authorization. A permission check reads the policies of the resource and of its project.
import { existsSync, readFileSync } from 'node:fs';
import { OTHERS } from './commands.mjs';
import { evaluate } from './expressions.mjs';
import { Refusal } from './refusal.mjs';
import { apiIsOff, apiOf, denial, resource } from './resources.mjs';
import { ROLES } from './roles.mjs';
import { projectOf } from './state.mjs';

export const isServiceAccount = (email) => email.endsWith('.gserviceaccount.com');
const memberOf = (email) =>
  email.includes('://') ? email : `${isServiceAccount(email) ? 'serviceAccount' : 'user'}:${email}`;

export function allows(caller, permission, { object, project, service, fullName }) {
  const members = new Set(['allUsers', ...(caller ? ['allAuthenticatedUsers', memberOf(caller)] : [])]);
  const policies = [...(object?.policy ?? []), ...(project && project !== object ? project.policy : [])];
  return policies.some(
    ({ role, members: granted, condition }) =>
      granted.some((member) => members.has(member)) &&
      includes(role, permission) &&
      (!condition || evaluate(condition.expression, { resource: { service, name: fullName } }) === true),
  );
}

function includes(role, permission) {
  const { permissions } = ROLES[role] ?? {};
  if (!permissions) throw new Refusal(`The stand-in does not support ${role}: add it to roles.mjs`);
  // An owner can grant this permission, but does not have it.
  const isOwned = permissions.includes('*') && permission !== 'iam.serviceAccounts.getAccessToken';
  return isOwned || permissions.includes(permission);
}

/** For a user, gcloud's own project has the quota of calls about projects and services; for a service account, its project. */
function needsApi(api, caller) {
  return (
    !['serviceusage', 'cloudresourcemanager'].includes(api) ||
    (api === 'cloudresourcemanager' && isServiceAccount(caller))
  );
}

/** @throws {Refusal} with the API's message if the API is disabled or the caller lacks the permission */
export function authorize(caller, permission, on) {
  const api = apiOf(permission);
  if (on.project && needsApi(api, caller) && !on.project.apis.includes(`${api}.googleapis.com`)) {
    throw new Refusal(apiIsOff(api, on.project));
  }
  if (!allows(caller, permission, on)) throw new Refusal(denial(permission, on, caller));
}

/**
 * Checks the permissions of an entry in commands.mjs for the given resources.
 *
 * @throws {Refusal}
 */
export function ask(caller, permissions, places) {
  for (const [permission, where] of permissions) if (places[where]) authorize(caller, permission, places[where]);
}

// ── Signing in ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Returns gcloud's active account: of the credential file in the environment, the impersonated one, or the operator. */
export function callerOf(state, environment) {
  const file = environment.CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE;
  const impersonated = environment.CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT;
  if (!file && impersonated) {
    const [[permission]] = OTHERS['an access token'];
    const account = resource(state, 'account', impersonated.split('@')[1].split('.')[0], impersonated);
    if (!allows(state.operator, permission, account))
      throw new Refusal(
        `PERMISSION_DENIED: Failed to impersonate [${impersonated}]. Make sure the account that's trying to impersonate it has access to the service account itself and the "roles/iam.serviceAccountTokenCreator" role. Permission '${permission}' denied on resource (or it may not exist).`,
      );
    return impersonated;
  }
  if (!file) return state.operator;
  if (!existsSync(file))
    throw new Refusal(`Unable to read file [${file}]: [Errno 2] No such file or directory: '${file}'`);
  const credential = JSON.parse(readFileSync(file, 'utf8'));
  const email = /serviceAccounts\/(.+):generateAccessToken$/.exec(credential.service_account_impersonation_url)[1];
  const assertion = JSON.parse(readFileSync(credential.credential_source.file, 'utf8'));
  impersonate(
    state,
    credential.audience.replace('//iam.googleapis.com/', ''),
    assertion,
    email,
    OTHERS['an access token'],
  );
  return email;
}

/** Exchanges a workflow's token at the Security Token Service, then impersonates the service account. */
export function impersonate(state, provider, assertion, email, [[permission]]) {
  const principals = exchange(state, provider, assertion);
  const account = resource(state, 'account', email.split('@')[1].split('.')[0], email);
  if (account.project && !account.project.apis.includes('iamcredentials.googleapis.com')) {
    throw refresh(403, apiIsOff('iamcredentials', account.project).replace('PERMISSION_DENIED: ', ''));
  }
  if (!principals.some((principal) => allows(principal, permission, account))) {
    throw refresh(403, `Permission '${permission}' denied on resource (or it may not exist).`);
  }
}

/** Returns the principals of the token. https://docs.cloud.google.com/iam/docs/workload-identity-federation */
function exchange(state, name, assertion) {
  const [, number, poolName, providerName] =
    /^projects\/(.+)\/locations\/global\/workloadIdentityPools\/(.+)\/providers\/(.+)$/.exec(name) ?? [];
  const project = projectOf(state, number);
  const pool = project?.number === number && project.pools[poolName];
  const provider = pool && pool.providers[providerName];
  if (!pool || pool.state !== 'ACTIVE' || !provider || provider.state !== 'ACTIVE') {
    throw token(
      'invalid_target',
      `The target service indicated by the "audience" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn't exist.`,
    );
  }
  if (!project.apis.includes('sts.googleapis.com')) throw refresh(403, apiIsOff('sts', project));
  if (assertion.iss !== provider.oidc.issuerUri)
    throw token(
      'invalid_grant',
      `The issuer in ID Token ${assertion.iss} does not match the expected ones: ${provider.oidc.issuerUri}`,
    );
  if (evaluate(provider.attributeCondition, { assertion }) !== true) {
    throw token('unauthorized_client', 'The given credential is rejected by the attribute condition.');
  }
  const root = `iam.googleapis.com/projects/${number}/locations/global/workloadIdentityPools/${poolName}`;
  return Object.entries(provider.attributeMapping).map(([key, expression]) => {
    const value = evaluate(expression, { assertion });
    if (value === undefined) throw token('invalid_grant', `Failed to evaluate the mapping of ${key}: no such key.`);
    if (String(value).length > 127)
      throw token('invalid_request', `The size of mapped attribute ${key} exceeds the 127 bytes limit.`);
    return key === 'google.subject' ? `principal://${root}/subject/${value}` : `principalSet://${root}/${key}/${value}`;
  });
}

const token = (error, description) =>
  new Refusal(
    `There was a problem refreshing your current auth tokens: ('Error code ${error}: ${description}', '${JSON.stringify({ error, error_description: description })}')`,
  );
const refresh = (code, message) =>
  new Refusal(
    `There was a problem refreshing your current auth tokens: ('Unable to acquire impersonated credentials', '${JSON.stringify({ error: { code, message, status: 'PERMISSION_DENIED' } })}')`,
  );

// ── ID tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Returns an ID token with a placeholder as the signature, which only the stand-in accepts. */
export function idToken(email, audience, withEmail) {
  const claims = {
    iss: 'https://accounts.google.com',
    aud: audience,
    sub: email,
    ...(withEmail ? { email, email_verified: true } : {}),
  };
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}.standin`;
}

export function claimsOf(header) {
  const [, payload, signature] = /^Bearer [\w-]+\.([\w-]+)\.(\w*)$/i.exec(header ?? '') ?? [];
  return signature === 'standin' ? JSON.parse(Buffer.from(payload, 'base64url')) : undefined;
}

/** Returns an access token that only the stand-in accepts. */
export const accessToken = (email) => `standin.${Buffer.from(email).toString('base64url')}`;

export function accountOfToken(header) {
  const [, email] = /^Bearer standin\.([\w-]+)$/.exec(header ?? '') ?? [];
  return email && Buffer.from(email, 'base64url').toString();
}
