import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startPostgres } from '../../tools/dev/postgres.mjs';
import { repository } from '../../tools/doctor/repository.mjs';
import { explain, TROUBLES } from '../../tools/doctor/troubles.mjs';
import { createTestDatabase, type TestDatabase } from '../../test/support/test-database.js';

interface Finding {
  id: string;
  status: 'ok' | 'warn' | 'fail';
  detail: string;
  fix: string;
}

const root = mkdtempSync(join(tmpdir(), 'doctor-'));
const home = join(root, 'home');
/** git and nothing else: no npm, gh or gcloud. */
const bin = join(root, 'bin');
/** What `git clone` leaves: the files, committed, on main. */
const fresh = join(root, 'fresh');

/** The clone that a test works on: all share one, and take back what they change. */
let clone = fresh;
const undoing: (() => void)[] = [];
afterEach(() => {
  for (const undo of undoing.splice(0).toReversed()) undo();
});

beforeAll(() => {
  for (const folder of [home, bin]) mkdirSync(folder);
  symlinkSync(spawnSync('which', ['git'], { encoding: 'utf8' }).stdout.trim(), join(bin, 'git'));
  const own = ['.git', '.data', 'node_modules', 'build', 'dist', 'coverage', '.env'];
  // These no check reads: it is about a hundred copies.
  const left = new Set([...own, 'docs', 'template', 'test'].map((name) => resolve(name)));
  cpSync('.', fresh, { recursive: true, filter: (source) => !left.has(resolve(source)) });
  git(fresh, 'init', '--quiet', '--initial-branch=main');
  commitAll(fresh);
});
afterAll(() => rmSync(root, { recursive: true }));

function git(folder: string, ...args: string[]) {
  const { status, stderr } = spawnSync('git', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}
function commitAll(folder: string) {
  git(folder, 'add', '--all');
  git(folder, '-c', 'user.name=t', '-c', 'user.email=t@example.com', 'commit', '--quiet', '--no-verify', '-m', 'all');
}
/** The dependencies and the build of this repository are those of the clone, too. */
function install() {
  for (const folder of ['node_modules', 'build']) {
    symlinkSync(resolve(folder), join(clone, folder));
    undoing.push(() => rmSync(join(clone, folder)));
  }
}
function edit(file: string, from: string, to: string) {
  const path = join(clone, file);
  const text = readFileSync(path, 'utf8');
  if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  undoing.push(() => writeFileSync(path, text));
}
function add(file: string, text = '') {
  const path = join(clone, file);
  writeFileSync(path, text);
  undoing.push(() => rmSync(path));
}

async function doctor(args: string[] = [], env: NodeJS.ProcessEnv = {}, input = '') {
  const child = spawn(process.execPath, ['tools/doctor/doctor.mjs', ...args], {
    cwd: clone,
    // A port of its own: that of the service may be taken on this machine.
    env: { PATH: bin, HOME: home, PORT: '0', ...env },
    timeout: 15_000,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  child.stdin.end(input);
  const [status] = (await once(child, 'close')) as [number];
  return { status, stdout, stderr };
}
async function examine(env?: NodeJS.ProcessEnv) {
  const { stdout, status, stderr } = await doctor(['--json'], env);
  expect(stderr).toBe('');
  const { checks } = JSON.parse(stdout) as { checks: Finding[] };
  return { status, checks, find: (id: string) => checks.find((check) => check.id === id) };
}

/** Every file below a folder: path, time of change, and what is in it. */
function listing(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => {
    const path = join(folder, name);
    const stats = lstatSync(path);
    const content = stats.isFile() ? createHash('sha1').update(readFileSync(path)).digest('hex') : '';
    return `${name} ${stats.mtimeMs} ${content}`;
  });
}

describe('a fresh clone, without npm, gh, gcloud, dependencies, database and .env', () => {
  it('has warnings at most, each with what to do', async () => {
    const { status, checks } = await examine();
    expect(status).toBe(0);
    expect(checks.map(({ id }) => id)).toEqual([
      'local.node',
      'local.npm',
      'local.dependencies',
      'local.env',
      'local.port',
      'local.database',
      'local.migrations',
      'repository.infrastructure',
      'repository.roles',
      'repository.dockerfile',
      'repository.port',
      'repository.latest',
      'repository.commit',
      'repository.build-log',
      'repository.probes',
      'repository.actions',
      'repository.secrets',
      'repository.context',
      'repository.clean',
      'repository.branch',
      'repository.pushed',
      'repository.variables',
    ]);
    for (const { id, status: verdict, detail, fix } of checks) {
      expect([id, verdict]).not.toContain('fail');
      expect(detail).not.toBe('');
      expect([id, fix === '']).toEqual([id, verdict === 'ok']);
    }
    expect(checks.filter(({ status: verdict }) => verdict === 'warn').map(({ id }) => id)).toEqual([
      'local.npm',
      'local.dependencies',
      'repository.pushed',
      'repository.variables',
    ]);
  });

  it('shows people a table', async () => {
    const { stdout } = await doctor();
    expect(stdout).toMatch(/^warn {2}local\.dependencies +not what package-lock\.json says.*\n +→ npm ci$/m);
    expect(stdout).toMatch(/\n18 ok, 4 warnings, 0 failures\n$/);
  });

  it.each([['--json'], ['--cloud', '--json'], ['--explain']])(
    'is left as it was by %s %s, and so is the home folder',
    async (...args) => {
      // With all that this machine has.
      const path = { PATH: [bin, process.env.PATH].join(delimiter) };
      const before = [listing(clone), listing(home)];
      await doctor(args, path, 'nothing');
      expect([listing(clone), listing(home)]).toEqual(before);
    },
  );

  it('refuses an option that there is not, in one line', async () => {
    const { status, stderr, stdout } = await doctor(['--clowd']);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr.trim()).toMatch(/^Unknown option '--clowd'.*$/);
  });

  it('is told to name the project, with --cloud', async () => {
    const { status, stdout } = await doctor(['--cloud', '--json']);
    expect(status).toBe(1);
    const { checks } = JSON.parse(stdout) as { checks: Finding[] };
    expect(checks.at(-1)).toEqual({
      id: 'cloud.project',
      status: 'fail',
      detail: 'the project is not known: gh is not installed',
      fix: 'npm run doctor -- --cloud --project ID --region REGION --service NAME',
    });
  });
});

describe('repository: what the files say', () => {
  // In this process and one check alone: there are many files to be changed.
  const here = process.cwd();
  beforeEach(() => process.chdir(clone));
  afterEach(() => process.chdir(here));
  const verdict = (id: string) => repository.find((check) => check.id === id)!.run({});

  it.each([
    [
      'repository.infrastructure',
      'deploy/pipeline/build.sh',
      'find_image\nif',
      'gcloud artifacts repositories create x\nfind_image\nif',
      /build\.sh has gcloud artifacts repositories create/,
    ],
    [
      'repository.infrastructure',
      'deploy/bootstrap.sh',
      "iamcredentials sts secretmanager logging'",
      "iamcredentials sts logging'",
      /does not enable secretmanager/,
    ],
    [
      'repository.roles',
      'deploy/grants.txt',
      'roles/run.developer                     service',
      'roles/run.admin                         service',
      /has roles\/run\.admin/,
    ],
    [
      'repository.roles',
      'deploy/grants.txt',
      'always             deployer  roles/run.developer                     job',
      '#',
      /deploy\/grants\.txt has no: SERVICE-deploy run\.developer on the job/,
    ],
    [
      'repository.roles',
      'DEPLOYMENT.md',
      '| `logging.viewer` ',
      '| logging.viewer ',
      /does not list: SERVICE-deploy logging\.viewer on the project/,
    ],
    [
      'repository.dockerfile',
      'docker/Dockerfile',
      'RUN npm ci --ignore-scripts',
      'RUN --mount=type=cache,target=/x npm ci --ignore-scripts',
      /BuildKit/,
    ],
    ['repository.port', 'docker/Dockerfile', 'EXPOSE 8080', 'EXPOSE 3000', /docker\/Dockerfile 3000/],
    [
      'repository.port',
      'src/platform/config/env.ts',
      'PORT = 8080',
      'PORT = 3000',
      /src\/platform\/config\/env\.ts 3000/,
    ],
    [
      'repository.port',
      'deploy/service.yaml',
      'containerPort: 8080',
      'containerPort: 3000',
      /deploy\/service\.yaml 3000/,
    ],
    ['repository.port', '.env.example', 'PORT=8080', 'PORT=3000', /\.env\.example 3000/],
    [
      'repository.port',
      'docker/compose.yaml',
      "127.0.0.1:8080:8080'",
      "127.0.0.1:8080:3000'",
      /docker\/compose\.yaml 3000/,
    ],
    ['repository.latest', 'docker/Dockerfile', 'node:24-trixie-slim', 'node:latest', /docker\/Dockerfile says latest/],
    [
      'repository.latest',
      'deploy/pipeline/step.sh',
      '--to-revisions=',
      '--to-latest --to-revisions=',
      /step\.sh says latest/,
    ],
    [
      'repository.commit',
      'deploy/pipeline/build.sh',
      'image=$IMAGE_NAME:$GITHUB_SHA',
      'image=$IMAGE_NAME:main',
      /build\.sh no longer names the image by the commit/,
    ],
    [
      'repository.commit',
      '.github/workflows/deploy.yml',
      '      digest: ${{ steps.build.outputs.digest }}',
      '      image: x',
      /no longer hands on the digest/,
    ],
    [
      'repository.commit',
      'deploy/pipeline/candidate.sh',
      'IMAGE=$IMAGE_NAME@$DIGEST',
      'IMAGE=$IMAGE_NAME:$GITHUB_SHA',
      /no longer deploys that digest/,
    ],
    [
      'repository.build-log',
      'deploy/pipeline/build.sh',
      ' --gcs-log-dir=',
      ' --verbosity=',
      /log where the deployer may not read/,
    ],
    [
      'repository.build-log',
      'deploy/cloudbuild.yaml',
      'logging: GCS_ONLY',
      'logging: LEGACY',
      /log where the deployer may not read/,
    ],
    [
      'repository.probes',
      'deploy/service.yaml',
      'failureThreshold: 66',
      'failureThreshold: 20',
      /a start gets 20 s, and needs twice the 30 s/,
    ],
    [
      'repository.probes',
      'deploy/service.yaml',
      'failureThreshold: 66',
      'failureThreshold: 300',
      /Cloud Run allows 240/,
    ],
    [
      'repository.probes',
      'src/platform/config/env.ts',
      'DATABASE_STARTUP_WARN_AFTER_MS = 30_000',
      'DATABASE_STARTUP_WARN_AFTER_MS = 60_000',
      /needs twice the 60 s/,
    ],
    [
      'repository.probes',
      'deploy/service.yaml',
      'path: /health/live',
      'path: /health/ready',
      /must ask \/health\/live/,
    ],
    [
      'repository.probes',
      'deploy/service.yaml',
      'path: /health/startup',
      'path: /healthz',
      /must ask \/health\/startup/,
    ],
    ['repository.probes', 'deploy/service.yaml', 'startupProbe:', 'startProbe:', /must be there/],
    [
      'repository.probes',
      'deploy/service.yaml',
      '            periodSeconds: 1\n',
      '            periodSeconds: 1\n            initialDelaySeconds: 5\n',
      /delays every start/,
    ],
    ['repository.probes', 'deploy/service.yaml', 'timeoutSeconds: 5', 'timeoutSeconds: 15', /longer than its period/],
    [
      'repository.probes',
      'deploy/service.yaml',
      'failureThreshold: 3\n            successThreshold',
      'failureThreshold: 1\n            successThreshold',
      /gives up after 10 s/,
    ],
    [
      'repository.actions',
      '.github/workflows/ci.yml',
      'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1',
      'actions/checkout@v7',
      /ci\.yml uses actions\/checkout@v7/,
    ],
    [
      'repository.secrets',
      '.github/workflows/deploy.yml',
      '${{ env.GCP_DEPLOY_SERVICE_ACCOUNT }}',
      '${{ secrets.GCP_SA_KEY }}',
      /deploy\.yml uses a secret/,
    ],
    ['repository.context', '.dockerignore', '/src/**/key.json', '', /lets src\/key\.json into the image/],
    ['repository.context', '.dockerignore', '/*\n', '', /lets \.env, \.env\.production, key\.json/],
    [
      'repository.context',
      '.dockerignore',
      '/src/**/.env*',
      'src/**/.env*',
      /which Docker and gcloud read differently/,
    ],
    ['repository.context', '.gcloudignore', '#!include:.dockerignore', '', /does not include \.dockerignore/],
  ])('%s fails when %s is changed, %#', async (id, file, from, to, detail) => {
    edit(file, from, to);
    expect(await verdict(id)).toEqual({
      status: 'fail',
      detail: expect.stringMatching(detail),
      fix: expect.stringMatching(/\w/),
    });
  });

  it('a failure is the exit code, too', async () => {
    edit('docker/Dockerfile', 'EXPOSE 8080', 'EXPOSE 3000');
    const { status, checks } = await examine();
    expect(status).toBe(1);
    expect(checks.filter((check) => check.status === 'fail').map(({ id }) => id)).toEqual(['repository.port']);
  });

  it('a private key that lies among the sources does not get into the image', async () => {
    add('src/platform/auth/issuer.pem');
    expect(await verdict('repository.context')).toMatchObject({
      status: 'fail',
      detail: '.dockerignore lets src/platform/auth/issuer.pem into the image',
    });
  });

  it.each(['.env', 'key.json', 'deploy/gha-creds-0123.json', 'server.pem'])('git must not have %s', async (file) => {
    add(file);
    git(clone, 'add', '--force', file);
    undoing.push(() => git(clone, 'reset', '--quiet'));
    expect(await verdict('repository.secrets')).toMatchObject({ status: 'fail', detail: `git has ${file}` });
  });
});

describe('repository: the state of the checkout', () => {
  beforeEach(() => {
    clone = mkdtempSync(join(root, 'clone-'));
    cpSync(fresh, clone, { recursive: true });
  });
  afterEach(() => {
    clone = fresh;
  });

  it('is named, where a commit is not what GitHub has', async () => {
    writeFileSync(join(clone, 'note.txt'), '');
    git(clone, 'switch', '--quiet', '--create', 'feature');
    const { find, status } = await examine();
    expect(status).toBe(0);
    expect(find('repository.clean')).toMatchObject({ status: 'warn', detail: expect.stringMatching(/^1 files/) });
    expect(find('repository.branch')).toMatchObject({ status: 'warn', fix: 'git switch main' });
  });

  it('is fine once everything is pushed, and not before', async () => {
    const remote = join(root, 'remote.git');
    git(root, 'init', '--quiet', '--bare', remote);
    git(clone, 'remote', 'add', 'origin', remote);
    git(clone, 'push', '--quiet', '--set-upstream', 'origin', 'main');
    expect((await examine()).find('repository.pushed')).toMatchObject({ status: 'ok' });
    writeFileSync(join(clone, 'note.txt'), '');
    commitAll(clone);
    expect((await examine()).find('repository.pushed')).toMatchObject({ status: 'warn', fix: 'git push' });
  });

  it('does not wait for a program that asks something', async () => {
    const asking = mkdtempSync(join(root, 'bin-'));
    writeFileSync(join(asking, 'gh'), '#!/bin/sh\nread answer || echo "Nobody answers." >&2\nexit 1\n', {
      mode: 0o755,
    });
    const { find } = await examine({ PATH: [bin, asking].join(delimiter) });
    expect(find('repository.variables')).toMatchObject({
      status: 'warn',
      detail: 'the repository variables cannot be read: Nobody answers.',
      fix: 'gh auth login',
    });
  });

  it('is unknown without git', async () => {
    rmSync(join(clone, '.git'), { recursive: true });
    const { checks } = await examine();
    const warned = checks
      .filter(({ id, status }) => status === 'warn' && id.startsWith('repository.'))
      .map(({ id }) => id);
    expect(warned).toEqual(
      expect.arrayContaining(['repository.secrets', 'repository.clean', 'repository.branch', 'repository.pushed']),
    );
  });
});

describe('local', () => {
  it('node: a newer one than this is wanted', async () => {
    edit('package.json', '"node": ">=24.15"', '"node": ">=99.1"');
    expect((await examine()).find('local.node')).toMatchObject({
      status: 'warn',
      detail: expect.stringMatching(/older than 99\.1/),
      fix: 'npm ci',
    });
  });

  it('npm: is there, unless scripts are switched off', async () => {
    const path = { PATH: [bin, process.env.PATH].join(delimiter) };
    expect((await examine(path)).find('local.npm')).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/^\d+\./),
    });
    add('.npmrc', 'ignore-scripts=true\n');
    expect((await examine(path)).find('local.npm')).toMatchObject({
      status: 'warn',
      fix: 'npm ci --ignore-scripts=false',
    });
  });

  it('dependencies: are those of the lock file', async () => {
    install();
    expect((await examine()).find('local.dependencies')).toMatchObject({ status: 'ok' });
  });

  it('a file that cannot be read fails its check alone', async () => {
    edit('package.json', '{', '');
    const { checks, status } = await examine();
    expect(status).toBe(1);
    expect(checks.filter((check) => check.status === 'fail')).toEqual([
      {
        id: 'local.node',
        status: 'fail',
        detail: expect.stringMatching(/^could not be checked: .*JSON/),
        fix: expect.stringMatching(/^git status/),
      },
    ]);
  });

  describe('.env', () => {
    it('is fine with names and values that the service takes', async () => {
      install();
      add('.env', readFileSync('.env.example', 'utf8'));
      expect((await examine()).find('local.env')).toMatchObject({ status: 'ok' });
    });

    it('may have a name that nobody reads', async () => {
      add('.env', 'DATABSE_URL=postgresql://db/app\n');
      const { find, status } = await examine();
      expect(find('local.env')).toMatchObject({ status: 'warn', detail: 'the service reads no DATABSE_URL' });
      expect(status).toBe(0);
    });

    it('with a value that the service refuses fails, and the value is not shown', async () => {
      install();
      add('.env', 'DATABASE_POOL_MAX=hunter2\n');
      const { status, find, checks } = await examine();
      expect(status).toBe(1);
      expect(find('local.env')?.detail).toMatch(/^\.env: DATABASE_POOL_MAX must be an integer/);
      expect(JSON.stringify(checks)).not.toContain('hunter2');
    });
  });

  describe('port', () => {
    let server: Server;
    let port: string;
    let name: string;
    beforeAll(async () => {
      server = createServer((_, response) => response.end(JSON.stringify({ name })));
      await once(server.listen(0, '0.0.0.0'), 'listening');
      port = String((server.address() as AddressInfo).port);
    });
    afterAll(() => {
      server.close();
    });

    it('of another program is named', async () => {
      name = 'another';
      expect((await examine({ PORT: port })).find('local.port')).toMatchObject({
        status: 'warn',
        detail: `${port} cannot be listened on: EADDRINUSE`,
      });
    });

    it('of this service is its own', async () => {
      ({ name } = JSON.parse(readFileSync('package.json', 'utf8')) as { name: string });
      expect((await examine({ PORT: port })).find('local.port')).toMatchObject({ status: 'ok' });
    });

    it('must be one', async () => {
      expect((await examine({ PORT: '80800' })).find('local.port')).toMatchObject({ status: 'fail' });
    });

    it('may stand in .env', async () => {
      name = 'another';
      add('.env', `PORT=${port}\n`);
      expect((await examine({ PORT: '' })).find('local.port')).toMatchObject({ status: 'warn' });
    });
  });

  describe('database of DATABASE_URL', () => {
    let database: TestDatabase;
    let empty: TestDatabase;
    beforeAll(async () => {
      [database, empty] = await Promise.all([createTestDatabase(), createTestDatabase({ empty: true })]);
    });
    afterAll(() => Promise.all([database.drop(), empty.drop()]));

    it('is reached, and has all migrations', async () => {
      install();
      const { find, status } = await examine({ DATABASE_URL: database.url });
      expect(find('local.database')).toMatchObject({ status: 'ok', detail: expect.stringMatching(/^PostgreSQL \d\d/) });
      expect(find('local.migrations')).toMatchObject({
        status: 'ok',
        detail: expect.stringMatching(/^all [1-9]\d* have been applied$/),
      });
      expect(status).toBe(0);
    });

    it('lacks migrations, which are named', async () => {
      install();
      const { find } = await examine({ DATABASE_URL: empty.url });
      expect(find('local.migrations')).toMatchObject({
        status: 'warn',
        detail: expect.stringMatching(/^pending: .*CreateApiKeys/),
        fix: 'npm run db:migrate',
      });
      expect(await empty.query(`SELECT to_regclass('migrations') AS made`)).toEqual([{ made: null }]);
    });

    it('does not answer, and its password is not shown', async () => {
      const password = 'hunter2';
      install();
      const { find, checks, status } = await examine({ DATABASE_URL: `postgresql://me:${password}@127.0.0.1:1/app` });
      expect(status).toBe(1);
      expect(find('local.database')?.detail).toMatch(/ECONNREFUSED/);
      expect(find('local.migrations')).toMatchObject({ status: 'warn' });
      expect(JSON.stringify(checks)).not.toContain(password);
    });

    it('is knocked at, before anything is installed', async () => {
      expect((await examine({ DATABASE_URL: database.url })).find('local.database')).toMatchObject({
        status: 'ok',
        detail: expect.stringMatching(/answers/),
      });
      const { find } = await examine({ DATABASE_URL: 'postgresql://127.0.0.1:1/app' });
      expect(find('local.database')).toMatchObject({ status: 'fail' });
    });

    it('must be set in production', async () => {
      const { find } = await examine({ NODE_ENV: 'production' });
      expect(find('local.database')).toMatchObject({ status: 'fail', fix: 'Set DATABASE_URL, or unset NODE_ENV' });
    });
  });

  it('database: the embedded one is joined where it runs, and not started', async () => {
    install();
    expect((await examine()).find('local.database')?.detail).toMatch(/which npm start starts$/);
    const server = await startPostgres(join(clone, '.data', 'postgres'), { durable: false });
    undoing.push(() => rmSync(join(clone, '.data'), { recursive: true }));
    const pidFile = readFileSync(join(clone, '.data/postgres/cluster/data/postmaster.pid'));
    try {
      const { find } = await examine();
      expect(find('local.database')).toMatchObject({ status: 'ok', detail: expect.stringMatching(/which runs$/) });
      expect(find('local.migrations')).toMatchObject({ status: 'warn', fix: 'npm run db:migrate' });
    } finally {
      await server.stop();
    }
    // As a server that was killed leaves it.
    writeFileSync(join(clone, '.data/postgres/cluster/data/postmaster.pid'), pidFile);
    expect((await examine()).find('local.database')?.detail).toMatch(/which npm start starts$/);
    expect((await examine()).find('local.migrations')).toMatchObject({ status: 'ok' });
  });
});

describe('--explain', () => {
  /** Lines as people have reported them, and as our own steps write them; then how the message begins that explains it. */
  const cases: [line: string, message: string][] = [
    // The project
    [
      'ERROR: (gcloud.run.services.replace) PERMISSION_DENIED: Cloud Run Admin API has not been used in project 123 before or it is disabled. Enable it by visiting https://example.com then retry.',
      'API […]',
    ],
    [
      "ERROR: (gcloud.services.enable) FAILED_PRECONDITION: Billing account for project '123' is not found. Billing must be enabled for activation of service(s) to proceed.",
      'billing account',
    ],
    [
      '##[error]Repository variables are missing: GCP_REGION. deploy/bootstrap.sh prints them, and sets them with --set-vars.',
      'Repository variables',
    ],
    // The sign-in: google-github-actions/auth
    [
      'Error: google-github-actions/auth failed with: GitHub Actions did not inject $ACTIONS_ID_TOKEN_REQUEST_TOKEN or $ACTIONS_ID_TOKEN_REQUEST_URL into this job.',
      'did not inject',
    ],
    ['Error: Action failed with error: Error: $ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set', 'did not inject'],
    [
      'Error: google-github-actions/auth failed with: failed to generate Google Cloud federated token for //iam.googleapis.com/***: {"error":"unauthorized_client","error_description":"The given credential is rejected by the attribute condition."}',
      'The given credential is rejected',
    ],
    [
      'failed to generate Google Cloud federated token for p: {"error":"invalid_request","error_description":"Invalid value for \\"audience\\". This value should be the full resource name of the Identity Provider."}',
      'Invalid value for "audience"',
    ],
    [
      'ERROR: gcloud crashed (OAuthError): (\'Error code invalid_request: Invalid value for "audience". This value should be the full resource name of the Identity Provider.\')',
      'Invalid value for "audience"',
    ],
    [
      'ERROR: (gcloud.config.set) There was a problem refreshing your current auth tokens: (\'Error code invalid_target: The target service indicated by the "audience" parameters is invalid. This might either be because the pool or provider is disabled or deleted\')',
      'The target service',
    ],
    [
      '{"error":"invalid_request","error_description":"The size of mapped attribute google.subject exceeds the 127 bytes limit."}',
      'The size of mapped attribute',
    ],
    ['The size of mapped attribute exceeds the 127 bytes limit.', 'The size of mapped attribute'],
    [
      'failed to generate Google Cloud federated token for p: {"error":"invalid_grant","error_description":"The issuer in ID Token does not match the expected ones"}',
      'Failed to generate Google Cloud federated token',
    ],
    [
      '    "message": "Permission \'iam.serviceAccounts.getAccessToken\' denied on resource (or it may not exist).",',
      "Permission 'iam.serviceAccounts.getAccessToken'",
    ],
    [
      'ERROR: (gcloud.auth.print-identity-token) Invalid account type for `--audiences`. Requires valid service account.',
      'Invalid account type',
    ],
    // The build
    [
      '::error title=build::The builder cloud-build needs GCP_BUILD_ACCOUNT, GCP_BUILD_BUCKET and GCP_BUILD_LOG_BUCKET. Run deploy/bootstrap.sh again, with --with-cloud-build.',
      'The builder cloud-build needs',
    ],
    [
      'the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled',
      'the --mount option',
    ],
    [
      'ERROR: (gcloud.builds.submit) The user is forbidden from accessing the bucket [my-project_cloudbuild]. Please check your organization\'s policy or if the user has the "serviceusage.services.use" permission.',
      'The user is forbidden',
    ],
    [
      'Caller does not have required permission to use project my-project. Grant the caller the roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission',
      'The user is forbidden',
    ],
    [
      'This tool can only stream logs if you are Viewer/Owner of the project and, if applicable, allowed by your VPC-SC security policy.',
      'This tool can only stream',
    ],
    [
      "ERROR: (gcloud.builds.submit) HTTPError 403: <?xml version='1.0'?><Error><Details>ci@p.iam.gserviceaccount.com does not have storage.objects.get access to 43928094282.cloudbuild-logs.googleusercontent.com/log-6a78.txt.</Details></Error>",
      'This tool can only stream',
    ],
    [
      'Unfortunately, the default logs bucket is always outside any VPC-SC security perimeter, so this tool cannot stream the logs for you.',
      'This tool can only stream',
    ],
    [
      'orders-build@p.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object.',
      'does not have storage.objects.get',
    ],
    [
      'ERROR: (gcloud.builds.submit) PERMISSION_DENIED: caller does not have permission to act as service account projects/p/serviceAccounts/orders-build@p.iam.gserviceaccount.com',
      'caller does not have permission to act',
    ],
    [
      'ERROR: (gcloud.builds.submit) PERMISSION_DENIED: The caller does not have permission. This command is authenticated as a@b which is the active account',
      '(gcloud.builds.submit)',
    ],
    [
      'denied: Unauthenticated request. Unauthenticated requests do not have permission "artifactregistry.repositories.uploadArtifacts" on resource "projects/p/locations/l/repositories/r" (or it may not exist)',
      'Unauthenticated request',
    ],
    [
      'ERROR: failed to push asia-south2-docker.pkg.dev/p: failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden',
      'Unauthenticated request',
    ],
    [
      'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/p/locations/us-central1/repositories/r" (or it may not exist)',
      "Permission 'artifactregistry.repositories.uploadArtifacts'",
    ],
    [
      'denied: Permission "artifactregistry.repositories.downloadArtifacts" denied on resource "projects/p/locations/l/repositories/r" (or it may not exist)',
      "Permission 'artifactregistry.repositories.get'",
    ],
    [
      "ERROR: (gcloud.run.deploy) PERMISSION_DENIED: Permission 'artifactregistry.repositories.get' denied on resource '//artifactregistry.googleapis.com/projects/p' (or it may not exist).",
      "Permission 'artifactregistry.repositories.get'",
    ],
    ['ERROR: Permission denied while accessing Artifact Registry.', "Permission 'artifactregistry.repositories.get'"],
    [
      'Google Cloud Run Service Agent service-123@serverless-robot-prod.iam.gserviceaccount.com must have permission to read the image, europe-west1-docker.pkg.dev/p/r/i.',
      'Google Cloud Run Service Agent',
    ],
    ['name unknown: Repository "orders" not found', 'Repository "…" not found'],
    ["Repository 'orders' not found", 'Repository "…" not found'],
    [
      "ERROR: (gcloud.run.deploy) Revision 'a-00042-fow' is not ready and cannot serve traffic. Image 'gcr.io/p/a:latest' not found.",
      'Image … not found',
    ],
    ['Error: No credentials found for registry europe-west1-docker.pkg.dev', 'No credentials found'],
    ["##[warning]Skip output 'image-uri' since it may contain secret.", "Skip output '…'"],
    [
      "::error title=migrate::The build handed on no digest but ''. Is one of the repository's secrets a part of it?",
      "Skip output '…'",
    ],
    // The project and the repository
    [
      'The job was not started because recent account payments have failed or your spending limit needs to be increased.',
      'not started because',
    ],
    [
      "HTTP 422: Workflow does not have 'workflow_dispatch' trigger (https://api.github.com/repos/o/r/actions/workflows/1/dispatches)",
      'Workflow does not have',
    ],
    [
      'ERROR: (gcloud.run.services.add-iam-policy-binding) FAILED_PRECONDITION: One or more users named in the policy do not belong to a permitted customer.',
      'do not belong to a permitted customer',
    ],
    [
      'ERROR: (gcloud.run.services.replace) spec.template.metadata.annotations[autoscaling.knative.dev/maxScale]: Quota exceeded for total allowable CPU per project per region.',
      'Quota exceeded',
    ],
    // Cloud Run
    [
      "ERROR: (gcloud.run.deploy) PERMISSION_DENIED: Permission 'iam.serviceaccounts.actAs' denied on service account a@p.iam.gserviceaccount.com (or it may not exist). This command is authenticated as b@p.iam.gserviceaccount.com",
      "Permission 'iam.serviceaccounts.actAs'",
    ],
    [
      "ERROR: (gcloud.run.deploy) PERMISSION_DENIED: Permission 'run.services.get' denied on resource 'namespaces/***/services/***' (or resource may not exist).",
      "Permission 'run.services.get'",
    ],
    [
      "PERMISSION_DENIED: Permission 'run.operations.get' denied on resource 'projects/p' (or resource may not exist).",
      "Permission 'run.services.get'",
    ],
    [
      'spec.template.spec.containers[0].env[0].value_from.secret_key_ref.name: Permission denied on secret: projects/1/secrets/s/versions/latest for Revision service account a@b.',
      'Permission denied on secret',
    ],
    [
      "Permission 'secretmanager.versions.access' denied for resource 'projects/p/secrets/HF/versions/latest' (or it may not exist).",
      'Permission denied on secret',
    ],
    [
      '::error title=candidate::The secret orders-database-url has no enabled version. Run: gcloud secrets versions add',
      'The secret … has no enabled version',
    ],
    [
      'env[7].value_from.secret_key_ref.name: Secret projects/123/secrets/orders-database-url/versions/3 was not found',
      'The secret … has no enabled version',
    ],
    [
      "PERMISSION_DENIED: Permission 'logging.logEntries.list' denied on resource (or it may not exist).",
      'logging.logEntries.list',
    ],
    [
      'terminated: Application failed to start: failed to load /nodejs/bin/node: exec format error',
      'exec format error',
    ],
    ['exec: "node": executable file not found in $PATH', '"node": executable file not found'],
    [
      "ERROR: (gcloud.run.deploy) Revision 'm-00002-dj9' is not ready and cannot serve traffic. The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout.",
      'failed to start and listen',
    ],
    [
      'Cloud Run error: Container failed to start. Failed to start and then listen on the port defined by the PORT environment variable.',
      'failed to start and listen',
    ],
    [
      'Default STARTUP TCP probe failed 1 time consecutively for container "scim" on port 3002. The instance was not started.',
      'failed to start and listen',
    ],
    ['The environment is not usable:', 'The environment is not usable'],
    [
      'Waiting for database app at db:5432 for 53 s, past DATABASE_STARTUP_WARN_AFTER_MS (30000 ms): connect ECONNREFUSED',
      'Waiting for database',
    ],
    ['2 pending: run the migrations of this build', 'pending: run the migrations'],
    ['error: relation "orders" does not exist', 'pending: run the migrations'],
    [
      'The user-provided container failed the configured startup probe checks. Logs for this revision might contain more information.',
      'failed the configured startup probe',
    ],
    [
      'STARTUP HTTP probe failed 66 times consecutively for container "app" on port 8080 path "/health/startup".',
      'failed the configured startup probe',
    ],
    [
      'LIVENESS HTTP probe failed 3 times consecutively for container "app" on port 8080 path "/health/live".',
      'LIVENESS HTTP probe',
    ],
    [
      'READINESS HTTP probe failed 3 times consecutively for container "app" on port 8080 path "/health/ready".',
      'READINESS HTTP probe',
    ],
    ['Memory limit of 512 MiB exceeded with 516 MiB used. Consider increasing the memory limit', 'Memory limit'],
    ['Memory limit of 512M exceeded with 526M used.', 'Memory limit'],
    ['FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory', 'Memory limit'],
    ['The request was aborted because there was no available instance.', 'The request was aborted'],
    [
      'ERROR: (gcloud.run.services.replace) Failed to parse value(s) in protobuf [Service]:',
      'Failed to parse value(s)',
    ],
    [
      "ALREADY_EXISTS: Revision named 'orders-c0ffee0-1-1' with different configuration already exists.",
      'with different configuration',
    ],
    [
      '::error title=candidate::The traffic is divided (a 90;b 10;). Run the Rollback workflow',
      'The traffic is divided',
    ],
    [
      '::error title=smoke::GET /health/startup of the candidate answered 403 and not 200: <html>',
      'Your client does not have permission',
    ],
    [
      '::error title=smoke::GET /health/startup of the candidate answered 404 and not 200: <html>',
      'of the candidate answered 404',
    ],
    // The database
    ['password authentication failed for user "orders_runtime"', 'password authentication failed'],
    ['error: role "orders_runtime" is not permitted to log in', 'password authentication failed'],
    ['error: database "orders" does not exist', 'database "…" does not exist'],
    ['no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", no encryption', 'no pg_hba.conf entry'],
    [
      'FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute',
      'remaining connection slots',
    ],
    ['error: sorry, too many clients already', 'remaining connection slots'],
    ['QueryFailedError: permission denied for schema public', 'permission denied for schema'],
    [
      'Cloud SQL connection failed. Please see https://example.com for additional details: googleapi: Error 403: Not authorized to access resource. Possibly missing permission cloudsql.instances.get on resource instances/main., notAuthorized',
      'cloudsql.instances.get',
    ],
    [
      'googleapi: Error 403: The client is not authorized to make this request., notAuthorized',
      'cloudsql.instances.get',
    ],
    ['connect ENOENT /cloudsql/p:r:main/.s.PGSQL.5432', 'cloudsql.instances.get'],
    ['Error: Connection terminated unexpectedly', 'Connection terminated'],
    ['Error: read ECONNRESET', 'Connection terminated'],
    ['Error: getaddrinfo ENOTFOUND db.example', 'EAI_AGAIN'],
    ['Error: connect ECONNREFUSED 10.0.0.1:5432', 'EAI_AGAIN'],
  ];

  it.each(cases)('%s', (line, message) => {
    const [found, ...others] = explain(`before\n${line}\nafter`);
    expect(found?.trouble.message.startsWith(message) ? message : found?.trouble.message).toBe(message);
    expect(others).toEqual([]);
  });

  it('has a case for each', () => {
    const explained = new Set(cases.map(([line]) => explain(line)[0]?.trouble.message));
    expect(TROUBLES.map(({ message }) => message).filter((message) => !explained.has(message))).toEqual([]);
  });

  it.each([
    [
      'an answer over several lines, as GitHub gives a log for download',
      'iam.serviceAccounts.getAccessToken',
      'The caller does not have permission',
    ],
    [
      'the reason in it, and not its beginning',
      'has not been used in project',
      'IAM Service Account Credentials API has not been used in project 123 before or it is disabled.',
    ],
  ])('reads %s', (_, message, reason) => {
    const lines = [
      'Error: google-github-actions/auth failed with: failed to generate Google Cloud OAuth 2.0 Access Token for a@p.iam.gserviceaccount.com: {',
      '  "error": {',
      '    "code": 403,',
      `    "message": "${reason}",`,
      '    "status": "PERMISSION_DENIED"',
      '  }',
      '}',
      '##[error]Process completed with exit code 1.',
    ];
    const found = explain(lines.map((line) => `2026-04-13T19:07:51.8298951Z ${line}`).join('\r\n'));
    expect(found.map(({ trouble }) => trouble.message)).toEqual([expect.stringContaining(message)]);
  });

  it('explains nothing that it does not know, nor what went well', () => {
    const log = `
      npm warn deprecated inflight@1.0.6: This module is not supported
      added 729 packages in 27s
      Step 8/16 : RUN npm ci --omit=dev
      Successfully tagged europe-west1-docker.pkg.dev/p/r/i:c0ffee0
      The push refers to repository [europe-west1-docker.pkg.dev/p/r/i]
      c0ffee0: digest: sha256:0000 size: 2204
      Permission 'storage' is fine; permission denied (publickey).
      PASS test/platform/health.e2e-spec.ts (the database does not exist yet, and the port is 8080)
      Executing job orders-migrate... Done. Execution [orders-migrate-x] has successfully completed.
      ERROR: (gcloud.run.jobs.execute) The execution failed.
      ERROR: Forbidden
      Error: Process completed with exit code 1.
      GET /health/startup: 200
      All traffic is back at orders-1; orders-2 has none.`;
    expect(explain(log)).toEqual([]);
  });

  it('names each trouble once, in the order of the log', () => {
    const log = `error: sorry, too many clients already\nerror: read ECONNRESET\nerror: sorry, too many clients already`;
    expect(explain(log).map(({ line }) => line)).toEqual([
      'error: sorry, too many clients already',
      'error: read ECONNRESET',
    ]);
  });

  it('is read by people, or becomes Markdown', async () => {
    const log = '\u001B[31merror: sorry, too many clients already\u001B[0m\n';
    const { status, stdout } = await doctor(['--explain'], {}, log);
    expect(status).toBe(0);
    expect(stdout).toBe(
      'remaining connection slots are reserved / too many clients already\n' +
        '  in:     error: sorry, too many clients already\n' +
        '  cause:  All instances together want more connections than the database allows.\n' +
        '  fix:    DEPLOYMENT.md, "Connections": lower maxScale or DATABASE_POOL_MAX, or raise max_connections.\n\n',
    );
    expect((await doctor(['--explain', '--markdown'], {}, log)).stdout).toBe(
      '**remaining connection slots are reserved / too many clients already**\n\n' +
        '> error: sorry, too many clients already\n\n' +
        'All instances together want more connections than the database allows. DEPLOYMENT.md, "Connections": lower maxScale or DATABASE_POOL_MAX, or raise max_connections.\n\n',
    );
    expect((await doctor(['--explain'], {}, 'all is well')).stdout).toMatch(
      /^No message in it is one that is known here/,
    );
  });
});
