// Cloud Run: the outcome of a revision or an execution, from its manifest, its account and the behavior of its image.
import { Refusal } from './refusal.mjs';
import { allows, ask } from './permissions.mjs';
import { OTHERS } from './commands.mjs';
import { resource } from './resources.mjs';
import { SAMPLES, log } from './state.mjs';

/**
 * Faults of the image of a commit, which a test sets in `state.behaviours`.
 *
 * @typedef {object} Behaviour
 * @property {string} [neverListens] the process exits before it listens; the log contains this line
 * @property {string} [neverReady] the startup probe never succeeds; the log contains this line
 * @property {string} [tells] the commit in its responses, instead of the deployed commit
 * @property {Record<string, number>} [answers] the response status by path, at every address
 * @property {number} [failing] the share of requests to the service's address that return 500
 * @property {string} [migration] the migrations fail; the log contains this line
 */

/** @returns {Behaviour} */
export function behaviourOf(state, image) {
  return state.behaviours[commitOf(state, image)] ?? {};
}

export const commitOf = (state, image) => state.images[image.split('@')[1]]?.commit;

/** Returns whether the service is public. A manifest has 'true', gcloud writes 'True'. */
export const isOpen = (annotations) => annotations['run.googleapis.com/invoker-iam-disabled']?.toLowerCase() === 'true';

const POSTGRES = 'docker.io/library/postgres:';
const isPublic = (image) => image.startsWith(SAMPLES) || image.startsWith(POSTGRES);

/** REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME:TAG or @DIGEST */
export function imageName(image) {
  const [, location, project, repository, name, tag, digest] =
    /^([a-z0-9-]+)-docker\.pkg\.dev\/([^/]+)\/([^/]+)\/([^/:@]+)(?::([\w.-]+)|@(sha256:[0-9a-f]{64}))?$/.exec(image) ??
    [];
  if (!location) throw new Refusal(`The stand-in does not support the image ${image}.`);
  return { location, project, repository, name, tag, digest };
}

/** Returns the repository in which the deployer needs read permission; undefined for Google's samples. */
export function imageRepository(state, image) {
  if (isPublic(image)) return undefined;
  const { location, project, repository } = imageName(image);
  return resource(state, 'repository', project, `${location}/${repository}`);
}

export function checkImage(state, image) {
  if (isPublic(image)) return;
  const { name, tag, digest } = imageName(image);
  const versions = imageRepository(state, image).object?.packages[name];
  if (!versions?.versions[digest ?? versions.tags[tag]]) throw new Refusal(`Image '${image}' not found.`);
}

/** Returns the reason why a revision of this template is not ready; undefined if it is ready. */
export function start(state, project, template, logTo) {
  const refused = prepare(state, project, template, logTo);
  if (refused) return refused;
  const { neverListens, neverReady } = behaviourOf(state, template.spec.containers[0].image);
  if (neverListens) logTo({ severity: 'ERROR', textPayload: neverListens });
  if (neverReady) logTo({ severity: 'ERROR', jsonPayload: { message: neverReady } });
  return (neverListens && NOT_LISTENING) || (neverReady && PROBE_FAILED);
}

/** Returns the reason why a container of this template cannot start: a missing secret or instance, or a missing permission. */
export function prepare(state, project, { metadata, spec }, logTo) {
  const [container] = spec.containers;
  for (const [index, { valueFrom }] of (container.env ?? []).entries()) {
    const refused = valueFrom && secretRefusal(state, project, spec.serviceAccountName, valueFrom.secretKeyRef, index);
    if (refused) return refused;
  }
  for (const { secret } of spec.volumes ?? []) {
    const refused = secretRefusal(state, project, spec.serviceAccountName, secret, 0);
    if (refused) return refused;
  }
  for (const connection of (metadata?.annotations?.['run.googleapis.com/cloudsql-instances'] || '')
    .split(',')
    .filter(Boolean)) {
    const [owner, , name] = connection.split(':');
    const instance = resource(state, 'instance', owner, name);
    try {
      if (!instance.object) throw new Refusal('HTTPError 404');
      ask(spec.serviceAccountName, OTHERS['a revision or an execution'], { instance });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      logTo({
        severity: 'ERROR',
        textPayload: `Cloud SQL connection failed. Please see https://cloud.google.com/sql/docs/postgres/connect-run for additional details: ensure that the account has access to "${connection}" (and make sure there's no typo in that name). Error during instance metadata fetch: googleapi: Error 403: Not authorized to access resource. Possibly missing permission cloudsql.instances.get on resource instances/${name}., notAuthorized`,
      });
      return PROBE_FAILED;
    }
  }
  return undefined;
}

const LOGS = 'Logs for this revision might contain more information.';
const PROBE_FAILED = `The user-provided container failed the configured startup probe checks. ${LOGS}`;
const NOT_LISTENING = `The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout. This can happen when the container port is misconfigured or if the timeout is too short. The health check timeout can be extended. ${LOGS}`;

function secretRefusal(state, project, account, { name, key }, index) {
  const secret = resource(state, 'secret', project.id, name);
  const version = `projects/${project.number}/secrets/${name}/versions/${key}`;
  const field = `spec.template.spec.containers[0].env[${index}].value_from.secret_key_ref.name`;
  if (!allows(account, 'secretmanager.versions.access', secret)) {
    return `${field}: Permission denied on secret: ${version} for Revision service account ${account}. The service account used must be granted the 'Secret Manager Secret Accessor' role (roles/secretmanager.secretAccessor) at the secret, project or higher level.`;
  }
  return versionOf(secret.object, key)?.state === 'ENABLED' ? undefined : `${field}: Secret ${version} was not found`;
}

const versionOf = ({ versions }, key) => (key === 'latest' ? Object.values(versions).at(-1) : versions[key]);

/**
 * Runs the mounted script of a job with psql: sets the passwords of its ALTER ROLE statements, if it has the
 * administrator's. The test of the real script runs it on PostgreSQL.
 */
function runSql(project, { metadata, spec }, logTo) {
  const [, , instance] = metadata.annotations['run.googleapis.com/cloudsql-instances'].split(':');
  const { users } = project.instances[instance];
  const { path, secret } = spec.template.spec.volumes[0];
  if (spec.template.spec.containers[0].args !== path) return false;
  const script = versionOf(project.secrets[secret.name], secret.key).value;
  if (/PGPASSWORD=(\w+)/.exec(script)?.[1] !== users.postgres) {
    logTo({ severity: 'ERROR', textPayload: 'FATAL:  password authentication failed for user "postgres"' });
    return false;
  }
  for (const [, user, password] of script.matchAll(/ALTER ROLE (\w+) PASSWORD '(\w+)'/g)) users[user] = password;
  return true;
}

/** Executes a job. Returns whether it succeeded. */
export function execute(state, project, job, name, { location, execution }) {
  const { metadata, spec } = job.template;
  const logTo = (line) =>
    log(state, project, {
      logName: `projects/${project.id}/logs/run.googleapis.com%2Fstderr`,
      resource: { type: 'cloud_run_job', labels: { job_name: name, location, project_id: project.id } },
      labels: { 'run.googleapis.com/execution_name': execution },
      ...line,
    });
  const reason = prepare(state, project, { metadata, spec: spec.template.spec }, logTo);
  const { migration } = behaviourOf(state, spec.template.spec.containers[0].image);
  if (migration) logTo({ severity: 'ERROR', jsonPayload: { message: migration } });
  if (!reason && spec.template.spec.containers[0].image.startsWith(POSTGRES))
    return runSql(project, job.template, logTo);
  return !reason && !migration;
}
