import { existsSync } from 'node:fs';
import { git, gitSucceeds } from '../cli.mjs';

/** Written when the service was created. Releases without it are the template's. */
const RECORD = '.template.json';

/** Returns the newest tag of this service, such as v1.2.0, that HEAD contains and that has the file. */
export function lastRelease(file) {
  if (!gitSucceeds('rev-parse', '--verify', 'HEAD')) return undefined;
  if (git('rev-parse', '--is-shallow-repository') === 'true') {
    throw new Error(
      'A shallow clone has no tags. Run: git fetch --unshallow --tags (actions/checkout: fetch-depth: 0)',
    );
  }
  const tags = git('tag', '--merged', 'HEAD', '--sort=-version:refname', '--list', 'v[0-9]*').split('\n');
  return tags.find((tag) => tag && has(tag, file) && (!existsSync(RECORD) || has(tag, RECORD)));
}

function has(tag, file) {
  return gitSucceeds('cat-file', '-e', `${tag}:${file}`);
}
