// `npm run template:diff`: what has changed in the template since this service was made from it, or last updated; with
// --apply merged into the service as a third side, so that the team's own changes stay. The template's two versions are
// first made into this service, as init did, so that the difference is in its words.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const RECORD = '.template.json';
/** The remote whose tags and branches are kept apart from the service's own. */
const REMOTE = 'template';
const REFS = 'refs/template';
/** What the service makes anew from its own sources, or writes itself. */
const OWN = ['package-lock.json', 'openapi.json', RECORD];
const USAGE = 'Usage: npm run template:diff [-- --to v1.2.0] [-- --apply]';

try {
  await main(parse());
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function parse() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { to: { type: 'string' }, apply: { type: 'boolean' } },
  });
  if (positionals.length > 0 || process.env.npm_config_apply || process.env.npm_config_to) throw new Error(USAGE);
  return values;
}

async function main({ to, apply }) {
  const record = readRecord();
  if (apply && git('status', '--porcelain'))
    throw new Error('There are changes that are not committed. Commit them first.');
  fetchTemplate();
  const base = baseOf(record);
  const target = targetOf(to);
  const { version } = JSON.parse(git('show', `${target}:package.json`));
  const [before, after] = [await ownVersion(base, record), await ownVersion(target, record)];
  const merged = git('commit-tree', after, '-p', git('commit-tree', before, '-m', 'before'), '-m', 'after');

  console.log(`From ${record.template} ${record.version} to ${version}:\n`);
  console.log(
    git('diff', `${base}..${target}`, '--', 'CHANGELOG.md')
      .replaceAll(/^(?!\+[^+]).*\n?/gm, '')
      .replaceAll(/^\+/gm, ''),
  );
  if (!apply) return console.log(git('show', '--format=', '--stat', '--patch', merged) || 'Nothing changes here.');
  merge(merged, { ...record, version, commit: target });
}

function readRecord() {
  try {
    return JSON.parse(readFileSync(RECORD, 'utf8'));
  } catch {
    throw new Error(`There is no ${RECORD}: npm run init has not been run here.`);
  }
}

/** Its tags come under a name of their own: v1.0.0 of the template is not v1.0.0 of the service. */
function fetchTemplate() {
  if (spawnSync('git', ['remote', 'get-url', REMOTE]).status !== 0) {
    throw new Error(`Where is the template? Say it once: git remote add --no-tags ${REMOTE} URL`);
  }
  git('fetch', '--quiet', '--no-tags', REMOTE, `+refs/tags/*:${REFS}/tags/*`, `+refs/heads/*:${REFS}/heads/*`);
}

/** The commit that the service was made from; the tag of its version where GitHub made a history of its own. */
function baseOf({ version, commit }) {
  return (
    commitOf(commit) ??
    commitOf(`${REFS}/tags/v${version}`) ??
    fail(`The template has no v${version} and no ${commit}.`)
  );
}

function targetOf(to) {
  const [newest] = git('for-each-ref', '--sort=-version:refname', '--format=%(refname)', `${REFS}/tags/v*`).split('\n');
  const wanted = to ? `${REFS}/tags/${to}` : newest;
  return commitOf(wanted) ?? fail(to ? `The template has no release ${to}.` : 'The template has no release yet.');
}

function commitOf(revision) {
  const { status, stdout } = spawnSync('git', ['rev-parse', '--quiet', '--verify', `${revision}^{commit}`], {
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** A version of the template as it would be if this service had just been made from it; with its own init. */
async function ownVersion(commit, { answers }) {
  const parent = mkdtempSync(join(tmpdir(), 'template-'));
  const folder = join(parent, 'worktree');
  git('worktree', 'add', '--quiet', '--detach', folder, commit);
  try {
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'), 'junction');
    const { makeOwn } = await import(pathToFileURL(join(folder, 'template/init/make-own.mjs')).href);
    await makeOwn(folder, answers);
    for (const file of OWN) rmSync(join(folder, file), { force: true });
    gitIn(folder, 'add', '--all', '--', '.', ':!node_modules');
    return gitIn(folder, 'write-tree');
  } finally {
    git('worktree', 'remove', '--force', folder);
    rmSync(parent, { recursive: true, force: true });
  }
}

function merge(commit, record) {
  const { status } = spawnSync('git', ['cherry-pick', '--no-commit', commit]);
  // What the team has deleted stays deleted.
  for (const file of conflicts('DU')) git('rm', '--quiet', file);
  writeFileSync(RECORD, `${JSON.stringify(record, undefined, 2)}\n`);
  git('add', RECORD);
  const both = status === 0 ? [] : [...conflicts('UU'), ...conflicts('AA'), ...conflicts('UD')];
  if (both.length > 0) {
    console.error(
      `Both sides changed these; decide in each, or undo all with git reset --hard:\n  ${both.join('\n  ')}`,
    );
    process.exitCode = 1;
  }
  console.log('Next: do the action items above, then npm install, npm run openapi, npm run check, and commit.');
}

function conflicts(state) {
  const lines = git('status', '--porcelain').split('\n');
  return lines.filter((line) => line.startsWith(`${state} `)).map((line) => line.slice(3));
}

function fail(message) {
  throw new Error(message);
}

function git(...args) {
  return gitIn('.', ...args);
}

function gitIn(cwd, ...args) {
  return execFileSync('git', args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 28 }).trim();
}
