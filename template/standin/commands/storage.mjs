// Cloud Storage.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { updateLabels } from '../arguments.mjs';
import { Refusal } from '../refusal.mjs';

export const storage = {
  'storage buckets create': {
    usage: 'BUCKET --location= [--uniform-bucket-level-access] [--public-access-prevention] [--lifecycle-file=]',
    changes: true,
    run({ state, project, args, cwd, say }) {
      const name = bare(args.BUCKET);
      if (Object.values(state.projects).some(({ buckets }) => buckets[name])) {
        throw new Refusal(
          `HTTPError 409: The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.`,
        );
      }
      const lifecycle =
        args['lifecycle-file'] && JSON.parse(readFileSync(resolve(cwd, args['lifecycle-file']), 'utf8'));
      project.buckets[name] = { location: args.location, lifecycle, labels: {}, policy: [], objects: {} };
      say(`Creating gs://${name}/...`);
      return '';
    },
  },
  'storage buckets describe': {
    usage: 'BUCKET',
    run({ project, args }) {
      const bucket = project.buckets[bare(args.BUCKET)];
      if (!bucket) throw new Refusal(`${args.BUCKET} not found: 404.`);
      return { name: bare(args.BUCKET), location: bucket.location.toUpperCase(), lifecycle_config: bucket.lifecycle };
    },
  },
  'storage buckets list': {
    usage: '',
    isList: true,
    run: ({ project }) => Object.entries(project.buckets).map(([name, { labels }]) => ({ name, labels })),
  },
  'storage buckets update': {
    usage: 'BUCKET --update-labels=',
    changes: true,
    run: ({ project, args }) => updateLabels(project.buckets[bare(args.BUCKET)], args),
  },
  'storage rm': {
    usage: 'BUCKET --recursive',
    changes: true,
    on: ({ state, args, find }) => {
      const owner = Object.values(state.projects).find(({ buckets }) => buckets[bare(args.BUCKET)]);
      return {
        bucket: { ...find('bucket', bare(args.BUCKET)), project: owner, object: owner?.buckets[bare(args.BUCKET)] },
      };
    },
    run({ state, args, say }) {
      const owner = Object.values(state.projects).find(({ buckets }) => buckets[bare(args.BUCKET)]);
      if (!owner) throw new Refusal(`The following URLs matched no objects or files:\n${args.BUCKET}`);
      delete owner.buckets[bare(args.BUCKET)];
      say(`Removing ${args.BUCKET}/...`);
      return '';
    },
  },
};

const bare = (url) => url.replace('gs://', '').replace(/\/$/, '');
