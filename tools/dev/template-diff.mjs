// `npm run template:diff`: shows what has changed in the template since this service was made or last updated; --apply
// merges it. Both versions of the template are first turned into this service, as init did, and then compared.
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { git, gitIn, gitSucceeds, runCommand } from '../cli.mjs';

const RECORD = '.template.json';
/** The template's folders. An update replaces their files; it keeps files that only the service has. */
const REPLACED = ['src/platform', 'tools'];
const REMOTE = 'template';
/** Keeps the template's tags and branches apart from those of the service. */
const REFS = 'refs/template';
/** The version of the template that the last update started from. */
const BEFORE = `${REFS}/before`;
/** Files that the service generates or writes itself. */
const OWN = ['package-lock.json', 'openapi.json', RECORD];

const USAGE = `Usage: npm run template:diff [-- --apply] [-- --to=v1.2.0]

Shows the changes of the template since this service was created or last updated.

  --apply    merges the changes without a commit: ${REPLACED.join(' and ')} are replaced, the rest is a three-way merge
  --to=TAG   compares with this release of the template instead of the newest

Exit codes: 0 on success; 1 if there are conflicts, or if the template or the release is missing.`;

await runCommand(USAGE, async ({ apply, to }) => {
  const record = readRecord();
  if (apply && git('status', '--porcelain')) throw new Error('Commit or stash your changes first.');
  fetchTemplate();
  const base = baseOf(record);
  const target = targetOf(to);
  const { version } = JSON.parse(git('show', `${target}:package.json`));
  const before = await ownVersion(base, record);
  const after = await ownVersion(target, record);

  console.log(`From ${record.template} ${record.version} to ${version}:\n\n${newInChangelog(base, target)}`);
  if (git('diff', '--stat', before, after) === '') return console.log('The release changes no file of this service.');
  if (apply) merge(before, after, { ...record, version, commit: target });
  else show(before, after);
});

function readRecord() {
  try {
    return JSON.parse(readFileSync(RECORD, 'utf8'));
  } catch {
    throw new Error(`${RECORD} is missing: npm run init did not create this service.`);
  }
}

/** v1.0.0 of the template must not become v1.0.0 of the service. */
function fetchTemplate() {
  if (!gitSucceeds('remote', 'get-url', REMOTE)) {
    throw new Error(`The remote ${REMOTE} is missing. Add it once: git remote add --no-tags ${REMOTE} URL`);
  }
  git('fetch', '--quiet', '--no-tags', REMOTE, `+refs/tags/*:${REFS}/tags/*`, `+refs/heads/*:${REFS}/heads/*`);
}

/** Returns the commit that the service was made from, or the tag of its version if GitHub started a new history. */
function baseOf({ version, commit }) {
  return (
    commitOf(commit) ??
    commitOf(`${REFS}/tags/v${version}`) ??
    fail(`The template has neither v${version} nor ${commit}.`)
  );
}

/** Returns the lines that CHANGELOG.md has gained. */
function newInChangelog(base, target) {
  return git('diff', `${base}..${target}`, '--', 'CHANGELOG.md')
    .replaceAll(/^(?!\+[^+]).*\n?/gm, '')
    .replaceAll(/^\+/gm, '');
}

function targetOf(to) {
  const [newest] = git('for-each-ref', '--sort=-version:refname', '--format=%(refname)', `${REFS}/tags/v*`).split('\n');
  const wanted = to ? `${REFS}/tags/${to}` : newest;
  return commitOf(wanted) ?? fail(to ? `The template has no release ${to}.` : 'The template has no release yet.');
}

function commitOf(revision) {
  const name = `${revision}^{commit}`;
  return gitSucceeds('rev-parse', '--verify', name) ? git('rev-parse', name) : undefined;
}

/** Returns a version of the template as a tree, turned into this service by the init of that version. */
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

function show(before, after) {
  const others = REPLACED.map((folder) => `:!${folder}`);
  console.log(`${git('diff', '--stat', '--patch', before, after, '--', '.', ...others)}

Replaced with the template's files:
${git('diff', '--stat', before, after, '--', ...REPLACED) || ' nothing'}
To see the difference: git diff ${before} ${after} -- ${REPLACED.join(' ')}`);
  const edited = localChanges(before);
  if (edited.length > 0) console.log(`\nYour changes there will be replaced, too:\n  ${edited.join('\n  ')}`);
}

/** The service's own changes to the template's folders. */
function localChanges(before) {
  return git('diff', '--no-renames', '--name-only', '--diff-filter=MD', before, 'HEAD', '--', ...REPLACED)
    .split('\n')
    .filter(Boolean);
}

function merge(before, after, record) {
  const edited = localChanges(before);
  const head = git('rev-parse', '--short', 'HEAD');
  git('update-ref', BEFORE, git('commit-tree', before, '-m', 'before'));
  const change = git('commit-tree', after, '-p', BEFORE, '-m', 'after');
  const isClean = gitSucceeds('cherry-pick', '--no-commit', change);
  replaceFolders(before, after);
  // Files that the team has deleted stay deleted.
  for (const file of conflicts('DU')) git('rm', '--quiet', file);
  writeFileSync(RECORD, `${JSON.stringify(record, undefined, 2)}\n`);
  git('add', RECORD);

  console.log(`Replaced ${REPLACED.join(' and ')}, merged the rest.`);
  if (edited.length > 0) {
    console.log(`Your changes to these files were replaced:\n  ${edited.join('\n  ')}
To apply them again: git diff --no-renames --diff-filter=MD ${BEFORE} ${head} -- ${REPLACED.join(' ')} | git apply --3way`);
  }
  const both = isClean ? [] : [...conflicts('UU'), ...conflicts('AA'), ...conflicts('UD')];
  console.log('Next: do the action items above, then npm install, npm run openapi, npm run check, and commit.');
  if (both.length > 0) {
    throw new Error(`Conflicts. Resolve them, or undo everything with git reset --hard:\n  ${both.join('\n  ')}`);
  }
}

function replaceFolders(before, after) {
  const filesOf = (tree) => git('ls-tree', '-r', '--name-only', tree, '--', ...REPLACED).split('\n');
  git('checkout', after, '--', ...REPLACED);
  const gone = new Set(filesOf(before)).difference(new Set(filesOf(after)));
  if (gone.size > 0) git('rm', '--quiet', '--force', '--ignore-unmatch', ...gone);
}

function conflicts(state) {
  const lines = git('status', '--porcelain').split('\n');
  return lines.filter((line) => line.startsWith(`${state} `)).map((line) => line.slice(3));
}

function fail(message) {
  throw new Error(message);
}
