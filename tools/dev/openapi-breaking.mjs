// `npm run openapi:breaking`: fails when openapi.json breaks what the last release of this service promised its clients.
// With `-- --accept "reason"` the breaks are recorded in openapi-breaking.json, where a reviewer sees them.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { breaksBetween } from './openapi-breaks.mjs';

const FILE = 'openapi.json';
const ACCEPTED = 'openapi-breaking.json';
/** What `npm run init` leaves in a service: releases without it are the template's. */
const RECORD = '.template.json';

try {
  const { values } = parseArgs({ options: { accept: { type: 'string' } } });
  await main(values.accept);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

async function main(reason) {
  const release = lastRelease();
  if (!release) return console.log('There is no release yet that could be broken: no tag v1.0.0 or later.');
  const before = JSON.parse(git('show', `${release}:${FILE}`));
  const breaks = await breaksBetween(before, JSON.parse(readFileSync(FILE, 'utf8')));
  if (reason !== undefined) return accept(release, breaks, reason);

  const accepted = readAccepted(release);
  const refused = breaks.filter((each) => !accepted[each]);
  if (refused.length === 0)
    return console.log(
      `Nothing breaks what ${release} promised${breaks.length > 0 ? ', but for what is accepted' : ''}.`,
    );
  console.error(`This breaks clients of ${release}:\n  ${refused.join('\n  ')}
Undo it, or say why it has to be: npm run openapi:breaking -- --accept "reason"`);
  process.exitCode = 1;
}

/** The newest tag of this service, such as v1.2.0, that the present commit comes from. */
function lastRelease() {
  if (spawnSync('git', ['rev-parse', '--verify', 'HEAD']).status !== 0) return undefined;
  if (git('rev-parse', '--is-shallow-repository') === 'true') {
    throw new Error(
      'A shallow clone does not know the last release. Run: git fetch --unshallow --tags (actions/checkout: fetch-depth: 0)',
    );
  }
  const tags = git('tag', '--merged', 'HEAD', '--sort=-version:refname', '--list', 'v[0-9]*')
    .split('\n')
    .filter(Boolean);
  return tags.find((tag) => has(tag, FILE) && (!existsSync(RECORD) || has(tag, RECORD)));
}

function has(tag, file) {
  return spawnSync('git', ['cat-file', '-e', `${tag}:${file}`]).status === 0;
}

function readAccepted(release) {
  if (!existsSync(ACCEPTED)) return {};
  const { since, accepted } = JSON.parse(readFileSync(ACCEPTED, 'utf8'));
  return since === release ? accepted : {};
}

/** What was accepted for an older release is over: this one was made with it. */
function accept(release, breaks, reason) {
  if (!reason.trim()) throw new Error('A reason is needed: npm run openapi:breaking -- --accept "reason"');
  if (breaks.length === 0) {
    rmSync(ACCEPTED, { force: true });
    return console.log(`Nothing breaks what ${release} promised.`);
  }
  const before = readAccepted(release);
  const accepted = Object.fromEntries(breaks.map((each) => [each, before[each] ?? reason]));
  writeFileSync(ACCEPTED, `${JSON.stringify({ since: release, accepted }, undefined, 2)}\n`);
  return console.log(`Recorded in ${ACCEPTED}. Commit it with the change.`);
}

function git(...args) {
  return execFileSync('git', args, { encoding: 'utf8', maxBuffer: 2 ** 28 }).trim();
}
