// `npm run openapi:breaking`: compares openapi.json with the last release of this service.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { git, runCommand, UsageError } from '../cli.mjs';
import { lastRelease } from './last-release.mjs';
import { breaksBetween } from './openapi-breaks.mjs';

const FILE = 'openapi.json';
const ACCEPTED = 'openapi-breaking.json';

const USAGE = `Usage: npm run openapi:breaking [-- --accept=REASON]

Fails if ${FILE} breaks clients of the last release, the newest tag v1.2.3 of this service.

  --accept=REASON  records the breaking changes and the reason in ${ACCEPTED}, for review

Exit codes: 0 if nothing breaks or every breaking change is accepted, 1 if not.`;

await runCommand(USAGE, async ({ accept: reason }) => {
  const release = lastRelease(FILE);
  if (!release) return console.log('No release yet: there is no tag v1.0.0 or later.');
  const before = JSON.parse(git('show', `${release}:${FILE}`));
  const breaks = await breaksBetween(before, JSON.parse(readFileSync(FILE, 'utf8')));
  return reason === undefined ? check(release, breaks) : accept(release, breaks, reason);
});

function check(release, breaks) {
  const accepted = readAccepted(release);
  const rejected = breaks.filter((each) => !accepted[each]);
  if (rejected.length > 0) {
    throw new Error(`This breaks clients of ${release}:\n  ${rejected.join('\n  ')}
Undo it, or accept it with a reason: npm run openapi:breaking -- --accept "reason"`);
  }
  console.log(`Nothing breaks clients of ${release}${breaks.length > 0 ? ', except for accepted changes' : ''}.`);
}

/** Changes that were accepted for an older release are part of that release. */
function accept(release, breaks, reason) {
  if (!reason.trim()) throw new UsageError('--accept needs a reason');
  if (breaks.length === 0) {
    rmSync(ACCEPTED, { force: true });
    return console.log(`Nothing breaks clients of ${release}.`);
  }
  const before = readAccepted(release);
  const accepted = Object.fromEntries(breaks.map((each) => [each, before[each] ?? reason]));
  writeFileSync(ACCEPTED, `${JSON.stringify({ since: release, accepted }, undefined, 2)}\n`);
  return console.log(`Recorded in ${ACCEPTED}. Commit it with the change.`);
}

function readAccepted(release) {
  if (!existsSync(ACCEPTED)) return {};
  const { since, accepted } = JSON.parse(readFileSync(ACCEPTED, 'utf8'));
  return since === release ? accepted : {};
}
