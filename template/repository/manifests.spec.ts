import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { typeErrors } from '../../test/support/manifest-types.js';
import { placeholders, readManifest } from '../../test/support/manifests.js';

it.each(
  (['Service', 'Job'] as const).flatMap((type) =>
    [
      ['image:', 'imagine:'],
      ["cpu: '1'", 'cpu: 1'],
      ['containers:', 'container:'],
    ].map(([field = '', mistake = '']) => [type, field, mistake] as const),
  ),
)('test/repository/deploy.spec.ts would fail if the %s had %s as %s', (type, field, mistake) => {
  const manifest = readManifest(type === 'Service' ? 'deploy/service.yaml' : 'deploy/migrate-job.yaml');
  expect(typeErrors(type, manifest.replace(field, mistake))).toHaveLength(1);
});

it('docs/deployment/runtime.md explains every placeholder of the manifests', () => {
  const table = /\| placeholder .*?\n\n/s.exec(readFileSync('docs/deployment/runtime.md', 'utf8'))?.[0];
  const explained = [...table!.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name);
  expect(new Set(explained)).toEqual(new Set(Object.keys(placeholders('production'))));
});
