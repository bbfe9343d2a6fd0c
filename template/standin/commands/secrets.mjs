// Secret Manager.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { labelsOf, updateLabels } from '../arguments.mjs';
import { Refusal } from '../refusal.mjs';

export const secrets = {
  'secrets create': {
    usage: 'SECRET --replication-policy= [--locations=] [--labels=]',
    changes: true,
    run({ project, args, say }) {
      if (project.secrets[args.SECRET])
        throw new Refusal(`ALREADY_EXISTS: Secret [projects/${project.number}/secrets/${args.SECRET}] already exists.`);
      if (args['replication-policy'] === 'automatic' && project.orgPolicies['gcp.resourceLocations'])
        throw new Refusal(
          `FAILED_PRECONDITION: Constraint constraints/gcp.resourceLocations violated for [orgpolicy:projects/${project.number}] attempting to create a secret with [global].`,
        );
      project.secrets[args.SECRET] = { labels: labelsOf(args.labels), policy: [], versions: {} };
      say(`Created secret [${args.SECRET}].`);
      return '';
    },
  },
  'secrets describe': {
    usage: 'SECRET',
    run: (context) => ({
      name: nameOf(context, secretOf(context) && context.args.SECRET),
      labels: secretOf(context).labels,
      replication: { automatic: {} },
    }),
  },
  'secrets update': {
    usage: 'SECRET --update-labels=',
    changes: true,
    run: (context) => updateLabels(secretOf(context), context.args),
  },
  'secrets delete': {
    usage: 'SECRET',
    changes: true,
    asks: true,
    run(context) {
      secretOf(context);
      delete context.project.secrets[context.args.SECRET];
      return '';
    },
  },
  'secrets versions add': {
    usage: 'SECRET --data-file=',
    changes: true,
    run(context) {
      const { args, stdin, cwd, say } = context;
      const { versions } = secretOf(context);
      const number = String(Object.keys(versions).length + 1);
      const value = args['data-file'] === '-' ? stdin : readFileSync(resolve(cwd, args['data-file']), 'utf8');
      versions[number] = { state: 'ENABLED', value };
      say(`Created version [${number}] of the secret [${args.SECRET}].`);
      return '';
    },
  },
  'secrets versions access': {
    usage: 'VERSION --secret=',
    run: (context) => secretOf(context).versions[context.args.VERSION].value,
  },
  'secrets versions disable': {
    usage: 'VERSION --secret=',
    changes: true,
    run(context) {
      secretOf(context).versions[context.args.VERSION].state = 'DISABLED';
      return '';
    },
  },
  'secrets versions list': {
    usage: 'SECRET',
    isList: true,
    /** Newest first. */
    run: (context) =>
      Object.entries(secretOf(context).versions)
        .toReversed()
        .map(([number, { state }]) => ({ name: `${nameOf(context, context.args.SECRET)}/versions/${number}`, state })),
  },
};

const nameOf = ({ project }, secret) => `projects/${project.number}/secrets/${secret}`;

function secretOf(context) {
  const name = context.args.SECRET ?? context.args.secret;
  const secret = context.project.secrets[name];
  if (!secret) throw new Refusal(`NOT_FOUND: Secret [${nameOf(context, name)}] not found.`);
  return secret;
}
