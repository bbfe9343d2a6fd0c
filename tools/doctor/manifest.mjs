// The numbers of deploy/service.yaml, and those of the service that they must fit. A few lines are read, and no YAML: the
// file is ours, and test/repository/deploy.spec.ts holds all of it to the API's types.
import { code, read } from './check.mjs';

/** Cloud Run's own, for what a probe leaves out. The last is of readiness alone. */
const DEFAULTS = {
  initialDelaySeconds: 0,
  periodSeconds: 10,
  timeoutSeconds: 1,
  failureThreshold: 3,
  successThreshold: 2,
};

const numberIn = (text, name) => {
  const found = new RegExp(`\\b${name}: *'?(\\d+)`).exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
};

/** @param {'startupProbe' | 'livenessProbe' | 'readinessProbe'} kind */
export function probeOf(kind) {
  const block = new RegExp(`^( +)${kind}:\\n((?:\\1 +.*\\n)+)`, 'm').exec(code('deploy/service.yaml'))?.[2];
  if (!block) return undefined;
  const numbers = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, value]) => [name, numberIn(block, name) ?? value]),
  );
  return withWindow({ path: /path: *(\S+)/.exec(block)?.[1], ...numbers });
}

/** The same from the API's JSON. */
export function liveProbeOf(container, kind) {
  const probe = container[kind] ?? {};
  const numbers = Object.entries(DEFAULTS).map(([name, value]) => [name, probe[name] ?? value]);
  return withWindow({ path: probe.httpGet?.path, ...Object.fromEntries(numbers) });
}

const withWindow = (probe) => ({
  ...probe,
  window: probe.initialDelaySeconds + probe.periodSeconds * probe.failureThreshold,
});

export const maxScale = () => numberIn(code('deploy/service.yaml'), 'autoscaling.knative.dev/maxScale');

/** What the service runs with in the cloud: the manifest's value of a variable, or else its default. */
export function settingOf(name) {
  const given = new RegExp(`name: ${name}\\n +value: *'?(\\d+)`).exec(code('deploy/service.yaml'))?.[1];
  const standard = new RegExp(`^ {2}${name} = ([\\d_]+);`, 'm').exec(read('src/platform/config/env.ts'))?.[1];
  return Number(given ?? standard?.replaceAll('_', ''));
}

/** DEPLOYMENT.md, "Connections": each instance's pool and health check, twice in a rollout, 2 to migrate, 5 for people. */
export const connectionsNeeded = () => 2 * maxScale() * (settingOf('DATABASE_POOL_MAX') + 1) + 2 + 5;
