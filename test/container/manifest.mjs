import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { readSettings } from '../../tools/doctor/lists.mjs';
import { requiredEnv } from '../support/required-env.mjs';

const settings = readSettings('production');

/** The settings of the service and of the job, with the defaults of Cloud Run. */
export const service = readContainer(
  'deploy/service.yaml',
  (manifest) => manifest.spec.template.spec,
  /^(?!MAX_INSTANCES|MIN_INSTANCES|MEMORY$)/,
);
export const job = readContainer(
  'deploy/migrate-job.yaml',
  (manifest) => manifest.spec.template.spec.template.spec,
  /^(NODE_OPTIONS$|DATABASE_|LOG_)/,
);

/** `variables` matches the settings that the container gets. */
function readContainer(file, specOf, variables) {
  const text = readFileSync(file, 'utf8').replaceAll(/\$\{(\w+)\}/g, (_, name) => settings.get(name)?.value ?? name);
  const spec = specOf(parse(text));
  const [container] = spec.containers;
  return {
    args: container.args ?? [],
    cpu: container.resources.limits.cpu,
    memory: container.resources.limits.memory.replace(/i$/, '').toLowerCase(),
    user: spec.securityContext?.runAsUser,
    concurrency: spec.containerConcurrency,
    /** The settings without repository variables. Another secret than the database URL has its example. */
    environment: (databaseUrl) =>
      [...settings.values()]
        .filter(({ name }) => variables.test(name))
        .map(({ name, kind, value }) =>
          kind === 'secret'
            ? [name, name === 'DATABASE_URL' ? databaseUrl : requiredEnv[name]]
            : [name, value.replaceAll(/\$\{\w+\}/g, '')],
        ),
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
