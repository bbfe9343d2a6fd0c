import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import ignore from 'ignore';
import { Env } from '../../src/platform/config/env.js';

const dockerfile = readFileSync('docker/Dockerfile', 'utf8');
const finalStage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));

describe('docker/Dockerfile', () => {
  it('copies the lock file before the sources, so that a source change installs nothing', () => {
    expect(dockerfile.indexOf('package-lock.json')).toBeLessThan(dockerfile.indexOf('COPY . .'));
  });

  it('has a final stage with dist/ only, precompiled by the Node of the image', () => {
    expect(finalStage.match(/^(COPY|ADD) .*/gm)).toEqual(['COPY --from=build /app/dist ./dist']);
    expect(finalStage.match(/^RUN .*/gm)).toEqual(['RUN ["/nodejs/bin/node", "dist/precompile.cjs"]']);
  });

  it('sets a numeric user after the last step, production, and the port of the service', () => {
    expect(finalStage.search(/^USER 65532:65532$/m)).toBeGreaterThan(finalStage.lastIndexOf('\nRUN'));
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
    ...[
      'tools/build/bundle.mjs',
      'tools/dev/ready.mjs',
      'tools/generators/package.json',
      'src/main.ts',
      'src/platform/config/env.ts',
    ],
  ];

  /** The files that are not ignored. `#!include:` is an extension of gcloud: https://cloud.google.com/sdk/gcloud/reference/topic/gcloudignore */
  function included(file: string, files: string[]): string[] {
    const rules = readFileSync(file, 'utf8').replaceAll(/^#!include:(.+)$/gm, (_, name) => readFileSync(name, 'utf8'));
    return ignore().add(rules).filter(files);
  }

  it('of Docker has only the files that the build needs', () => {
    expect(included('.dockerignore', [...secrets, ...others, ...needed, 'docker/Dockerfile'])).toEqual(needed);
  });

  it('of Cloud Build has the same files, and those that configure the build', () => {
    const build = ['docker/Dockerfile', '.dockerignore'];
    expect(included('.gcloudignore', [...secrets, ...others, ...needed, ...build])).toEqual([...needed, ...build]);
  });

  it('is described by absolute patterns, which Docker and Git read alike', () => {
    const patterns = readFileSync('.dockerignore', 'utf8')
      .split('\n')
      .filter((line) => line && !line.startsWith('#'));
    expect(patterns.filter((pattern) => !/^!?\//.test(pattern))).toEqual([]);
  });
});
