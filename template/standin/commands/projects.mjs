// Projects, their billing and APIs, Cloud SQL instances, and Cloud Logging entries.
import { matches } from '../expressions.mjs';
import { Refusal } from '../refusal.mjs';

export const projects = {
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
  'sql instances describe': {
    usage: 'INSTANCE',
    run({ project, args }) {
      const instance = project.instances[args.INSTANCE];
      if (!instance) throw new Refusal('HTTPError 404: The Cloud SQL instance does not exist.');
      return { name: args.INSTANCE, ...instance };
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

function milliseconds(duration) {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(duration) ?? [];
  if (!count) throw new Refusal(`argument --freshness: Failed to parse duration: ${duration}`, 2);
  return Number(count) * { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit];
}
