// Numbers of deploy/service.yaml and of the service. Reads a few lines with regular expressions, because YAML would need a
// dependency: test/repository/deploy.spec.ts validates the whole file.
import { read, readCode } from './check.mjs';

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

/** Returns a number that the deployed service uses: from the manifest's variables, or else its default. */
export function settingOf(name) {
  const [, given] = new RegExp(`name: ${name}\\n +value: *'?(\\d+)`).exec(readCode('deploy/service.yaml')) ?? [];
  const [, standard] = new RegExp(`^ {2}${name} = ([\\d_]+);`, 'm').exec(read('src/platform/config/env.ts')) ?? [];
  return Number(given ?? standard?.replaceAll('_', ''));
}

/** docs/deployment/runtime.md, "Connections": each instance's pool and health check, twice in a rollout, 2 to migrate, 5 in reserve. */
export function connectionsNeeded() {
  const maxScale = numberIn(readCode('deploy/service.yaml'), 'autoscaling.knative.dev/maxScale');
  return 2 * maxScale * (settingOf('DATABASE_POOL_MAX') + 1) + 2 + 5;
}
