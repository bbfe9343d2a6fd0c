// Artifact Registry.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { labelsOf, updateLabels } from '../arguments.mjs';
import { Refusal } from '../refusal.mjs';

const TAG = 'TAG --version= --package= --repository= --location=';

export const artifacts = {
  'artifacts repositories create': {
    usage: 'REPOSITORY --location= --repository-format= [--description=] [--labels=] [--immutable-tags]',
    changes: true,
    run({ project, args, say }) {
      const name = `${args.location}/${args.REPOSITORY}`;
      if (project.repositories[name]) throw new Refusal('ALREADY_EXISTS: the repository already exists');
      const immutableTags = args['immutable-tags'];
      project.repositories[name] = {
        format: args['repository-format'],
        labels: labelsOf(args.labels),
        immutableTags,
        policy: [],
        packages: {},
      };
      say(`Created repository [${args.REPOSITORY}].`);
      return '';
    },
  },
  'artifacts repositories describe': {
    usage: 'REPOSITORY --location=',
    run: (context) => ({
      name: nameOf(context),
      format: repositoryOf(context).format.toUpperCase(),
      labels: repositoryOf(context).labels,
      cleanupPolicies: repositoryOf(context).cleanup,
      cleanupPolicyDryRun: repositoryOf(context).cleanupDryRun,
      dockerConfig: { immutableTags: repositoryOf(context).immutableTags },
    }),
  },
  'artifacts repositories delete': {
    usage: 'REPOSITORY --location=',
    changes: true,
    asks: true,
    run(context) {
      repositoryOf(context);
      delete context.project.repositories[`${context.args.location}/${context.args.REPOSITORY}`];
      return '';
    },
  },
  'artifacts repositories update': {
    usage: 'REPOSITORY --location= --update-labels=',
    changes: true,
    run: (context) => updateLabels(repositoryOf(context), context.args),
  },
  'artifacts repositories set-cleanup-policies': {
    usage: 'REPOSITORY --location= --policy= [--dry-run] [--no-dry-run]',
    changes: true,
    run(context) {
      const { args, cwd } = context;
      const policies = JSON.parse(readFileSync(resolve(cwd, args.policy), 'utf8'));
      repositoryOf(context).cleanup = Object.fromEntries(policies.map(({ name, ...policy }) => [name, policy]));
      // Without the flag, the value does not change.
      if (args['dry-run'] || args['no-dry-run']) repositoryOf(context).cleanupDryRun = Boolean(args['dry-run']);
      return '';
    },
  },
  'artifacts docker images list': {
    usage: 'IMAGE_PATH [--include-tags]',
    isList: true,
    on: ({ find, args }) => {
      const [host, , name] = args.IMAGE_PATH.split('/');
      return { repository: find('repository', `${host.replace('-docker.pkg.dev', '')}/${name}`) };
    },
    run({ project, args }) {
      const [host, , name] = args.IMAGE_PATH.split('/');
      const repository = project.repositories[`${host.replace('-docker.pkg.dev', '')}/${name}`];
      if (!repository) throw new Refusal('NOT_FOUND: Requested entity was not found.');
      return Object.entries(repository.packages).flatMap(([image, { versions, tags }]) =>
        Object.entries(versions).map(([version, { createTime }]) => ({
          package: `${args.IMAGE_PATH}/${image}`,
          version,
          createTime,
          tags: Object.keys(tags).filter((tag) => tags[tag] === version),
        })),
      );
    },
  },
  'artifacts tags list': {
    usage: '--package= --repository= --location=',
    isList: true,
    run: (context) =>
      Object.entries(packageOf(context).tags).map(([tag, version]) => ({
        name: `${nameOf(context)}/packages/${context.args.package}/tags/${tag}`,
        version: `${nameOf(context)}/packages/${context.args.package}/versions/${version}`,
      })),
  },
  'artifacts tags create': {
    usage: TAG,
    changes: true,
    run(context) {
      const { tags } = packageOf(context);
      if (tags[context.args.TAG]) throw new Refusal('ALREADY_EXISTS: the tag already exists');
      return point(context, tags);
    },
  },
  'artifacts tags update': {
    usage: TAG,
    changes: true,
    run(context) {
      const { tags } = packageOf(context);
      if (!tags[context.args.TAG]) throw new Refusal('NOT_FOUND: Requested entity was not found.');
      return point(context, tags);
    },
  },
  'artifacts tags delete': {
    usage: 'TAG --package= --repository= --location=',
    changes: true,
    asks: true,
    run(context) {
      delete packageOf(context).tags[context.args.TAG];
      return '';
    },
  },
  'artifacts versions list': {
    usage: '--package= --repository= --location=',
    isList: true,
    run: (context) =>
      Object.entries(packageOf(context).versions).map(([version, { createTime }]) => ({
        name: `${nameOf(context)}/packages/${context.args.package}/versions/${version}`,
        createTime,
      })),
  },
};

const nameOf = ({ project, args }) =>
  `projects/${project.id}/locations/${args.location}/repositories/${args.REPOSITORY ?? args.repository}`;

function repositoryOf({ project, args }) {
  const repository = project.repositories[`${args.location}/${args.REPOSITORY ?? args.repository}`];
  if (!repository) throw new Refusal('NOT_FOUND: Requested entity was not found.');
  return repository;
}

function packageOf(context) {
  const found = repositoryOf(context).packages[context.args.package];
  if (!found) throw new Refusal('NOT_FOUND: Requested entity was not found.');
  return found;
}

function point(context, tags) {
  const { args } = context;
  if (!packageOf(context).versions[args.version]) throw new Refusal(`NOT_FOUND: version "${args.version}" not found`);
  tags[args.TAG] = args.version;
  return '';
}
