import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import ignore from 'ignore';
import { Env } from '../src/config/env.js';

/** What not every builder takes, with the reason. Cloud Build's default step is Docker's classic builder. */
const UNPORTABLE: [pattern: RegExp, reason: string][] = [
  [/^RUN\s.*--(mount|network|security)\b/, 'RUN --mount and its like need BuildKit'],
  [/^(RUN|COPY|ADD)\s.*<<-?["']?\w/, 'heredocs need BuildKit'],
  [/^(COPY|ADD)\s.*--(link|parents|exclude|checksum|keep-git-dir)\b/, 'needs BuildKit, and buildah refuses it'],
  [/^(COPY|ADD)\s.*--chmod\b/, "the classic builder has no --chmod; use RUN chmod, where there's a shell"],
  [/^#\s*(syntax|check)\s*=/i, 'only BuildKit reads directives'],
  [/\$\{?(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)/, 'only BuildKit sets the platform arguments'],
  [
    /^HEALTHCHECK\b/,
    'Cloud Run ignores it, and the OCI format has no place for it; deploy/service.yaml has the probes',
  ],
  [/^(CMD|ENTRYPOINT)\s+[^[\s]/, 'a shell would be process 1 and keep the signals for itself; write it as a list'],
  [/^CMD\s.*\$/, 'a list is not expanded; the service reads PORT itself'],
  [/^USER\s+\D/, 'Cloud Run runs an image as root whose user it does not find by name; use a number'],
];

function unportable(dockerfile: string): string[] {
  const instructions = dockerfile.replaceAll(/\\\n/g, ' ').split('\n');
  return instructions.flatMap((line) =>
    UNPORTABLE.filter(([pattern]) => pattern.test(line)).map(([, reason]) => `${line}: ${reason}`),
  );
}

const dockerfile = readFileSync('docker/Dockerfile', 'utf8');
const finalStage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));

describe('docker/Dockerfile', () => {
  it('is taken by every builder', () => {
    expect(unportable(dockerfile)).toEqual([]);
  });

  it.each([
    'RUN --mount=type=cache,target=/root/.npm npm ci',
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
  ])('would be refused with %s', (line) => {
    expect(unportable(`FROM node\n${line}\n`)).toHaveLength(1);
  });

  it('copies the lock file before the sources, so that a change of these installs nothing', () => {
    expect(dockerfile.indexOf('package-lock.json')).toBeLessThan(dockerfile.indexOf('COPY src'));
  });

  it('has a final stage that only copies what the others made', () => {
    expect(finalStage).not.toMatch(/^(RUN|ADD)\b/m);
    const sources = [...finalStage.matchAll(/^COPY --from=\w+ (\S+)/gm)].map(([, source]) => source);
    expect(sources).toEqual(['/app/node_modules', '/app/package.json', '/app/dist']);
    expect(finalStage.match(/^COPY/gm)).toHaveLength(sources.length);
  });

  it('sets a numeric user, production, and the port that the service listens on', () => {
    expect(finalStage).toMatch(/^USER \d+:\d+$/m);
    expect(finalStage).toContain('ENV NODE_ENV=production');
    expect(finalStage).toContain(`EXPOSE ${new Env().PORT}`);
  });
});

describe('the build context', () => {
  const secrets = [
    '.env',
    '.env.production',
    'key.json',
    'gha-creds-0123456789abcdef.json',
    '.data/postgres/cluster/password',
    '.git/config',
    'src/key.json',
    'src/auth/gha-creds-0123456789abcdef.json',
    'src/.env',
  ];
  const others = ['test/health.e2e-spec.ts', 'src/config/env.spec.ts', 'dist/main.js', 'node_modules/pg/index.js'];
  const needed = [
    ...['package.json', 'package-lock.json', 'nest-cli.json', 'tsconfig.json', 'tsconfig.build.json'],
    ...['schematics/package.json', 'src/main.ts', 'src/config/env.ts'],
  ];

  /** What is left of the files. `#!include:` is gcloud's own: https://cloud.google.com/sdk/gcloud/reference/topic/gcloudignore */
  function kept(file: string, files: string[]): string[] {
    const rules = readFileSync(file, 'utf8').replaceAll(/^#!include:(.+)$/gm, (_, name) => readFileSync(name, 'utf8'));
    return ignore().add(rules).filter(files);
  }

  it('of Docker is what builds the image, and nothing else', () => {
    expect(kept('.dockerignore', [...secrets, ...others, ...needed, 'docker/Dockerfile'])).toEqual(needed);
  });

  it('of Cloud Build is the same, and how to build it', () => {
    const build = ['docker/Dockerfile', '.dockerignore'];
    expect(kept('.gcloudignore', [...secrets, ...others, ...needed, ...build])).toEqual([...needed, ...build]);
  });

  it('is written in patterns that mean the same to Docker and to Git', () => {
    const patterns = readFileSync('.dockerignore', 'utf8')
      .split('\n')
      .filter((line) => line && !line.startsWith('#'));
    for (const pattern of patterns) expect(pattern).toMatch(/^!?\//);
  });
});
