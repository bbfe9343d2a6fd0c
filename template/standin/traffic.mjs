// Handles requests to the address of a service or of a traffic tag: Google's front end, then a revision.
import { OTHERS } from './commands.mjs';
import { ask, claimsOf } from './permissions.mjs';
import { behaviourOf, commitOf, isOpen, prepare } from './platform.mjs';
import { Refusal } from './refusal.mjs';
import { resource } from './resources.mjs';
import { SAMPLES, log, projectOf } from './state.mjs';

const FORBIDDEN = `<html><head><meta http-equiv="content-type" content="text/html;charset=utf-8"><title>403 Forbidden</title></head><body text=#000000 bgcolor=#ffffff><h1>Error: Forbidden</h1><h2>Your client does not have permission to get URL <code>/</code> from this server.</h2></body></html>`;
const NOT_FOUND = `<html><head><title>404 Page not found</title></head><body><h1>Error: Page not found</h1><h2>The requested URL was not found on this server.</h2></body></html>`;

/** [TAG---]SERVICE-PROJECT_NUMBER.REGION.run.localhost */
const HOST = /^(?:(.+?)---)?(.+)-(\d+)\.([a-z0-9-]+)\.run\.localhost(?::\d+)?$/;

/** @returns {{ status: number, body: string }} */
export function answer(cloud, { host, path, headers }) {
  const { state } = cloud;
  const [, tag, name, number, region] = HOST.exec(host) ?? [];
  const project = projectOf(state, number);
  const service = project?.services[`${region}/${name}`];
  const revisionName = service && choose(service, tag);
  if (!revisionName || (service.annotations['run.googleapis.com/ingress'] ?? 'all') !== 'all')
    return { status: 404, body: NOT_FOUND };

  const url = cloud.serviceUrl(number, region, name);
  const answered = mayCall(state, project, service, `${region}/${name}`, url, headers)
    ? respond(state, project, service.revisions[revisionName].template, path, headers, { isLive: !tag })
    : { status: 403, body: FORBIDDEN };
  log(state, project, {
    logName: `projects/${project.id}/logs/run.googleapis.com%2Frequests`,
    severity: answered.status < 500 ? 'INFO' : 'ERROR',
    httpRequest: {
      requestMethod: 'GET',
      requestUrl: `http://${host}${path}`,
      status: answered.status,
      userAgent: headers['user-agent'],
    },
    resource: {
      type: 'cloud_run_revision',
      labels: { service_name: name, revision_name: revisionName, location: region, project_id: project.id },
    },
  });
  return answered;
}

/** Selects the revision by tag or traffic split. Of 100 requests, each revision serves exactly its percentage, interleaved. */
function choose(service, tag) {
  if (tag) return service.statusTraffic.find((target) => target.tag === tag)?.revisionName;
  service.requests = (service.requests ?? 0) + 1;
  let place = (service.requests * 37) % 100;
  return service.statusTraffic.find(({ percent = 0 }) => (place -= percent) < 0)?.revisionName;
}

function mayCall(state, project, service, name, url, headers) {
  if (isOpen(service.annotations)) return true;
  const claims = claimsOf(headers['x-serverless-authorization'] ?? headers.authorization);
  const caller = claims?.aud === url ? claims.sub : undefined;
  try {
    ask(caller, OTHERS['a call'], { service: resource(state, 'service', project.id, name) });
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

/** Returns the response of this repository's service or of Google's sample. Each request starts an instance. */
function respond(state, project, template, path, headers, { isLive }) {
  if (prepare(state, project, template, () => {})) return { status: 503, body: 'Service Unavailable' };
  const [{ image, env = [] }] = template.spec.containers;
  if (image.startsWith(SAMPLES))
    return { status: 200, body: '<!doctype html><title>Congratulations | Cloud Run</title>' };
  const { answers, failing = 0, tells: told, tellsLive } = behaviourOf(state, image);
  const tells = (isLive && path === '/' && tellsLive?.shift()) || told;
  state.requests = (state.requests ?? 0) + 1;
  // The step differs from the step that selects the revision. Otherwise one revision would get all failures.
  if (isLive && (state.requests * 61) % 100 < failing * 100) return { status: 500, body: '{"status":500}' };
  if (answers?.[path]) return { status: answers[path], body: JSON.stringify({ status: answers[path] }) };
  switch (path) {
    case '/':
      return {
        status: 200,
        body: JSON.stringify({ name: 'orders', version: '1.0.0', commit: tells ?? commitOf(state, image) }),
      };
    case '/health/startup':
    case '/health/live':
    case '/health/ready':
      return { status: 200, body: '{"status":"ok"}' };
    case '/v1/me':
      return knows(env, headers)
        ? { status: 200, body: '{"kind":"oidc"}' }
        : { status: 401, body: '{"code":"credential_missing","status":401}' };
    default:
      return { status: 404, body: '{"code":"not_found","status":404}' };
  }
}

/** Returns whether the token is Google's, for this service and from an allowed caller. Cloud Run strips the signature of a token that it has verified. */
function knows(env, headers) {
  const valueOf = (name) => env.find((variable) => variable.name === name)?.value ?? '';
  const claims = claimsOf(headers.authorization);
  return Boolean(
    claims?.email_verified &&
    valueOf('OIDC_ISSUERS').split(',').includes(claims.iss) &&
    claims.aud === valueOf('OIDC_AUDIENCE') &&
    valueOf('OIDC_SCOPE_GRANTS')
      .split(',')
      .some((caller) => caller.trim().startsWith(`${claims.email}=`)),
  );
}
