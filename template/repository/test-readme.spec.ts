import { globSync, readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';

it('test/README.md lists every spec file', () => {
  const listed = readFileSync('test/README.md', 'utf8').matchAll(/^\| `([\w/.-]+spec\.ts)`/gm);
  const files = globSync('test/{platform,repository}/*spec.ts').map((file) => file.replace('test/', ''));
  expect([...listed].map(([, file]) => String(file)).toSorted()).toEqual(files.toSorted());
});
