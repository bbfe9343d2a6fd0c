// `npm run init -- --name orders-api`: makes the clone the team's own service, in one commit. Everything happens in a
// worktree beside this one, which gets the commit when it is there: whatever fails, nothing is half done.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ask } from './ask.mjs';
import { makeOwn } from './make-own.mjs';

const RECORD = '.template.json';
const USAGE = `Usage: npm run init -- --name orders-api [--title "Orders API"] [--description "Takes orders"] [--owner "Acme Ltd"]
  [--region europe-west1] [--remove-example] [--keep-template] [--yes] [--dry-run]`;

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

try {
  const { 'dry-run': dryRun = false, ...options } = parse();
  const answers = await ask(options);
  refuseUnfit(answers);
  await init(answers, dryRun);
} catch (error) {
  if (error.name !== 'ExitPromptError') console.error(error.message); // Ctrl-C at a prompt needs no words
  process.exitCode = 1;
}

function parse() {
  const text = { type: 'string' };
  const flag = { type: 'boolean' };
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...{ name: text, title: text, description: text, owner: text, region: text },
      ...{ 'remove-example': flag, 'keep-template': flag, yes: flag, 'dry-run': flag },
    },
  });
  // Without the `--` npm takes the options for its own, and hands on what is left of them.
  if (positionals.length > 0 || process.env.npm_config_name) throw new Error(USAGE);
  if (!values.name && (values.yes || !process.stdin.isTTY)) throw new Error(USAGE);
  return values;
}

function refuseUnfit({ region }) {
  if (region && !/^[a-z]+-[a-z]+\d+$/.test(region))
    throw new Error(`--region ${region}: a region is like europe-west1.`);
  if (existsSync(RECORD)) throw new Error(`This is ${readJson(RECORD).answers.name} already: ${RECORD} says so.`);
  if (spawnSync('git', ['rev-parse', '--verify', 'HEAD']).status !== 0) {
    throw new Error('There is no commit to begin from. Clone the starter, or run: git init && git add . && git commit');
  }
  if (git('status', '--porcelain'))
    throw new Error('There are changes that are not committed. Commit or stash them first.');
  if (spawnSync('git', ['var', 'GIT_COMMITTER_IDENT']).status !== 0) {
    throw new Error('git does not know who you are. Run: git config user.name … and git config user.email …');
  }
}

async function init(answers, dryRun) {
  const parent = mkdtempSync(join(tmpdir(), 'init-'));
  const folder = join(parent, 'worktree');
  git('worktree', 'add', '--quiet', '--detach', folder, 'HEAD');
  try {
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'), 'junction');
    const template = readJson('package.json');
    await makeOwn(folder, answers);
    writeFileSync(join(folder, RECORD), `${JSON.stringify(recordOf(template, answers), undefined, 2)}\n`);
    // Only what nobody needs any more goes from the lock file.
    const npm = ['install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    runIn(folder, process.env.npm_execpath, ...npm);
    runIn(folder, 'tools/dev/openapi.mjs');
    gitIn(folder, 'add', '--all', '--', '.', ':!node_modules');
    if (dryRun) return console.log(gitIn(folder, 'diff', '--cached', '--stat', '--patch'));
    const message = `chore: make ${answers.name} from ${template.name} ${template.version}`;
    // The files are formatted already, and the hooks would not find what is installed here.
    gitIn(folder, 'commit', '--quiet', '--no-verify', '--message', message);
    git('merge', '--quiet', '--ff-only', gitIn(folder, 'rev-parse', 'HEAD'));
    logNextSteps(answers);
  } finally {
    git('worktree', 'remove', '--force', folder);
    rmSync(parent, { recursive: true, force: true });
  }
}

/** Where the clone came from, for `npm run template:diff`. */
function recordOf({ name, version }, answers) {
  return { template: name, version, commit: git('rev-parse', 'HEAD'), answers };
}

function logNextSteps({ name, region = 'REGION' }) {
  console.log(`This is ${name} now, in one commit. Next:
  npm run check
  npx nest generate resource invoices number:string:unique,amountCents:int
  deploy/bootstrap.sh --project PROJECT --region ${region} --repo OWNER/${name}`);
}

function git(...args) {
  return gitIn('.', ...args);
}

function gitIn(cwd, ...args) {
  return execFileSync('git', args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 28 }).trim();
}

/** Runs a Node program in the folder; what it says is told only when it fails. */
function runIn(cwd, ...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')} failed:\n${stdout}${stderr}`);
}
