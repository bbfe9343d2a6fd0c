import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** The settings of the service and of the job, with the defaults of Cloud Run. */
export const service = readContainer('deploy/service.yaml', (manifest) => manifest.spec.template.spec);
export const job = readContainer('deploy/migrate-job.yaml', (manifest) => manifest.spec.template.spec.template.spec);

function readContainer(file, specOf) {
  const text = readFileSync(file, 'utf8').replaceAll(/\$\{APP_\w+\}/g, ''); // optional settings
  const spec = specOf(parse(text.replaceAll(/\$\{(\w+)\}/g, '$1')));
  const [container] = spec.containers;
  return {
    args: container.args ?? [],
    cpu: container.resources.limits.cpu,
    memory: container.resources.limits.memory.replace(/i$/, '').toLowerCase(),
    user: spec.securityContext?.runAsUser,
    concurrency: spec.containerConcurrency,
    /** DATABASE_URL is the only secret. */
    environment: (databaseUrl) => container.env.map(({ name, value }) => [name, value ?? databaseUrl]),
    startup: probe(container.startupProbe),
    liveness: probe(container.livenessProbe),
    readiness: probe(container.readinessProbe),
  };
}

// https://cloud.google.com/run/docs/configuring/healthchecks
function probe(given) {
  if (!given) return undefined;
  const { httpGet, initialDelaySeconds = 0, periodSeconds = 10, timeoutSeconds = 1, ...thresholds } = given;
  const { failureThreshold = 3, successThreshold = 2 } = thresholds;
  return {
    path: httpGet.path,
    delayMs: initialDelaySeconds * 1000,
    periodMs: periodSeconds * 1000,
    timeoutMs: timeoutSeconds * 1000,
    failureThreshold,
    successThreshold,
    windowMs: (initialDelaySeconds + periodSeconds * failureThreshold) * 1000,
  };
}
