// The repository: the rules of docs/lessons.md, the build context, secrets, and the state of the checkout.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execute, fail, filesIn, ok, read, readCode, warn } from './check.mjs';
import { nonPortable } from './dockerfile.mjs';
import { prefixOf, readApis, readGrants, readVariableNames, readVariables } from './lists.mjs';
import { manifestProbe, PROBES, settingOf } from './manifest.mjs';

/** @type {import('./check.mjs').Checks} */
export const repository = {
  'repository.infrastructure': infrastructure,
  'repository.roles': roles,
  'repository.dockerfile': dockerfile,
  'repository.port': port,
  'repository.latest': latest,
  'repository.commit': commit,
  'repository.build-log': buildLog,
  'repository.probes': probes,
  'repository.actions': actions,
  'repository.secrets': secrets,
  'repository.context': context,
  'repository.clean': clean,
  'repository.branch': branch,
  'repository.pushed': pushed,
  'repository.variables': variables,
};

const workflows = () => [
  ...filesIn('.github/workflows'),
  ...filesIn('.github/actions').map((folder) => join(folder, 'action.yml')),
];
const steps = () => [...filesIn('deploy/pipeline'), 'deploy/lib/pipeline.sh'];

// ── 1. Explicit infrastructure

function infrastructure() {
  const commands = steps().flatMap((file) =>
    [...readCode(file).matchAll(/\bgcloud ((?:[a-z][a-z-]* )+)/g)].map(([, words]) => ({
      file,
      command: words.trim(),
    })),
  );
  const created = commands.find(({ command }) =>
    /\b(create|enable|deploy|delete|add-iam-policy-binding)\b/.test(command),
  );
  if (created) {
    return fail(
      `${created.file} runs gcloud ${created.command}, which needs more permissions than the deployer has`,
      'Move it to deploy/bootstrap.sh, which a person runs',
    );
  }
  const callers = new Set(['gcloud auth', ...readApis().map(({ caller }) => caller)]);
  const missing = commands.map(({ command }) => `gcloud ${command.split(' ')[0]}`).find((group) => !callers.has(group));
  return missing
    ? fail(`deploy/apis.txt has no API for ${missing}`, 'Add it: deploy/bootstrap.sh enables the APIs of the list')
    : ok('the pipeline creates nothing, and deploy/apis.txt has its APIs');
}

// ── 2. Least privilege

function roles() {
  const grants = readGrants();
  const wide = grants.find(({ role }) => /roles\/(owner|editor|viewer)$|[.\w]admin$|Admin$/.test(role));
  if (wide) return fail(`deploy/grants.txt has ${wide.role}`, 'Grant the narrowest role that works, on one resource');
  return grants.length > 0
    ? ok(`${grants.length} grants, none of them basic or administrative`)
    : fail('deploy/grants.txt has no grants', 'git log -p -- deploy/grants.txt');
}

// ── 3. A portable Dockerfile

function dockerfile() {
  const [line] = nonPortable(read('docker/Dockerfile'));
  return line
    ? fail(line, 'Remove it from docker/Dockerfile, or stop using the builder cloud-build')
    : ok('builds with every builder');
}

// ── 4. One port

const PORTS = {
  'src/platform/config/env.ts': /^ {2}PORT = (\d+)/gm,
  '.env.example': /^PORT=(\d+)$/gm,
  'docker/Dockerfile': /^EXPOSE (\d+)$/gm,
  'docker/compose.yaml': /^ {2}service:\n(?: {4}.*\n)*? +- '?[\d.]+:\d+:(\d+)'?$/gm,
  'deploy/service.yaml': /containerPort: (\d+)/g,
};

function port() {
  const found = Object.entries(PORTS).flatMap(([file, pattern]) =>
    [...read(file).matchAll(pattern)].map(([, number]) => ({ file, number })),
  );
  const numbers = new Set(found.map(({ number }) => number));
  if (numbers.size === 1) return ok([...numbers][0]);
  const list = found.map(({ file, number }) => `${file} ${number}`).join(', ');
  return fail(`several ports: ${list}`, 'Use the same port everywhere; the default of Cloud Run is 8080');
}

// ── 5. Deploy by digest

function latest() {
  const jobs = filesIn('deploy/jobs');
  const manifests = ['deploy/cloudbuild.yaml', 'deploy/service.yaml', 'deploy/migrate-job.yaml', ...jobs];
  const files = [...workflows(), ...steps(), ...manifests, 'docker/Dockerfile', 'docker/compose.yaml'];
  const found = files.find((file) => /[:/]latest\b|--to-latest|latestRevision/.test(readCode(file)));
  return found
    ? fail(`${found} uses latest, which changes over time`, 'Name a version, a commit, a digest or a revision')
    : ok('no reference to latest');
}

/** File, what it must contain, and what that means. */
const DIGEST_RULES = [
  ['deploy/pipeline/build.sh', /^image=\$IMAGE_NAME:\$GITHUB_SHA$/m, 'tags the image with the commit'],
  [
    '.github/workflows/deploy.yml',
    /^ {6}digest: \$\{\{ steps\.build\.outputs\.digest \}\}$/m,
    'passes on the digest of the build',
  ],
  ['deploy/pipeline/migrate.sh', /\bIMAGE=\$IMAGE_NAME@\$DIGEST\b/, 'migrates with this digest'],
  ['deploy/pipeline/candidate.sh', /^ *IMAGE=\$IMAGE_NAME@\$DIGEST$/m, 'deploys this digest'],
  ['deploy/pipeline/smoke.sh', /== "\$GITHUB_SHA"/, 'compares the commit of the candidate'],
];

function commit() {
  const broken = DIGEST_RULES.find(([file, pattern]) => !pattern.test(readCode(file)));
  return broken
    ? fail(`${broken[0]} no longer ${broken[2]}`, `git log -p -- ${broken[0]}`)
    : ok('the image of one commit is built, migrated, deployed and verified');
}

// ── 6. Readable build logs

function buildLog() {
  const build = readCode('deploy/pipeline/build.sh');
  if (!/gcloud builds submit/.test(build)) return ok('Cloud Build is not used');
  return /--gcs-log-dir=/.test(build) &&
    !/--async|--suppress-logs/.test(build) &&
    /logging: GCS_ONLY/.test(readCode('deploy/cloudbuild.yaml'))
    ? ok('Cloud Build logs to a bucket of the project, and the workflow prints the log')
    : fail(
        'Cloud Build logs to a bucket that the deployer cannot read',
        'Set --gcs-log-dir in deploy/pipeline/build.sh and logging: GCS_ONLY in deploy/cloudbuild.yaml',
      );
}

// ── Probe windows

/** The limit in Google's documentation of startup probes. */
const MAX_STARTUP_S = 240;
/** The duration of a database failover. */
const MIN_READINESS_S = 30;

function probes({ options }) {
  const [startup, liveness, readiness] = PROBES.map(manifestProbe);
  const connectS = settingOf('DATABASE_STARTUP_WARN_AFTER_MS', options.environment) / 1_000;
  const rules = [
    [startup && liveness && readiness, 'a startup, a liveness and a readiness probe are required'],
    [startup?.path === '/health/startup', 'the startup probe must request /health/startup'],
    [liveness?.path === '/health/live', 'the liveness probe must request /health/live, which depends on nothing else'],
    [readiness?.path === '/health/ready', 'the readiness probe must request /health/ready'],
    [
      startup?.window >= 2 * connectS,
      `a start may take ${startup?.window} s, but needs twice the ${connectS} s to connect`,
    ],
    [
      startup?.window <= MAX_STARTUP_S,
      `a start may take ${startup?.window} s, but Cloud Run allows ${MAX_STARTUP_S} s`,
    ],
    [!startup?.initialDelaySeconds, 'initialDelaySeconds delays every start'],
    [
      readiness?.window >= MIN_READINESS_S,
      `readiness fails after ${readiness?.window} s without the database, on all instances at once`,
    ],
    ...[startup, liveness, readiness].map((probe) => [
      probe?.timeoutSeconds <= probe?.periodSeconds,
      `the timeout of ${probe?.path} exceeds its period`,
    ]),
  ];
  const broken = rules.find(([holds]) => !holds);
  return broken
    ? fail(`deploy/service.yaml: ${broken[1]}`, 'docs/deployment/runtime.md, "Startup time budget", has the formula')
    : ok(`a start may take ${startup.window} s, of which ${connectS} s to connect`);
}

// ── No keys

function actions() {
  const uses = workflows().flatMap((file) =>
    [...readCode(file).matchAll(/\buses: *['"]?(\S+?)['"]?(?: .*)?$/gm)].map(([, action]) => ({ file, action })),
  );
  const unpinned = uses.find(
    ({ action }) => !action.startsWith('./') && !/@[\da-f]{40}$|^docker:.*@sha256:[\da-f]{64}$/.test(action),
  );
  return unpinned
    ? fail(
        `${unpinned.file} uses ${unpinned.action}, which its owner can change`,
        'Pin the commit, with the version in a comment',
      )
    : ok(`${uses.length} uses, all pinned`);
}

const SECRET = /(^|\/)(\.env(\.[^/]+)?|key\.json|gha-creds-[^/]*\.json|[^/]+\.(pem|p12|key))$/;

async function secrets() {
  const pattern = /\$\{\{[^}]*\bsecrets\.(?!GITHUB_TOKEN\b)|credentials_json/;
  const used = workflows().find((file) => pattern.test(readCode(file)));
  if (used)
    return fail(
      `${used} uses a secret or a key`,
      'Sign in with workload_identity_provider of google-github-actions/auth',
    );
  const { succeeded, output } = await execute('git', ['ls-files']);
  if (!succeeded) return warn('git does not list its files', 'git init');
  const tracked = output.split('\n').filter((file) => SECRET.test(file) && file !== '.env.example');
  return tracked.length > 0
    ? fail(
        `git tracks ${tracked.join(', ')}`,
        `git rm --cached ${tracked.join(' ')}, then revoke the credentials in it`,
      )
    : ok('none in git and in the workflows');
}

// ── The build context

/** These must be excluded even if this checkout does not have them. */
const NEVER_IN_IMAGE = [
  ...['.env', '.env.production', 'key.json', 'gha-creds-0123456789abcdef.json', '.git/config', '.data/api-key'],
  ...['src/.env', 'src/key.json', 'src/platform/auth/gha-creds-0123456789abcdef.json'],
];

function context() {
  const patterns = read('.dockerignore')
    .split('\n')
    .filter((line) => line.trim() && !line.startsWith('#'));
  const relative = patterns.find((pattern) => !/^!?\//.test(pattern));
  if (relative)
    return fail(`Docker and gcloud read ${relative} in .dockerignore differently`, 'Start the pattern with a slash');
  const sources = readdirSync('src', { recursive: true }).map((file) => `src/${file.replaceAll('\\', '/')}`);
  const included = [...NEVER_IN_IMAGE, ...sources.filter((file) => SECRET.test(file))].filter(
    (file) => !isIgnored(file, patterns),
  );
  if (included.length > 0) {
    return fail(
      `.dockerignore lets ${included.join(', ')} into the image`,
      'Exclude it in .dockerignore, or move it out of src/',
    );
  }
  return /^#!include:\.dockerignore$/m.test(read('.gcloudignore'))
    ? ok('the build context contains no secret')
    : fail(
        '.gcloudignore does not include .dockerignore, so Cloud Build gets more files',
        'Start .gcloudignore with #!include:.dockerignore',
      );
}

const WILDCARDS = { '**/': '(.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]' };

/** Applies the patterns as Docker does: the last pattern that matches the file or a parent folder decides. */
function isIgnored(file, patterns) {
  const parts = file.split('/');
  const paths = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
  const deciding = patterns.findLast((pattern) => {
    const escaped = pattern.replace(/^!?\//, '').replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
    const expression = new RegExp(`^${escaped.replaceAll(/\*\*\/|\*\*|\*|\?/g, (wildcard) => WILDCARDS[wildcard])}$`);
    return paths.some((path) => expression.test(path));
  });
  return deciding !== undefined && !deciding.startsWith('!');
}

// ── The state of the checkout

/** Runs git without the lock that `git status` takes. */
const git = (...args) => execute('git', ['--no-optional-locks', ...args]);

async function clean() {
  const { succeeded, output } = await git('status', '--porcelain');
  if (!succeeded) return warn('not a git repository', 'git init');
  const count = output ? output.split('\n').length : 0;
  return count > 0
    ? warn(`${count} files are not committed, so they will not be deployed`, 'git status')
    : ok('everything is committed');
}

async function branch() {
  const { succeeded, output } = await git('symbolic-ref', '--short', 'HEAD');
  if (succeeded && output === 'main') return ok('main');
  return warn(`${output || 'no branch'} is checked out; Deploy runs on main`, 'git switch main');
}

async function pushed() {
  const { succeeded, output } = await git('rev-list', '--count', '@{upstream}..HEAD');
  if (!succeeded) return warn('the branch is not on GitHub yet', 'git push --set-upstream origin main');
  return output === '0' ? ok('GitHub has every commit') : warn(`${output} commits are not pushed`, 'git push');
}

async function variables({ options }) {
  const { values, problem } = await readVariables(options);
  if (problem) return warn(`cannot read the repository variables: ${problem.detail}`, problem.fix);
  const required = readVariableNames().filter(({ option }) => option === 'always');
  const missing = required.map(({ name }) => prefixOf(options) + name).filter((name) => !values[name]);
  return missing.length > 0
    ? warn(
        `missing for ${options.environment}: ${missing.join(', ')}`,
        'deploy/bootstrap.sh --set-vars (with the options of docs/deployment/recipes.md)',
      )
    : ok(`all are set for ${options.environment}`);
}
