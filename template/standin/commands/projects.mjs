// gcloud's version and properties; projects, their billing, APIs and organization policies; and Cloud Logging entries.
import { matches } from '../expressions.mjs';
import { Refusal } from '../refusal.mjs';

export const projects = {
  version: {
    usage: '',
    run: ({ state }) => ({ 'Google Cloud SDK': state.version }),
  },
  'config get': {
    usage: 'PROPERTY',
    run: ({ state, args, say }) => {
      if (!state.config[args.PROPERTY]) say('(unset)');
      return `${state.config[args.PROPERTY] ?? ''}\n`;
    },
  },
  'resource-manager org-policies describe': {
    usage: 'CONSTRAINT --effective',
    run: ({ project, args }) => ({
      constraint: `constraints/${args.CONSTRAINT}`,
      ...policyOf(project.orgPolicies[args.CONSTRAINT]),
    }),
  },
  'projects describe': {
    usage: 'PROJECT_ID',
    run: ({ project }) => ({ projectId: project.id, projectNumber: project.number, lifecycleState: 'ACTIVE' }),
  },
  'billing projects describe': {
    usage: 'PROJECT_ID',
    run: ({ project }) => ({ billingEnabled: project.billing, projectId: project.id }),
  },
  'services list': {
    usage: '[--enabled]',
    isList: true,
    run: ({ project }) => project.apis.map((api) => ({ config: { name: api }, state: 'ENABLED' })),
  },
  'services enable': {
    usage: 'SERVICE...',
    changes: true,
    run({ project, args, say }) {
      if (!project.billing) {
        throw new Refusal(
          `FAILED_PRECONDITION: Billing account for project '${project.number}' is not found. Billing must be enabled for activation of service(s) '${args.SERVICE.join(',')}' to proceed.`,
        );
      }
      project.apis = [...new Set([...project.apis, ...args.SERVICE])];
      say('Operation "operations/acat.p2" finished successfully.');
      return '';
    },
  },
  'logging read': {
    usage: '[LOG_FILTER] [--limit=] [--order=] [--freshness=]',
    run({ project, args }) {
      const oldest = args.freshness ? Date.now() - milliseconds(args.freshness) : 0;
      const entries = project.logs.filter(
        (entry) => Date.parse(entry.timestamp) >= oldest && matches(args.LOG_FILTER ?? '', entry),
      );
      if (args.order !== 'asc') entries.reverse();
      return entries.slice(0, Number(args.limit ?? entries.length));
    },
  },
};

/** An enforced policy is true, or the list of permitted values. */
const policyOf = (policy) =>
  Array.isArray(policy)
    ? { listPolicy: { allowedValues: policy } }
    : { booleanPolicy: policy ? { enforced: true } : {}, listPolicy: { allValues: 'ALLOW' } };

function milliseconds(duration) {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(duration) ?? [];
  if (!count) throw new Refusal(`argument --freshness: Failed to parse duration: ${duration}`, 2);
  return Number(count) * { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit];
}
