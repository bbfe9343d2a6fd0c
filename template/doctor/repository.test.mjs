// The doctor's checks of the repository: each one passes on a fresh clone, and fails when a file breaks its rule.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { nonPortable } from '../../tools/doctor/dockerfile.mjs';
import { repository } from '../../tools/doctor/repository.mjs';
import { assertFinding, Clone } from './clone.mjs';

let clone;
before(() => (clone = new Clone()));
afterEach(() => clone.reset());
after(() => clone.remove());

/** The check, a file, the text in it that is replaced, its replacement, and what the check reports. */
const BROKEN = [
  [
    'repository.infrastructure',
    'deploy/pipeline/build.sh',
    'find_image\nif',
    'gcloud artifacts repositories create x\nfind_image\nif',
    /build\.sh runs gcloud artifacts repositories create/,
  ],
  [
    'repository.infrastructure',
    'deploy/apis.txt',
    'always             secretmanager     gcloud secrets\n',
    '',
    /apis\.txt has no API for gcloud secrets/,
  ],
  [
    'repository.roles',
    'deploy/grants.txt',
    'roles/run.developer                     service',
    'roles/run.admin                         service',
    /has roles\/run\.admin/,
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
  ['repository.latest', 'docker/Dockerfile', 'node:24-trixie-slim', 'node:latest', /docker\/Dockerfile uses latest/],
  [
    'repository.latest',
    'deploy/lib/pipeline.sh',
    '--to-revisions=',
    '--to-latest --to-revisions=',
    /pipeline\.sh uses latest/,
  ],
  [
    'repository.commit',
    'deploy/pipeline/build.sh',
    'image=$IMAGE_NAME:$GITHUB_SHA',
    'image=$IMAGE_NAME:main',
    /build\.sh no longer tags the image with the commit/,
  ],
  [
    'repository.commit',
    '.github/workflows/deploy.yml',
    '      digest: ${{ steps.build.outputs.digest }}',
    '      image: x',
    /no longer passes on the digest/,
  ],
  [
    'repository.commit',
    'deploy/pipeline/candidate.sh',
    'IMAGE=$IMAGE_NAME@$DIGEST',
    'IMAGE=$IMAGE_NAME:$GITHUB_SHA',
    /no longer deploys this digest/,
  ],
  [
    'repository.build-log',
    'deploy/pipeline/build.sh',
    ' --gcs-log-dir=',
    ' --verbosity=',
    /logs to a bucket that the deployer cannot read/,
  ],
  [
    'repository.build-log',
    'deploy/cloudbuild.yaml',
    'logging: GCS_ONLY',
    'logging: LEGACY',
    /logs to a bucket that the deployer cannot read/,
  ],
  [
    'repository.probes',
    'deploy/service.yaml',
    'failureThreshold: 66',
    'failureThreshold: 20',
    /a start may take 20 s, but needs twice the 30 s/,
  ],
  ['repository.probes', 'deploy/service.yaml', 'failureThreshold: 66', 'failureThreshold: 300', /Cloud Run allows 240/],
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
    /must request \/health\/live/,
  ],
  [
    'repository.probes',
    'deploy/service.yaml',
    'path: /health/startup',
    'path: /healthz',
    /must request \/health\/startup/,
  ],
  ['repository.probes', 'deploy/service.yaml', 'startupProbe:', 'startProbe:', /are required/],
  [
    'repository.probes',
    'deploy/service.yaml',
    '            periodSeconds: 1\n',
    '            periodSeconds: 1\n            initialDelaySeconds: 5\n',
    /delays every start/,
  ],
  ['repository.probes', 'deploy/service.yaml', 'timeoutSeconds: 5', 'timeoutSeconds: 15', /exceeds its period/],
  [
    'repository.probes',
    'deploy/service.yaml',
    'failureThreshold: 3\n            successThreshold',
    'failureThreshold: 1\n            successThreshold',
    /fails after 10 s/,
  ],
  [
    'repository.actions',
    '.github/workflows/ci.yml',
    'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1',
    'actions/checkout@v7',
    /ci\.yml uses actions\/checkout@v7/,
  ],
  [
    'repository.actions',
    '.github/workflows/ci.yml',
    'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1',
    'docker://alpine:3',
    /ci\.yml uses docker:\/\/alpine:3/,
  ],
  [
    'repository.actions',
    '.github/actions/gcp/action.yml',
    'google-github-actions/setup-gcloud@aa5489c8933f4cc7a4f7d45035b3b1440c9c10db',
    'google-github-actions/setup-gcloud@v3',
    /action\.yml uses google-github-actions\/setup-gcloud@v3/,
  ],
  [
    'repository.secrets',
    '.github/actions/gcp/action.yml',
    '${{ env.GCP_DEPLOY_SERVICE_ACCOUNT }}',
    '${{ secrets.GCP_SA_KEY }}',
    /action\.yml uses a secret/,
  ],
  ['repository.context', '.dockerignore', '/src/**/key.json', '', /lets src\/key\.json into the image/],
  ['repository.context', '.dockerignore', '/*\n', '', /lets \.env, \.env\.production, key\.json/],
  ['repository.context', '.dockerignore', '/src/**/.env*', 'src/**/.env*', /Docker and gcloud read src/],
  ['repository.context', '.gcloudignore', '#!include:.dockerignore', '', /does not include \.dockerignore/],
];

describe('files', () => {
  // In this process, because every case runs a single check.
  const original = process.cwd();
  beforeEach(() => process.chdir(clone.folder));
  afterEach(() => process.chdir(original));
  const check = (id) => repository[id]({ options: { environment: 'production' } });

  for (const [id, file, from, to, detail] of BROKEN) {
    test(`${id} fails on ${to ? `"${to.trim()}"` : `no "${from.trim()}"`} in ${file}`, async () => {
      assertFinding(await check(id), { status: 'ok' });
      clone.edit(file, from, to);
      assertFinding(await check(id), { status: 'fail', detail, fix: /\w/ });
    });
  }

  test('a failure sets the exit code', async () => {
    clone.edit('docker/Dockerfile', 'EXPOSE 8080', 'EXPOSE 3000');
    const { status, withStatus } = await clone.examine();
    assert.equal(status, 1);
    assert.deepEqual(withStatus('fail'), ['repository.port']);
  });

  test('repository.context fails on a private key among the sources', async () => {
    clone.add('src/platform/auth/issuer.pem');
    assertFinding(await check('repository.context'), {
      status: 'fail',
      detail: '.dockerignore lets src/platform/auth/issuer.pem into the image',
    });
  });

  for (const file of ['.env', 'key.json', 'deploy/gha-creds-0123.json', 'server.pem']) {
    test(`repository.secrets fails when git tracks ${file}`, async () => {
      clone.add(file);
      clone.git('add', '--force', file);
      clone.onReset(() => clone.git('reset', '--quiet'));
      assertFinding(await check('repository.secrets'), { status: 'fail', detail: `git tracks ${file}` });
    });
  }
});

describe('repository.dockerfile rejects', () => {
  for (const line of [
    'RUN --mount=type=cache,target=/home/node/.npm npm ci',
    'RUN npm ci \\\n  --mount=type=cache',
    'RUN <<EOF',
    'COPY <<-"EOF" /app/x',
    'COPY --link --from=build /app /app',
    'COPY --parents src /app',
    'COPY --chmod=644 src /app',
    'ADD --checksum=sha256:0 https://example.com/x /x',
    '# syntax=docker/dockerfile:1',
    'FROM --platform=$BUILDPLATFORM node',
    'HEALTHCHECK CMD true',
    'CMD node dist/main.js',
    'CMD ["dist/main.js", "--port", "$PORT"]',
    'ENTRYPOINT npm start',
    'USER nonroot',
  ]) {
    test(line, () => assert.equal(nonPortable(`FROM node\n${line}\n`).length, 1));
  }
});

describe('the checkout', () => {
  let folder;
  beforeEach(() => {
    // The tests of this section commit.
    folder = clone.folder;
    clone.folder = mkdtempSync(join(clone.root, 'clone-'));
    cpSync(folder, clone.folder, { recursive: true });
  });
  afterEach(() => (clone.folder = folder));

  test('warns about uncommitted files and another branch than main', async () => {
    writeFileSync(join(clone.folder, 'note.txt'), '');
    clone.git('switch', '--quiet', '--create', 'feature');
    const { find, status } = await clone.examine();
    assert.equal(status, 0);
    assertFinding(find('repository.clean'), { status: 'warn', detail: /^1 files/ });
    assertFinding(find('repository.branch'), { status: 'warn', fix: 'git switch main' });
  });

  test('warns about commits that are not pushed', async () => {
    const remote = join(clone.root, 'remote.git');
    clone.git('init', '--quiet', '--bare', remote);
    clone.git('remote', 'add', 'origin', remote);
    clone.git('push', '--quiet', '--set-upstream', 'origin', 'main');
    assertFinding((await clone.examine()).find('repository.pushed'), { status: 'ok' });
    writeFileSync(join(clone.folder, 'note.txt'), '');
    clone.commitAll();
    assertFinding((await clone.examine()).find('repository.pushed'), { status: 'warn', fix: 'git push' });
  });

  test('fails instead of waiting when a program prompts', async () => {
    const prompting = mkdtempSync(join(clone.root, 'bin-'));
    writeFileSync(join(prompting, 'gh'), '#!/bin/sh\nread answer || echo "No input." >&2\nexit 1\n', { mode: 0o755 });
    const { find } = await clone.examine({ PATH: [clone.bin, prompting].join(delimiter) });
    assertFinding(find('repository.variables'), {
      status: 'warn',
      detail: 'cannot read the repository variables: No input.',
      fix: 'gh auth login',
    });
  });

  test('warns when it is not a git repository', async () => {
    rmSync(join(clone.folder, '.git'), { recursive: true });
    const warned = (await clone.examine()).withStatus('warn');
    for (const name of ['secrets', 'clean', 'branch', 'pushed']) assert.ok(warned.includes(`repository.${name}`), name);
  });
});
