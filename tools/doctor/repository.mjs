// What a deployment from this repository would meet: the six lessons as they are held by its files, what gets into the
// image, and whether the commit is the one that GitHub has.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ask, code, fail, filesOf, ok, read, warn } from './check.mjs';
import { unportable } from './dockerfile.mjs';
import { documentedGrants, readGrants, sentence } from './grants.mjs';
import { probeOf, settingOf } from './manifest.mjs';
import { askVariables, missingVariables } from './variables.mjs';

const workflows = () => filesOf('.github/workflows');
const steps = () => filesOf('deploy/pipeline');

/** Names of APIs, by the command group of gcloud that calls them. */
const APIS = {
  artifacts: 'artifactregistry',
  builds: 'cloudbuild',
  logging: 'logging',
  run: 'run',
  secrets: 'secretmanager',
};

// ── 1. A workflow is asked nothing, and makes no infrastructure

const infrastructure = {
  id: 'repository.infrastructure',
  run() {
    const commands = steps().flatMap((file) =>
      [...code(file).matchAll(/\bgcloud ((?:[a-z][a-z-]* )+)/g)].map(([, words]) => ({ file, command: words.trim() })),
    );
    const made = commands.find(({ command }) =>
      /\b(create|enable|deploy|delete|add-iam-policy-binding)\b/.test(command),
    );
    if (made) {
      return fail(
        `${made.file} has gcloud ${made.command}, for which the deployer would need more rights`,
        'Move it to deploy/bootstrap.sh, which a person runs',
      );
    }
    const enabled = code('deploy/bootstrap.sh').match(/\b[a-z]+\b/g) ?? [];
    const groups = new Set(commands.map(({ command }) => command.split(' ')[0]).filter((group) => group !== 'auth'));
    const off = [...groups].map((group) => APIS[group] ?? group).filter((api) => !enabled.includes(api));
    return off.length > 0
      ? fail(`deploy/bootstrap.sh does not enable ${off.join(', ')}`, 'Add it to enable_apis in deploy/bootstrap.sh')
      : ok('the steps make nothing, and bootstrap.sh enables their APIs');
  },
};

// ── 2. Three keys

const roles = {
  id: 'repository.roles',
  run() {
    const grants = readGrants();
    const wide = grants.find(({ role }) => /roles\/(owner|editor|viewer)$|[.\w]admin$|Admin$/.test(role));
    if (wide)
      return fail(
        `deploy/grants.txt has ${wide.role}`,
        'Name the narrowest role that works, on the one thing that it is for',
      );
    const listed = documentedGrants();
    const granted = grants.map(sentence);
    const missing = granted.filter((grant) => !listed.includes(grant));
    const stale = listed.filter((grant) => !granted.includes(grant));
    if (grants.length > 0 && missing.length + stale.length === 0)
      return ok(`${grants.length} grants, as DEPLOYMENT.md lists them`);
    return fail(
      [
        missing.length > 0 && `DEPLOYMENT.md does not list: ${missing.join('; ')}`,
        stale.length > 0 && `deploy/grants.txt has no: ${stale.join('; ')}`,
        grants.length === 0 && 'deploy/grants.txt has no grant',
      ]
        .filter(Boolean)
        .join('. '),
      'Correct the table "Who may do what" in DEPLOYMENT.md, or deploy/grants.txt',
    );
  },
};

// ── 3. The Dockerfile is for every builder

const dockerfile = {
  id: 'repository.dockerfile',
  run() {
    const lines = unportable(read('docker/Dockerfile'));
    return lines.length > 0
      ? fail(lines[0], 'Take it out of docker/Dockerfile, or give up the builder cloud-build')
      : ok('every builder takes it');
  },
};

// ── 4. One port

const PORTS = {
  'src/platform/config/env.ts': /^ {2}PORT = (\d+)/gm,
  '.env.example': /^PORT=(\d+)$/gm,
  'docker/Dockerfile': /^EXPOSE (\d+)$/gm,
  'docker/compose.yaml': /^ +- '?[\d.]+:\d+:(\d+)'?$/gm,
  'deploy/service.yaml': /containerPort: (\d+)/g,
};

const port = {
  id: 'repository.port',
  run() {
    const found = Object.entries(PORTS).flatMap(([file, pattern]) =>
      [...read(file).matchAll(pattern)].map(([, number]) => ({ file, number })),
    );
    const numbers = new Set(found.map(({ number }) => number));
    if (numbers.size === 1) return ok([...numbers][0]);
    const list = found.map(({ file, number }) => `${file} ${number}`).join(', ');
    return fail(
      `not one but several: ${list}`,
      'Write the same number in each; Cloud Run expects 8080 unless it is told another',
    );
  },
};

// ── 5. The coat check

const latest = {
  id: 'repository.latest',
  run() {
    const files = [
      ...workflows(),
      ...steps(),
      ...['deploy/cloudbuild.yaml', 'deploy/service.yaml', 'deploy/migrate-job.yaml'],
      ...['docker/Dockerfile', 'docker/compose.yaml'],
    ];
    const found = files.find((file) => /[:/]latest\b|--to-latest|latestRevision/.test(code(file)));
    return found
      ? fail(
          `${found} says latest, which is another thing a moment later`,
          'Name a version, a commit, a digest or a revision',
        )
      : ok('nothing is called latest');
  },
};

/** File, what it must say, and what that means. */
const COAT_CHECK = [
  ['deploy/pipeline/build.sh', /^image=\$IMAGE_NAME:\$GITHUB_SHA$/m, 'names the image by the commit'],
  [
    '.github/workflows/deploy.yml',
    /^ {6}digest: \$\{\{ steps\.build\.outputs\.digest \}\}$/m,
    'hands on the digest of the build',
  ],
  ['deploy/pipeline/migrate.sh', /\bIMAGE=\$IMAGE_NAME@\$DIGEST\b/, 'migrates that digest'],
  ['deploy/pipeline/candidate.sh', /^IMAGE=\$IMAGE_NAME@\$DIGEST$/m, 'deploys that digest'],
  ['deploy/pipeline/smoke.sh', /== "\$GITHUB_SHA"/, 'asks the candidate for the commit'],
];

const commit = {
  id: 'repository.commit',
  run() {
    const broken = COAT_CHECK.find(([file, pattern]) => !pattern.test(code(file)));
    return broken
      ? fail(`${broken[0]} no longer ${broken[2]}`, `git log -p -- ${broken[0]}`)
      : ok('one commit is built, migrated, deployed and asked for');
  },
};

// ── 6. Own log bucket

const buildLog = {
  id: 'repository.build-log',
  run() {
    const build = code('deploy/pipeline/build.sh');
    if (!/gcloud builds submit/.test(build)) return ok('Cloud Build is not used');
    return /--gcs-log-dir=/.test(build) &&
      !/--async|--suppress-logs/.test(build) &&
      /logging: GCS_ONLY/.test(code('deploy/cloudbuild.yaml'))
      ? ok('Cloud Build writes into a bucket of ours, and the workflow shows it')
      : fail(
          'Cloud Build would log where the deployer may not read',
          'Give gcloud builds submit --gcs-log-dir in deploy/pipeline/build.sh, and deploy/cloudbuild.yaml logging: GCS_ONLY',
        );
  },
};

// ── Probes, each in its window

/** The longest that both of Google's documents on startup probes allow. */
const MAX_START_S = 240;
/** As long as a database takes to fail over. */
const MIN_READINESS_S = 30;

const probes = {
  id: 'repository.probes',
  run() {
    const [startup, liveness, readiness] = ['startupProbe', 'livenessProbe', 'readinessProbe'].map(probeOf);
    const budget = settingOf('DATABASE_STARTUP_WARN_AFTER_MS') / 1_000;
    const wrong =
      [
        [!startup || !liveness || !readiness, 'a startup, a liveness and a readiness probe must be there'],
        [startup?.path !== '/health/startup', 'the startup probe must ask /health/startup'],
        [liveness?.path !== '/health/live', 'the liveness probe must ask /health/live, which looks at nothing else'],
        [readiness?.path !== '/health/ready', 'the readiness probe must ask /health/ready'],
        [
          !(startup?.window >= 2 * budget),
          `a start gets ${startup?.window} s, and needs twice the ${budget} s to connect`,
        ],
        [startup?.window > MAX_START_S, `a start gets ${startup?.window} s, and Cloud Run allows ${MAX_START_S}`],
        [startup?.initialDelaySeconds > 0, 'initialDelaySeconds delays every start'],
        [
          !(readiness?.window >= MIN_READINESS_S),
          `readiness gives up after ${readiness?.window} s, on all instances at once`,
        ],
        ...[startup, liveness, readiness].map((probe) => [
          probe?.timeoutSeconds > probe?.periodSeconds,
          `${probe?.path} may take longer than its period`,
        ]),
      ].find(([holds]) => holds) ?? [];
    return wrong.length > 0
      ? fail(
          `deploy/service.yaml: ${wrong[1]}`,
          'DEPLOYMENT.md, "Time to connect", has the formula; npm test -- test/deploy',
        )
      : ok(`a start gets ${startup.window} s, of which ${budget} s to connect`);
  },
};

// ── No keys

const actions = {
  id: 'repository.actions',
  run() {
    const uses = workflows().flatMap((file) =>
      [...code(file).matchAll(/\buses: *['"]?(\S+?)['"]?(?: .*)?$/gm)].map(([, action]) => ({ file, action })),
    );
    const loose = uses.find(({ action }) => !action.startsWith('./') && !/@[\da-f]{40}$/.test(action));
    return loose
      ? fail(
          `${loose.file} uses ${loose.action}, which its owner can change`,
          'Name the commit, and its version in a comment behind it',
        )
      : ok(`${uses.length} uses, each of a commit`);
  },
};

const SECRET = /(^|\/)(\.env(\.[^/]+)?|key\.json|gha-creds-[^/]*\.json|[^/]+\.(pem|p12|key))$/;

const secrets = {
  id: 'repository.secrets',
  async run() {
    const used = workflows().find((file) =>
      /\$\{\{[^}]*\bsecrets\.(?!GITHUB_TOKEN\b)|credentials_json/.test(code(file)),
    );
    if (used)
      return fail(
        `${used} uses a secret or a key`,
        'Sign in by google-github-actions/auth with workload_identity_provider',
      );
    const { succeeded, output } = await ask('git', ['ls-files']);
    if (!succeeded) return warn('git does not tell which files it has', 'git init');
    const tracked = output.split('\n').filter((file) => SECRET.test(file) && file !== '.env.example');
    return tracked.length > 0
      ? fail(`git has ${tracked.join(', ')}`, `git rm --cached ${tracked.join(' ')}, and make what is in it worthless`)
      : ok('neither git nor the workflows have any');
  },
};

// ── What gets into the image

/** Whether there is such a file or not: the next checkout may have it. */
const NEVER_IN_IMAGE = [
  ...['.env', '.env.production', 'key.json', 'gha-creds-0123456789abcdef.json', '.git/config', '.data/api-key'],
  ...['src/.env', 'src/key.json', 'src/platform/auth/gha-creds-0123456789abcdef.json'],
];

const context = {
  id: 'repository.context',
  run() {
    const patterns = read('.dockerignore')
      .split('\n')
      .filter((line) => line.trim() && !line.startsWith('#'));
    const loose = patterns.find((pattern) => !/^!?\//.test(pattern));
    if (loose)
      return fail(`.dockerignore has ${loose}, which Docker and gcloud read differently`, 'Begin it with a slash');
    const files = [...NEVER_IN_IMAGE, ...sourceFiles().filter((file) => SECRET.test(file))];
    const entering = files.filter((file) => enters(file, patterns));
    if (entering.length > 0)
      return fail(
        `.dockerignore lets ${entering.join(', ')} into the image`,
        'Exclude it in .dockerignore, or move it out of src/',
      );
    return /^#!include:\.dockerignore$/m.test(read('.gcloudignore'))
      ? ok('no secret can get in')
      : fail(
          '.gcloudignore does not include .dockerignore, so Cloud Build would be sent more',
          'Begin .gcloudignore with #!include:.dockerignore',
        );
  },
};

const sourceFiles = () =>
  readdirSync('src', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).replaceAll('\\', '/'));

/** As Docker goes by it: the last pattern decides that fits the file or a folder above it. */
function enters(file, patterns) {
  const parts = file.split('/');
  const paths = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
  let excluded = false;
  for (const pattern of patterns) {
    const expression = new RegExp(
      `^${pattern
        .replace(/^!?\//, '')
        .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
        .replaceAll(
          /\*\*\/|\*\*|\*|\?/g,
          (wild) => ({ '**/': '(.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]' })[wild],
        )}$`,
    );
    if (paths.some((path) => expression.test(path))) excluded = !pattern.startsWith('!');
  }
  return !excluded;
}

// ── The state of the checkout

/** What git says, without the lock that `git status` takes to write what it has found. */
const git = (...args) => ask('git', ['--no-optional-locks', ...args]);

const clean = {
  id: 'repository.clean',
  async run() {
    const { succeeded, output } = await git('status', '--porcelain');
    if (!succeeded) return warn('this is no git repository', 'git init');
    const count = output ? output.split('\n').length : 0;
    return count > 0
      ? warn(`${count} files are not committed, and so not deployed`, 'git status')
      : ok('everything is committed');
  },
};

const branch = {
  id: 'repository.branch',
  async run() {
    const { succeeded, output } = await git('symbolic-ref', '--short', 'HEAD');
    if (succeeded && output === 'main') return ok('main');
    return warn(`${output || 'no branch'} is checked out, and Deploy runs on main`, 'git switch main');
  },
};

const pushed = {
  id: 'repository.pushed',
  async run() {
    const { succeeded, output } = await git('rev-list', '--count', '@{upstream}..HEAD');
    if (!succeeded) return warn('the branch is not on GitHub yet', 'git push --set-upstream origin main');
    return output === '0' ? ok('GitHub has every commit') : warn(`${output} commits are only here`, 'git push');
  },
};

const variables = {
  id: 'repository.variables',
  async run({ options }) {
    const { values, problem } = await askVariables(options);
    if (problem) return warn(`the repository variables cannot be read: ${problem.detail}`, problem.fix);
    const missing = missingVariables(values, options);
    return missing.length > 0
      ? warn(
          `missing for ${options.environment}: ${missing.join(', ')}`,
          'deploy/bootstrap.sh --set-vars (with the options of DEPLOYMENT.md)',
        )
      : ok(`all are set for ${options.environment}`);
  },
};

/** @type {import('./check.mjs').Check[]} */
export const repository = [
  ...[infrastructure, roles, dockerfile, port, latest, commit, buildLog, probes],
  ...[actions, secrets, context, clean, branch, pushed, variables],
];
