// Numbers of deploy/service.yaml, deploy/settings.txt and the service. Reads a few lines with regular expressions, because YAML would need a
// dependency: test/repository/deploy.spec.ts validates the whole file.
import { read, readCode } from './check.mjs';
import { readSettings } from './lists.mjs';

export const PROBES = ['startupProbe', 'livenessProbe', 'readinessProbe'];

/** Cloud Run's defaults. The last one applies only to readiness. */
const DEFAULTS = {
  initialDelaySeconds: 0,
  periodSeconds: 10,
  timeoutSeconds: 1,
  failureThreshold: 3,
  successThreshold: 2,
};

function numberIn(text, name) {
  const [, number] = new RegExp(`\\b${name}: *'?(\\d+)`).exec(text) ?? [];
  return number && Number(number);
}

/** Returns a probe of deploy/service.yaml. */
export function manifestProbe(kind) {
  const block = new RegExp(`^( +)${kind}:\\n((?:\\1 +.*\\n)+)`, 'm').exec(readCode('deploy/service.yaml'))?.[2];
  return block && withDefaults(/path: *(\S+)/.exec(block)?.[1], (name) => numberIn(block, name));
}

/** Returns a probe of a container in the API's JSON. */
export function deployedProbe(container, kind) {
  const probe = container[kind] ?? {};
  return withDefaults(probe.httpGet?.path, (name) => probe[name]);
}

function withDefaults(path, numberOf) {
  const entries = Object.entries(DEFAULTS).map(([name, standard]) => [name, numberOf(name) ?? standard]);
  const numbers = Object.fromEntries(entries);
  return { path, ...numbers, window: numbers.initialDelaySeconds + numbers.periodSeconds * numbers.failureThreshold };
}

/** Returns a number of deploy/settings.txt, or else its default in the service. */
export function settingOf(name, environment) {
  const [, standard] = new RegExp(`^ {2}${name} = ([\\d_]+);`, 'm').exec(read('src/platform/config/env.ts')) ?? [];
  return Number(readSettings(environment).get(name)?.value ?? standard?.replaceAll('_', ''));
}

/** docs/deployment/runtime.md, "Connection pool": each instance's pool and health check, twice in a rollout, 2 to migrate, 5 in reserve. */
export function connectionsNeeded(environment) {
  const setting = (name) => settingOf(name, environment);
  return 2 * setting('MAX_INSTANCES') * (setting('DATABASE_POOL_MAX') + 1) + 2 + 5;
}
