import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import ignore from 'ignore';
import { Env } from '../../src/platform/config/env.js';

const dockerfile = readFileSync('docker/Dockerfile', 'utf8');
const finalStage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));

describe('docker/Dockerfile', () => {
  it('copies the lock file before the sources, so that a change of these installs nothing', () => {
    expect(dockerfile.indexOf('package-lock.json')).toBeLessThan(dockerfile.indexOf('COPY src'));
  });

  it('has a final stage of what the build has made, precompiled by the Node that will run it', () => {
    expect(finalStage.match(/^(COPY|ADD) .*/gm)).toEqual(['COPY --from=build /app/dist ./dist']);
    expect(finalStage.match(/^RUN .*/gm)).toEqual(['RUN ["/nodejs/bin/node", "dist/precompile.cjs"]']);
    expect(finalStage.lastIndexOf('USER 65532:65532')).toBeGreaterThan(finalStage.indexOf('RUN'));
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
    'src/platform/auth/gha-creds-0123456789abcdef.json',
    'src/.env',
  ];
  const others = [
    'test/platform/health.e2e-spec.ts',
    'src/platform/config/env.spec.ts',
    'build/main.js',
    'dist/main.js',
    'node_modules/pg/index.js',
  ];
  const needed = [
    ...['package.json', 'package-lock.json', 'nest-cli.json', 'tsconfig.json', 'tsconfig.build.json'],
    ...['tools/build/bundle.mjs', 'tools/generators/package.json', 'src/main.ts', 'src/platform/config/env.ts'],
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
