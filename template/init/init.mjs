// `npm run init -- --name orders-api`: turns the clone into the team's own service, in one commit. The commit is made in a
// second worktree and then merged, so that a failure changes nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { git, gitIn, gitSucceeds, runCommand, UsageError } from '../../tools/cli.mjs';
import { ask } from './ask.mjs';
import { makeOwn } from './make-own.mjs';

const RECORD = '.template.json';
const USAGE = `Usage: npm run init -- --name=NAME [OPTIONS]

Turns this clone of the starter into a service, in one commit. On a terminal it asks for missing options.

  --name=NAME         names the package, the image, the Cloud Run service and its accounts: orders-api
  --title=TITLE       of the documentation: "Orders API"
  --description=TEXT  what the service does, in one sentence
  --owner=OWNER       holds the copyright
  --region=REGION     of Google Cloud, for the next steps: europe-west1
  --remove-example    removes the vouchers
  --keep-template     keeps the starter's own tests in template/
  --yes               asks nothing
  --dry-run           prints the files that would change and the next steps; changes nothing
  --patch             with --dry-run: prints the difference too
  --json              prints the name, the commit and the next commands as JSON; asks nothing

Exit codes: 0 on success, 1 if nothing was changed.`;

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

await runCommand(USAGE, async ({ 'dry-run': dryRun = false, patch = false, ...options }) => {
  if (patch && !dryRun) throw new UsageError('--patch needs --dry-run');
  if (!options.name && (options.yes || options.json || !process.stdin.isTTY)) throw new UsageError('--name is missing');
  const answers = await ask(options).catch((error) => {
    if (error.name === 'ExitPromptError') process.exit(1); // Ctrl-C
    throw error;
  });
  refuseUnfit(answers);
  const commit = await init(answers, { dryRun, patch });
  return { name: answers.name, commit, next: nextSteps(answers) };
});

function refuseUnfit({ region }) {
  if (region && !/^[a-z]+-[a-z]+\d+$/.test(region))
    throw new Error(`--region ${region}: must be a region such as europe-west1.`);
  if (existsSync(RECORD))
    throw new Error(`This clone is already the service ${readJson(RECORD).answers.name}: ${RECORD} exists.`);
  if (!gitSucceeds('rev-parse', '--verify', 'HEAD')) {
    throw new Error('The repository has no commit. Clone the starter, or run: git init && git add . && git commit');
  }
  if (git('status', '--porcelain'))
    throw new Error('There are changes that are not committed. Commit or stash them first.');
  if (!gitSucceeds('var', 'GIT_COMMITTER_IDENT')) {
    throw new Error('git has no user name or email. Run: git config user.name … and git config user.email …');
  }
}

async function init(answers, { dryRun, patch }) {
  const parent = mkdtempSync(join(tmpdir(), 'init-'));
  const folder = join(parent, 'worktree');
  git('worktree', 'add', '--quiet', '--detach', folder, 'HEAD');
  try {
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'), 'junction');
    const template = readJson('package.json');
    await makeOwn(folder, answers);
    writeFileSync(join(folder, RECORD), `${JSON.stringify(recordOf(template, answers), undefined, 2)}\n`);
    runIn(folder, 'tools/dev/openapi.mjs');
    // Through the link, npm would write to this clone's node_modules.
    rmSync(join(folder, 'node_modules'));
    // Removes from the lock file the packages that package.json no longer lists.
    const npm = ['install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    runIn(folder, process.env.npm_execpath, ...npm);
    gitIn(folder, 'add', '--all', '--', '.', ':!node_modules');
    if (dryRun) {
      console.log(gitIn(folder, 'diff', '--cached', '--compact-summary', ...(patch ? ['--patch'] : [])));
      console.log(`\nNothing has changed. Without --dry-run, this clone becomes ${answers.name}. ${printed(answers)}`);
      return null;
    }
    const message = `chore: make ${answers.name} from ${template.name} ${template.version}`;
    // The hooks would not find node_modules in the worktree, and the files are already formatted.
    gitIn(folder, 'commit', '--quiet', '--no-verify', '--message', message);
    git('merge', '--quiet', '--ff-only', gitIn(folder, 'rev-parse', 'HEAD'));
    console.log(`This clone is now ${answers.name}, in one commit. ${printed(answers)}`);
    return git('rev-parse', 'HEAD');
  } finally {
    git('worktree', 'remove', '--force', folder);
    rmSync(parent, { recursive: true, force: true });
  }
}

/** Where the clone came from, for `npm run template:diff`. */
function recordOf({ name, version }, answers) {
  return { template: name, version, commit: git('rev-parse', 'HEAD'), answers };
}

function nextSteps({ region = 'REGION' }) {
  return [
    'npm run check',
    'npx nest generate resource invoices number:string:unique,amountCents:int',
    `deploy/bootstrap.sh --project PROJECT --region ${region} --create-database`,
    'npm run deploy -- --watch',
  ];
}

function printed(answers) {
  return ['Next:', ...nextSteps(answers)].join('\n  ');
}

/** Runs a Node program in the folder. Its output is part of the error if it fails. */
function runIn(cwd, ...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')} failed:\n${stdout}${stderr}`);
}
